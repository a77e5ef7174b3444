"""What is seen at one tick of the scaling clock, for all groups: pods, what they use, what there is to do for them.

All are looked at together: one LIST of what pods use, one look at each broker. Each group is decided by itself.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reconciler import clock
from reconciler.cluster.cache import Store, Stores
from reconciler.cluster.client import Cluster, Where
from reconciler.cluster.errors import ListFailed
from reconciler.cluster.live import Live
from reconciler.model import APP_LABEL, POD_METRICS, Moment, Ref
from reconciler.scaling import usage
from reconciler.scaling.demand import Crew, Demanded
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import RESOURCES, Backlog, Sample, Usage
from reconciler.scaling.rivals import Autoscaler
from reconciler.scaling.usage import Seen

log = logging.getLogger(__name__)

Samples = Mapping[tuple[str, str], Mapping[str, Sample]]
"""By namespace and pod, and by resource."""


class Measured(NamedTuple):
    """What all pods use, or why it is not known."""

    samples: Samples
    failure: str = ""
    unmeasured: frozenset[str] = frozenset()
    """The namespaces that the failure is of; of all if none is named."""

    def failure_of(self, namespace: str) -> str:
        return self.failure if namespace in self.unmeasured or not self.unmeasured else ""


@dataclass(frozen=True)
class Sight:
    number: int
    """Of the tick."""
    pods: Store[Seen] | Stores[Seen]
    autoscalers: Store[Autoscaler] | Stores[Autoscaler]
    measured: Measured
    began: float = field(default_factory=time.monotonic)
    crews: dict[GroupKey, Crew] = field(default_factory=dict)
    """Who was asked about."""
    demanded: dict[GroupKey, Demanded] = field(default_factory=dict)
    """What was told of them, as brokers answer."""
    heard: dict[GroupKey, Moment] = field(default_factory=dict)
    """When."""
    only: frozenset[GroupKey] | None = None
    """At a glance between two ticks: the groups for which a message was seen. By it they leave zero, and no others."""

    def hear(self, told: Mapping[GroupKey, Demanded]) -> None:
        """Take what has just been told."""
        self.heard.update(dict.fromkeys(told, clock.now()))
        self.demanded.update(told)

    def age_seconds(self, key: GroupKey) -> float:
        """Return how long ago it was told what there is to do for a group."""
        now = clock.now()
        return (now.steady - self.heard.get(key, now).steady).total_seconds()

    def waits(self, key: GroupKey) -> bool:
        """Say whether a message was seen for a group."""
        return key in self.demanded and isinstance(found := self.demanded[key].backlog, Backlog) and found.demand > 0

    def is_about(self, key: GroupKey, deployment: Live) -> bool:
        """Say whether a group is decided by it."""
        return self.only is None or (key in self.only and deployment.replicas == 0)

    def knows(self, keys: Iterable[GroupKey]) -> bool:
        """Say whether all has been told that was asked about these groups, and they were asked about."""
        return all(key in self.demanded for key in keys)

    def pods_of(self, deployment: Ref) -> list[Seen]:
        return self.pods.by((deployment.namespace, deployment.name))

    def rival(self, deployment: Ref, app_uid: str) -> Autoscaler | None:
        """Return who else scales a Deployment, of several the first by name."""
        found = self.autoscalers.by((deployment.namespace, deployment.name))
        rivals = (each for each in found if each.controller is None or each.controller.uid != app_uid)
        return min(rivals, key=lambda each: each.ref.name, default=None)

    def usage(self, namespace: str, pods: Iterable[Seen]) -> Usage:
        """Return what these pods of a namespace use of each resource."""
        if failure := self.pods.of(namespace).problem or self.measured.failure_of(namespace):
            return Usage(failures=dict.fromkeys(RESOURCES, failure))
        found = {seen.pod.name: self.measured.samples.get((seen.ref.namespace, seen.pod.name), {}) for seen in pods}
        return Usage(
            {
                resource: {pod: samples[resource] for pod, samples in found.items() if resource in samples}
                for resource in RESOURCES
            }
        )


def crew(group: Group, deployment: Live, pods: Iterable[Seen]) -> Crew:
    """Return the group with the pods that can say what they run."""
    names = (each.pod.name for each in pods if each.pod.is_running and not each.pod.is_terminating)
    return Crew(deployment.ref.namespace, group, frozenset(names))


def measured(cluster: Cluster, namespaces: tuple[str, ...]) -> Measured:
    """Return what all pods use, of these namespaces or of all if none is named."""
    samples, failures = dict[tuple[str, str], Mapping[str, Sample]](), dict[str, str]()
    for namespace in namespaces or (None,):
        try:
            listed = cluster.list(POD_METRICS, usage.measured, Where(namespace, APP_LABEL))
            samples |= {(each.namespace, each.pod): each.samples for each in listed.items}
        except ListFailed as failure:
            failures[namespace or ""] = str(failure)
        except Exception as error:  # whoever serves the metrics, the rest is decided all the same
            log.exception("PodMetrics")
            failures[namespace or ""] = f"PodMetrics list: {type(error).__name__}"
    return Measured(samples, "; ".join(dict.fromkeys(failures.values())), frozenset(filter(None, failures)))
