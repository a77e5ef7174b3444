"""The verdict of celery-render is the API server's: on the rules one by one, and on documents made at random."""

import os
import secrets

import every_rule
import fuzz
import largest
import planted
import pytest
import verdicts

SEED = int(os.environ.get("FUZZ_SEED") or secrets.choice(range(1, 17)))
"""One of those that agreed before, so that a difference is a change's, not chance's. `make fuzz` takes new ones."""
DOCUMENTS = 3000

PAIRS = [*every_rule.pairs()]
BETTER = {"is set by a field ": " may not stand here: ", " names a volume ": "no volume is named "}
"""What celery-render says in place of a rule's words."""


@pytest.fixture(scope="module")
def server(plane, celeryapp_crd):  # noqa: ARG001 (installs it)
    return plane


@pytest.fixture(scope="module")
def cases(server):
    return fuzz.cases(server, SEED, range(DOCUMENTS))


@pytest.fixture(scope="module")
def pairs(server):
    """Return what the server says of both apps of every pair."""
    held, broken = (verdicts.answers(server, [getattr(pair, side) for pair in PAIRS]) for side in ("held", "broken"))
    return [*zip(PAIRS, held, broken, strict=True)]


def test_every_rule_lets_the_one_app_pass_and_refuses_the_other(pairs):
    assert [(pair.message, held.message) for pair, held, _ in pairs if held.stage != verdicts.ACCEPTED] == []
    broken = [rule for _, _, answer in pairs for rule in answer.broken]
    assert len(broken) == len(PAIRS), "an app breaks another rule too"
    assert sorted(broken) == sorted(verdicts.RULES)
    assert all(rule.message.startswith(pair.message) for rule, pair in zip(broken, PAIRS, strict=True))


def test_on_every_rule_the_verdict_is_the_same(pairs):
    for pair, *answers in pairs:
        for app, said in zip((pair.held, pair.broken), answers, strict=True):
            mine = fuzz.ours(verdicts.read(app))
            assert verdicts.difference(said, mine) == ""
            assert {_as_ruled(problem.message, said.broken) for problem in mine.problems} == {
                rule.message for rule in said.broken
            }


def _as_ruled(message, rules):
    """Return the words of the rule in whose place the message is; it names what the rule cannot."""
    better = (words for words, mine in BETTER.items() if mine in message)
    return next((rule.message for words in better for rule in rules if words in rule.message), message)


def test_on_every_document_the_verdict_is_the_same(server, cases):
    found = fuzz.judged(server, SEED, cases).differences
    assert not found, f"again: FUZZ_SEED={SEED} make fuzz N={DOCUMENTS}\n" + "\n".join(found[:5])


def test_what_the_server_drops_as_unknown_is_dropped_here(server, cases):
    """As of an app of a newer CRD: there the fields are known to the server, and not to the schema in the package."""
    refused = [case for case in cases if case.said.stage == verdicts.DECODING and not case.read.problems]
    lenient = verdicts.answers(server, [case.app for case in refused], unknown_fields="Ignore")
    stored = [(said.stored, case.read) for said, case in zip(lenient, refused, strict=True) if said.stored]
    assert stored, "no document has unknown fields and nothing else wrong"
    differences = [verdicts.difference_in_pruning(*each, fuzz.OF_THE_CRD) for each in stored]
    assert [each for each in differences if each] == []


def test_the_largest_app_is_accepted_by_both(server):
    [said] = verdicts.answers(server, [largest.app()])
    assert said.message == ""
    assert verdicts.difference(said, fuzz.ours(verdicts.read(largest.app()))) == ""


@pytest.mark.parametrize("difference", planted.PLANTED)
def test_a_planted_difference_is_found(cases, difference):
    judge = planted.PLANTED[difference]
    if cases[0].said.lenient and difference in planted.OF_LATER_SERVERS:
        pytest.skip("this server accepts it")
    assert any(verdicts.difference(case.said, judge(case.read)) for case in cases), f"FUZZ_SEED={SEED}"
