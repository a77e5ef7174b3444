"""How many pods the metrics ask for: the HPA's replica calculator. Pure: no clock, no cluster.

After pkg/controller/podautoscaler/replica_calculator.go, for metrics of type ContainerResource, and for the queue as
for one of type External with an averageValue. Numbers that would overflow there stop at the largest here.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from reconciler.scaling.model import (
    MAX_INT32,
    MAX_INT64,
    Backlog,
    Observation,
    Pod,
    Policy,
    ResourceTarget,
    Sample,
    Timing,
    Tolerance,
    Unreadable,
)
from render.naming import WORKER_CONTAINER

NO_METRICS = "no metrics returned from resource metrics API"
NO_PODS = "no pods returned by selector while calculating replica count"
NOT_RECEIVED = "did not receive metrics for targeted pods (pods might be unready)"
NO_MATCH = "no metrics returned matched known pods"


class Proposal(NamedTuple):
    """So many pods, by the metric that asks for most."""

    replicas: int
    metric: str
    seen: Mapping[str, int]
    warning: str = ""
    """What is wrong with another metric; not enough to hold back growth."""


class Failure(NamedTuple):
    """No number can be given: things stay as they are."""

    reason: str
    message: str
    seen: Mapping[str, int]


class Groups(NamedTuple):
    """The pods, by what their metrics are worth. Those that are ignored are in none."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    measured: Mapping[str, int]
    """The samples that count."""


class Reading(NamedTuple):
    ratio: float
    """Of usage to target."""
    seen: int


class Utilization(NamedTuple):
    """A target in percent of what the pods request."""

    target: int
    requests: Mapping[str, int]

    def read(self, samples: Mapping[str, int]) -> Reading | None:
        known = [pod for pod in samples if pod in self.requests]
        requested = sum(self.requests[pod] for pod in known)
        if requested <= 0:
            return None
        percent = _clamped(_divided(sum(samples[pod] for pod in known) * 100, requested), MAX_INT32)
        return Reading(percent / self.target, percent)

    def full(self, pod: str) -> int:
        """Return what a pod without a sample is taken to use when the others use little."""
        return self.requests[pod] * max(100, self.target) // 100


class Average(NamedTuple):
    """A target as an amount for each pod."""

    target: int

    def read(self, samples: Mapping[str, int]) -> Reading | None:
        used = _divided(sum(samples.values()), len(samples))
        return Reading(used / self.target, used)

    def full(self, _pod: str) -> int:
        return self.target


def proposed(policy: Policy, seen: Observation, now: datetime) -> Proposal | Failure:
    """Return the highest number that a metric asks for. One that fails holds back a scale-in, but not growth."""
    found = tuple(_each(policy, seen, now))
    proposals = [each for each in found if isinstance(each, Proposal)]
    failures = [each for each in found if isinstance(each, Failure)]
    values = {name: value for each in found for name, value in each.seen.items()}
    highest = max(proposals, key=lambda each: each.replicas, default=None)
    if highest is None or (failures and highest.replicas < seen.replicas):
        first = failures[0] if failures else Failure("NoMetrics", "without pods there is nothing to measure", {})
        return first._replace(seen=values)
    return highest._replace(seen=values, warning=failures[0].message if failures else "")


def _each(policy: Policy, seen: Observation, now: datetime) -> Iterator[Proposal | Failure]:
    if seen.replicas > 0:  # without pods there is no usage, and that is no failure
        for target in policy.metrics:
            yield resource(policy, target, seen, now)
    if policy.counts_queue:
        yield queue(policy, seen)


def resource(policy: Policy, target: ResourceTarget, seen: Observation, now: datetime) -> Proposal | Failure:
    """Return what the usage of CPU or memory asks for, as GetResourceReplicas and GetRawResourceReplicas do."""
    samples = seen.usage.samples.get(target.name, {})
    is_cold = partial(_is_cold, timing=policy.timing, now=now) if target.name == "cpu" else None
    groups = grouped(seen.pods, samples, is_cold)
    what = f"{target.name} {'usage' if target.utilization is None else 'utilization'}"
    wrong = seen.usage.failures.get(target.name) or _wrong(seen.pods, samples, groups)
    gauge = wrong or _gauge(target, seen.pods)
    if isinstance(gauge, str):
        return _failed("FailedGetContainerResourceMetric", what, gauge)
    if (reading := gauge.read(groups.measured)) is None:
        return _failed("FailedGetContainerResourceMetric", what, NO_MATCH)
    return Proposal(_count(gauge, groups, seen.replicas, policy.tolerance), what, {target.name: reading.seen})


