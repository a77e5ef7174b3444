"""What the API server's refusals mean to an app."""

import pytest

from reconciler.apply import verdicts
from reconciler.cluster import errors
from reconciler.model import Verdict
from render.errors import InvalidInput, Problem

TERMINATING = {"details": {"causes": [{"reason": "NamespaceTerminating"}]}}
ANOTHER_UID = {"details": {"causes": [{"field": "metadata.uid", "message": "field is immutable"}]}}


@pytest.mark.parametrize(
    ("error", "reason", "is_stalled"),
    [
        (errors.Invalid("x"), "Invalid", True),
        (errors.Invalid("x", ANOTHER_UID), "Conflict", False),
        (errors.Conflict("x"), "Conflict", False),
        (errors.Forbidden("x"), "Forbidden", True),
        (errors.Forbidden("x", TERMINATING), "NamespaceTerminating", False),
        (errors.NotFound("x"), "NotFound", True),
        (errors.Throttled("x", retry_after_seconds=1), "Throttled", False),
        (errors.Unavailable("x"), "Unavailable", False),
        (errors.ClusterError("x"), "ClusterError", False),
    ],
)
def test_only_what_waiting_cannot_mend_is_stalled(error, reason, is_stalled):
    found = verdicts.refused(error)
    assert (found.reason, found.message, found.is_stalled) == (reason, "x", is_stalled)


def test_every_problem_of_an_invalid_app_is_in_the_message():
    problems = (Problem("any", 1, ("spec", "image"), "is empty"), Problem("any", 2, (), "is no app"))
    assert verdicts.invalid(InvalidInput(problems)) == ("InvalidSpec", "spec.image: is empty; is no app", True, 0.0)


def test_the_server_may_ask_for_patience():
    assert verdicts.refused(errors.Throttled("x", retry_after_seconds=7)).retry_after_seconds == 7


def test_of_several_what_waiting_does_not_mend_gives_the_reason_and_every_message_is_said_once():
    waiting, again = verdicts.waiting("a goes"), verdicts.waiting("a goes")
    stalled = Verdict("Invalid", "b is refused", is_stalled=True, retry_after_seconds=3)
    slow = Verdict("Throttled", "c", retry_after_seconds=60)
    assert verdicts.together([waiting, slow, stalled, again]) == Verdict(
        "Invalid", "b is refused; a goes; c", is_stalled=True, retry_after_seconds=60
    )
    assert verdicts.together([]) is None


def test_a_fault_of_our_own_is_admitted():
    assert verdicts.crashed(ZeroDivisionError("x")) == Verdict("InternalError", "ZeroDivisionError: x")
