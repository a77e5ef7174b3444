"""Why an app is not as it is asked to be: one reason for machines, one message for people. Pure values."""

from collections.abc import Iterable
from typing import NamedTuple

from reconciler.cluster.errors import ClusterError, Forbidden, Invalid
from render.errors import InvalidInput, dotted


class Verdict(NamedTuple):
    reason: str
    message: str
    is_stalled: bool = False
    """Waiting does not help: somebody has to change something."""
    retry_after_seconds: float = 0.0


def invalid(invalid_input: InvalidInput) -> Verdict:
    """Name every problem of the app's spec."""
    problems = invalid_input.problems
    lines = (": ".join(filter(None, [dotted(problem.path), problem.message])) for problem in problems)
    return Verdict("InvalidSpec", "; ".join(lines), is_stalled=True)


def refused(error: ClusterError) -> Verdict:
    """Say what the API server did not do, and whether it may do it next time."""
    reason = _reason(error)
    is_stalled = reason in ("Forbidden", "Invalid", "NotFound")
    return Verdict(reason, str(error), is_stalled, getattr(error, "retry_after_seconds", 0.0))


def _reason(error: ClusterError) -> str:
    match error:
        case Forbidden(is_terminating=True):
            return "NamespaceTerminating"
        case Invalid() if any(cause.get("field") == "metadata.uid" for cause in error.causes):
            return "Conflict"  # another object of that name came: the next pass will see it
        case ClusterError():
            return type(error).__name__


def waiting(messages: Iterable[str]) -> Verdict:
    """Say what must be gone first."""
    return Verdict("WaitingForDeletion", "; ".join(messages))


def crashed(error: BaseException) -> Verdict:
    """Admit a fault of our own."""
    return Verdict("InternalError", f"{type(error).__name__}: {error}")