def queue(policy: Policy, seen: Observation) -> Proposal | Failure:
    """Return what the messages ask for, as GetExternalPerPodMetricReplicas does."""
    match seen.backlog:
        case None:
            return _failed("FailedGetExternalMetric", "queue length", "it was not read")
        case Unreadable(message):
            return _failed("FailedGetExternalMetric", "queue length", message)
        case Backlog(demand=demand):
            what, needed, by = "queue length", demand, policy.average_length
            if by is None:
                what, needed = "queue wait", demand if seen.slots is None else seen.slots
                by = max(policy.concurrency, seen.slots_in_one_pod)
            is_near = seen.current > 0 and policy.tolerance.holds(min(needed, MAX_INT64) / (by * seen.current))
            count = seen.current if is_near else _ceiling(min(needed, MAX_INT64) / by)
            return Proposal(count, what, {"queue": min(demand, MAX_INT64)})


def grouped(
    pods: Iterable[Pod], samples: Mapping[str, Sample], is_cold: Callable[[Pod, Sample], bool] | None
) -> Groups:
    """Return the pods in the groups of groupPods; only CPU knows samples that are taken too early."""
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in pods:
        if pod.is_terminating or pod.phase == "Failed":
            ignored.add(pod.name)
        elif pod.phase == "Pending":
            unready.add(pod.name)
        elif pod.name not in samples:
            missing.add(pod.name)
        elif is_cold and is_cold(pod, samples[pod.name]):
            unready.add(pod.name)
        else:
            ready += 1
    uncounted = unready | ignored
    measured = {pod: _clamped(each.value, MAX_INT64) for pod, each in samples.items() if pod not in uncounted}
    return Groups(ready, frozenset(unready), frozenset(missing), measured)


def _is_cold(pod: Pod, sample: Sample, *, timing: Timing, now: datetime) -> bool:
    """Say whether a pod's CPU is that of its start, or of one that never was ready."""
    if pod.is_ready is None or pod.started_at is None:
        return True
    since = pod.ready_since
    if pod.started_at + timedelta(seconds=timing.cpu_initialization_seconds) > now:
        stale = since is not None and sample.at < since + timedelta(seconds=sample.window_seconds)
        return not pod.is_ready or stale
    readiness_ends = pod.started_at + timedelta(seconds=timing.initial_readiness_seconds)
    return not pod.is_ready and (since is None or readiness_ends > since)


def _count(gauge: Utilization | Average, groups: Groups, current: int, tolerance: Tolerance) -> int:
    """Return the number of pods that brings usage to its target; the current one where that is not certain."""
    ratio = _ratio(gauge, groups.measured)
    counts_unready = bool(groups.unready) and ratio > 1.0
    if not counts_unready and not groups.missing:
        return current if tolerance.holds(ratio) else _ceiling(ratio * groups.ready)
    # Pods without a sample, and unready ones, count against the change: as full to shrink, as idle to grow.
    filled = dict(groups.measured)
    if ratio < 1.0:
        filled |= {pod: gauge.full(pod) for pod in groups.missing}
    elif ratio > 1.0:
        filled |= dict.fromkeys(groups.missing | (groups.unready if counts_unready else frozenset()), 0)
    guess = _ratio(gauge, filled)
    if tolerance.holds(guess) or (ratio < 1.0 < guess) or (guess < 1.0 < ratio):
        return current
    count = _ceiling(guess * len(filled))
    turns = (guess < 1.0 and count > current) or (guess > 1.0 and count < current)
    return current if turns else count


def _ratio(gauge: Utilization | Average, samples: Mapping[str, int]) -> float:
    reading = gauge.read(samples)
    return reading.ratio if reading else 1.0


def _wrong(pods: tuple[Pod, ...], samples: Mapping[str, Sample], groups: Groups) -> str:
    """Return why there is nothing to calculate with; empty if there is."""
    if not samples:
        return NO_METRICS
    if not pods:
        return NO_PODS
    return "" if groups.measured else NOT_RECEIVED


def _gauge(target: ResourceTarget, pods: Iterable[Pod]) -> Utilization | Average | str:
    """Return what usage is measured by; what is wrong, if a pod does not request what it is a share of."""
    if target.utilization is None:
        return Average(target.average_value or 1)
    requests = {}
    for pod in pods:
        if (request := pod.requests.get(target.name)) is None:
            return f"missing request for {target.name} in container {WORKER_CONTAINER} of Pod {pod.name}"
        requests[pod.name] = _clamped(request, MAX_INT64)
    return Utilization(target.utilization, requests)


def _failed(reason: str, what: str, why: str) -> Failure:
    return Failure(reason, f"unable to compute the replica count: failed to get {what}: {why}", {})


def _divided(number: int, by: int) -> int:
    """Divide as Go does, towards zero."""
    return abs(number) // by * (1 if number >= 0 else -1)


def _ceiling(number: float) -> int:
    return math.ceil(max(min(number, MAX_INT32), -MAX_INT32))


def _clamped(number: int, most: int) -> int:
    return max(min(number, most), -most)
