"""What holds an app back, in a reason and words. Pure values."""

from collections.abc import Iterable

from reconciler.apply.child import Child
from reconciler.cluster.errors import ClusterError, Forbidden, Invalid
from reconciler.model import SCALED_OBJECT, Verdict
from render.errors import InvalidInput, dotted

INVALID, LIST_FAILED, CRASHED = "InvalidSpec", "ListFailed", "InternalError"


def invalid(invalid_input: InvalidInput) -> Verdict:
    """Name every problem of the app's spec."""
    problems = [problem for problem in invalid_input.problems if not problem.is_warning]
    lines = (": ".join(filter(None, [dotted(problem.path), problem.message])) for problem in problems)
    return Verdict(INVALID, "; ".join(lines), is_stalled=True)


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
            return "Conflict"  # another object of that name came: the next look will see it
        case ClusterError():
            return type(error).__name__


def unlisted(problem: str, *, is_stalled: bool) -> Verdict:
    """Say that nothing is known of a kind."""
    return Verdict(LIST_FAILED, problem, is_stalled)


def of_the_cluster(child: Child) -> Verdict | None:
    """Refuse a ScaledObject that would have KEDA use credentials of the cluster, which are not its author's."""
    triggers = child.desired.get("spec", {}).get("triggers", ()) if child.ref.kind == SCALED_OBJECT.name else ()
    references = [trigger.get("authenticationRef", {}) for trigger in triggers]
    used = {f"the {each['kind']} {each['name']}" for each in references if each.get("kind", "").startswith("Cluster")}
    if any(trigger.get("metadata", {}).get("identityOwner") == "operator" for trigger in triggers):
        used.add("KEDA's own role (identityOwner: operator)")
    why = f"{child.ref} uses {', '.join(sorted(used))}: name a TriggerAuthentication, or have"
    why = f"{why} celery-reconcile run with --allow-cluster-trigger-authentication"
    return Verdict("Forbidden", why, is_stalled=True) if used else None


def waiting(message: str) -> Verdict:
    """Say what must be gone first."""
    return Verdict("WaitingForDeletion", message)


def crashed(error: BaseException) -> Verdict:
    """Admit a fault of our own."""
    return Verdict(CRASHED, f"{type(error).__name__}: {error}")


def together(verdicts: Iterable[Verdict]) -> Verdict | None:
    """Return one verdict for all: what waiting does not mend comes first, and each message is said once."""
    ordered = sorted(verdicts, key=lambda each: not each.is_stalled)
    if not ordered:
        return None
    messages = "; ".join(dict.fromkeys(each.message for each in ordered))
    return ordered[0]._replace(message=messages, retry_after_seconds=max(each.retry_after_seconds for each in ordered))
