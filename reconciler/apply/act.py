"""Steps carried out, one after the other. Only here children are written."""

import logging
from collections.abc import Callable, Iterable, Mapping

from reconciler.apply import ownership
from reconciler.apply.child import Child
from reconciler.apply.step import Done, Step
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Conflict
from reconciler.cluster.live import Live
from reconciler.model import Manifest, Outcome, Ref, paths

ATTEMPTS = 5

log = logging.getLogger(__name__)


def execute(steps: Iterable[Step], do: Callable[[Step], Live | None]) -> tuple[Done, ...]:
    """Return what became of each step. What needs something that failed is left alone, and then nothing is deleted."""
    done: list[Done] = []
    failed: dict[tuple[str, str], Ref] = {}
    for step in steps:
        done.append(_tried(_left_alone(step, failed), do))
        if done[-1].obstacle or done[-1].step.message:
            failed[step.ref.kind, step.ref.name] = step.ref
    return tuple(done)


def _left_alone(step: Step, failed: Mapping[tuple[str, str], Ref]) -> Step:
    needed = [failed[each] for each in (step.child.needs if step.child else ()) if each in failed]
    if step.outcome is Outcome.DELETED and step.child is None:
        needed = list(failed.values())
    return step.later(f"left alone: {needed[0]} is not as it shall be") if needed and not step.obstacle else step


def _tried(step: Step, do: Callable[[Step], Live | None]) -> Done:
    if step.outcome is Outcome.SKIPPED:
        return Done(step, step.live)
    try:
        return Done(step, do(step))
    except ClusterError as error:
        return Done(step, error=error)


def write(step: Step, cluster: Cluster) -> Live | None:
    """Return the object after the step; None when it is gone."""
    if step.outcome is Outcome.DELETED and step.live:
        cluster.delete(step.ref, step.live.uid)
        live = None
    elif step.child:
        if step.mends_ownership and step.live:
            _mend_ownership(step.child, step.live, cluster)
        live = Live.of(cluster.apply(step.child.guarded, dry_run=False))
    log.info("%s %s%s", step.ref, step.outcome, "".join(f" {path}" for path in paths(step.changes)))
    return live


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
