"""Who is waited for, and who is not."""

import threading
import time
from functools import partial

import pytest

from reconciler.scaling.brokers.patience import Late, Patience, Question

PATIENT = 1
LONG = 120
NO_ANSWER, NO_ROOM = Late(f"no answer within {PATIENT} s"), Late("not asked, too many others hang")


@pytest.fixture
def stuck():
    """Return a question that is not answered as long as the test runs."""
    end = threading.Event()
    yield end.wait
    end.set()


def ask(patience, asks, owners=None):
    """Return all that is told; that of nobody anything is told twice."""
    found = {}

    def tell(key, answer):
        assert key not in found
        found[key] = answer

    patience.ask({key: Question(each, (owners or {}).get(key, ["web"])) for key, each in asks.items()}, tell)
    return found


def threads(name):
    return [thread.name for thread in threading.enumerate()].count(name)


def ended(name):
    while threads(name):
        time.sleep(0.01)


def test_every_question_has_its_answer():
    asks = {number: partial(pow, number, 2) for number in range(100)}
    assert ask(Patience(LONG, at_once=3), asks) == {number: number**2 for number in range(100)}
    assert ask(Patience(LONG), {}) == {}


def test_one_that_is_late_is_told_from_an_answer(stuck):
    assert ask(Patience(PATIENT), {"late": stuck, "none": lambda: None}) == {"late": NO_ANSWER, "none": None}


def test_an_answer_is_told_while_another_hangs():
    """It is what ends the hanging."""
    end, order = threading.Event(), []

    def tell(key, answer):
        order.append((key, answer))
        end.set()

    Patience(LONG).ask({"hangs": Question(end.wait, ["web"]), "here": Question(lambda: 1, ["web"])}, tell)
    assert order == [("here", 1), ("hangs", True)]


def test_whatever_goes_wrong_is_the_question_s_own():
    assert ask(Patience(LONG), {"wrong": lambda: {}["hunter2"], "right": lambda: 1}) == {
        "wrong": Late("KeyError"),
        "right": 1,
    }


def test_where_no_thread_can_be_had_that_is_told():
    patience, before = Patience(LONG, at_once=2), threading.stack_size(1 << 46)  # bytes for each, which nobody has
    try:
        assert ask(patience, dict.fromkeys("abc", lambda: 1)) == dict.fromkeys("abc", Late("RuntimeError"))
    finally:
        threading.stack_size(before)
    assert ask(patience, {"a": lambda: 1}) == {"a": 1}


def test_it_ends_however_many_hang(stuck):
    found = list(ask(Patience(PATIENT, at_once=8), dict.fromkeys(range(100), stuck)).values())
    assert (found.count(NO_ANSWER), found.count(NO_ROOM)) == (4, 96)


def test_one_owner_leaves_as_many_threads_as_it_takes(stuck):
    patience, taken = Patience(PATIENT, at_once=16), []
    for owner in ("first", "second", "third"):
        asks = {(owner, number): stuck for number in range(100)}
        taken.append(list(ask(patience, asks, {key: [owner] for key in asks}).values()).count(NO_ANSWER))
    assert taken == [8, 4, 2]


def test_who_shares_a_question_is_not_kept_from_it_by_the_other_one(stuck):
    patience = Patience(PATIENT, at_once=2)
    ask(patience, {"hangs": stuck}, {"hangs": ["hostile"]})
    shared = {"shared": lambda: "here"}
    assert ask(patience, shared, {"shared": ["hostile"]}) == {"shared": NO_ROOM}
    assert ask(patience, shared, {"shared": ["hostile", "shop"]}) == {"shared": "here"}


def test_a_question_is_not_asked_again_while_it_hangs(stuck):
    patience = Patience(PATIENT)
    found = [ask(patience, {"a": stuck, "b": lambda: "here"}) for _ in range(5)]
    assert found == [{"a": NO_ANSWER, "b": "here"}] + 4 * [{"a": NO_ANSWER, "b": "here"}]
    assert threads("asks a") == 1


def test_a_question_that_came_to_an_end_late_is_asked_again():
    patience, slow = Patience(PATIENT), threading.Event()
    assert ask(patience, {"a": slow.wait}) == {"a": NO_ANSWER}
    slow.set()
    ended("asks a")
    assert ask(patience, {"a": slow.wait}) == {"a": True}


def test_who_was_late_is_asked_last_and_who_was_not_asked_first():
    patience, order, slow = Patience(PATIENT, at_once=2), [], threading.Event()  # one at a time
    assert ask(patience, {"late": slow.wait}) == {"late": NO_ANSWER}
    assert ask(patience, {"not asked": partial(order.append, "never")}) == {"not asked": NO_ROOM}
    slow.set()
    ended("asks late")
    ask(patience, {"asked": partial(order.append, "asked before")})
    ask(patience, {name: partial(order.append, name) for name in ("late", "asked", "not asked")})
    assert order == ["asked before", "not asked", "asked", "late"]


def test_a_question_that_another_asks_just_now_is_asked_when_that_has_ended():
    patience, go, begun, found = Patience(LONG), threading.Event(), threading.Event(), {}

    def first():
        begun.set()
        return go.wait()

    asks = {"one": first, "other": lambda: "here"}
    one, other = (
        threading.Thread(target=lambda name=name: found.update({name: ask(patience, {"a": asks[name]})}))
        for name in asks
    )
    one.start()
    begun.wait()
    other.start()
    other.join(PATIENT)  # which is in vain, or it did not wait
    go.set()
    one.join()
    other.join()
    assert found == {"one": {"a": True}, "other": {"a": "here"}}
