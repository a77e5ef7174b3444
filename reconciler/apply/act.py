"""Steps carried out, one after the other until one fails. Only here children are written."""

import logging
from collections.abc import Iterable
from contextlib import suppress

from reconciler.apply import ownership
from reconciler.apply.child import Child
from reconciler.apply.step import Deed, Step
from reconciler.cluster.client import MERGE_PATCH, Cluster
from reconciler.cluster.errors import ClusterError, Conflict, NotFound
from reconciler.cluster.live import Live
from reconciler.model import Manifest, Outcome
from reconciler.scaling.running import Cost
from reconciler.scaling.usage import DELETION_COST

ATTEMPTS = 3

log = logging.getLogger(__name__)


def execute(steps: Iterable[Step], cluster: Cluster) -> tuple[Deed, ...]:
    """Return what became of each step. After one that failed nothing of the app is changed any more."""
    deeds: list[Deed] = []
    failed: Step | None = None
    for step in steps:
        if failed:
            deeds.append(Deed(step.skipped(f"left alone: {failed.ref} failed"), step.live))
            continue
        deeds.append(_tried(step, cluster))
        if deeds[-1].error:
            failed = step
    return tuple(deeds)


def _tried(step: Step, cluster: Cluster) -> Deed:
    try:
        live = _done(step, cluster)
    except ClusterError as error:
        return Deed(step, error=error)
    if step.outcome is not Outcome.SKIPPED:
        log.info("%s", f"{step.ref} {step.outcome} {_told(step)}".rstrip())
    return Deed(step, live)


def _told(step: Step) -> str:
    """Return which fields were changed; of a number of pods, from what to what, and why."""
    if step.outcome is not Outcome.SCALED:
        return " ".join(change.path for change in step.changes)
    [change] = step.changes
    return f"{change.before} → {change.after}: {step.message}"


def _done(step: Step, cluster: Cluster) -> Live | None:
    """Return the object after the step; None when it is gone."""
    match step.outcome:
        case Outcome.CREATED | Outcome.CONFIGURED if step.child:
            if step.mends_ownership and step.live:
                _mend_ownership(step.child, step.live, cluster)
            return Live.of(cluster.apply(step.child.guarded, dry_run=False))
        case Outcome.SCALED if step.live and step.live.replicas is not None:
            for cost in step.costs:
                _set_cost(cost, cluster)
            cluster.scale(step.ref, step.live.replicas, step.replicas)
        case Outcome.DELETED if step.live:
            cluster.delete(step.ref, step.live.uid)
            return None
    return step.live


def _set_cost(cost: Cost, cluster: Cluster) -> None:
    """Write what a pod's deletion costs; one that has gone meanwhile needs none."""
    annotations = {DELETION_COST: str(cost.cost) if cost.cost else None}
    patch = {"metadata": {"uid": cost.uid, "annotations": annotations}}
    with suppress(NotFound, Conflict):
        cluster.patch(cost.pod, patch, MERGE_PATCH, dry_run=False)


def _mend_ownership(child: Child, live: Live, cluster: Cluster) -> None:
    """Rewrite managedFields as they were seen; again if it was written meanwhile, as in every rollout."""
    uid = live.uid
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            cluster.patch(child.ref, _rewriting(uid, live, child.desired), dry_run=False)
        except Conflict:
            if not attempts_left:
                raise
            live = Live.of(cluster.get(child.ref))
        else:
            return


def _rewriting(uid: str, live: Live, desired: Manifest) -> list[dict[str, object]]:
    """Return the JSON patch for this object as it was seen: refused if it is another (422) or was changed (409)."""
    owners = ownership.rewritten(live.managed_fields, desired)
    values = {"uid": uid, "resourceVersion": live.resource_version, "managedFields": owners}
    return [{"op": "replace", "path": f"/metadata/{field}", "value": value} for field, value in values.items()]
