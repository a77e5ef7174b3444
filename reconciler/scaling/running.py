"""Which pods go first when a group gets smaller: those that run the least. Pure.

The ReplicaSet controller deletes pods by their cost, the lowest first, after those that are not ready.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reconciler.model import Ref
from reconciler.scaling.usage import Seen


class Cost(NamedTuple):
    """What a pod's deletion is to cost."""

    pod: Ref
    uid: str
    cost: int


def costs(pods: Sequence[Seen], running: Mapping[str, int] | None, concurrency: int) -> tuple[Cost, ...]:
    """Return the costs that are to change: the tasks a pod runs, by its name.

    A pod that is ready and did not say is taken to be full. If nobody knows, all cost the same.
    """
    found = (Cost(each.ref, each.uid, _cost(each, running, concurrency)) for each in pods)
    return tuple(cost for cost, each in zip(found, pods, strict=True) if cost.cost != each.deletion_cost)


def busy(pods: Iterable[Seen], running: Mapping[str, int], concurrency: int) -> int:
    """Return how many tasks are running, those of pods that did not say at their most."""
    return sum(_cost(each, running, concurrency) for each in pods)


def _cost(seen: Seen, running: Mapping[str, int] | None, concurrency: int) -> int:
    if running is None or seen.pod.is_terminating:
        return 0
    return running.get(seen.pod.name, concurrency if seen.pod.is_ready else 0)
