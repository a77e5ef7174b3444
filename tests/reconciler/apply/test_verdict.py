"""What the API server's refusals mean to an app."""

import pytest

from reconciler.apply import verdict
from reconciler.cluster import errors
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
    found = verdict.refused(error)
    assert (found.reason, found.message, found.is_stalled) == (reason, "x", is_stalled)


def test_every_problem_of_an_invalid_app_is_in_the_message():
    problems = (Problem("any", 1, ("spec", "image"), "is empty"), Problem("any", 2, (), "is no app"))
    assert verdict.invalid(InvalidInput(problems)) == ("InvalidSpec", "spec.image: is empty; is no app", True, 0.0)
