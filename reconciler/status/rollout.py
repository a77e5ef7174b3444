"""How far a Deployment is, in the words of kubectl rollout status and by the rules of kstatus. Pure values."""

from typing import NamedTuple, Self

from reconciler.cluster.live import Live
from reconciler.status.pods import Why

AVAILABLE = "NewReplicaSetAvailable"
SETTLED = ("ProgressDeadlineExceeded", AVAILABLE, "DeploymentPaused")
"""How the condition Progressing says that a rollout has ended; pods that fail later do not begin it again."""


class Rollout(NamedTuple):
    """The pods of one Deployment."""

    name: str
    desired: int
    replicas: int
    ready: int
    missing: str
    """What is missing; empty once every pod is of the newest template and ready."""
    is_stuck: bool
    """It has made no progress for as long as the Deployment grants it."""
    is_rolling: bool
    """Pods of a new template are on their way; it may well be that they never come, but that is not known yet."""
    why: Why | None = None
    """Why pods are missing, where these say so."""

    @classmethod
    def of(cls, live: Live) -> Self:
        status, desired = live.status, 1 if live.replicas is None else live.replicas
        conditions = {each["type"]: each for each in status.get("conditions") or ()}
        progress, failure = conditions.get("Progressing", {}), conditions.get("ReplicaFailure", {})
        missing = _missing(live, desired)
        if missing and failure.get("status") == "True":
            missing += f" ({failure.get('message', failure.get('reason', ''))})"
        return cls(
            name=live.ref.name,
            desired=desired,
            replicas=status.get("replicas", 0),
            ready=status.get("readyReplicas", 0),
            missing=missing,
            is_stuck=bool(missing) and progress.get("reason") == "ProgressDeadlineExceeded",
            is_rolling=not live.is_terminating and bool(missing) and not _is_settled(live, progress.get("reason", "")),
        )

    def because(self, why: Why | None) -> Self:
        """Return this with why pods are missing, if any are."""
        return self._replace(missing=f"{self.missing}: {why.words}", why=why) if self.missing and why else self

    @property
    def words(self) -> str:
        return f"Deployment {self.name}: {self.missing}"


def _is_settled(live: Live, reason: str) -> bool:
    """Say whether the rollout has ended: back to a ReplicaSet that there was before, the condition stays as it is."""
    status = live.status
    has_old_pods = status.get("replicas", 0) > status.get("updatedReplicas", 0)
    is_seen = status.get("observedGeneration", 0) >= live.generation
    return is_seen and reason in SETTLED and not (reason == AVAILABLE and has_old_pods)


def _missing(live: Live, desired: int) -> str:
    status = live.status
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    if live.is_terminating:
        return "is being deleted"
    if status.get("observedGeneration", 0) < live.generation:
        return "waits for the Deployment controller"
    if replicas > updated and updated < desired:
        return f"{updated} of {desired} pods updated"
    if replicas > updated:
        return f"{replicas - updated} old pods still run"
    ready = min(status.get("readyReplicas", 0), status.get("availableReplicas", 0))
    return f"{ready} of {desired} pods ready" if ready < desired else ""
