"""What the metrics ask for, case by case as in Kubernetes' own replica_calculator_test.go, and then the queue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from reconciler.scaling import calculator
from reconciler.scaling.calculator import Failure, Proposal
from reconciler.scaling.model import (
    MAX_INT32,
    MAX_INT64,
    SCALE_DOWN,
    SCALE_UP,
    Backlog,
    Behavior,
    Observation,
    Pod,
    Policy,
    ResourceTarget,
    Sample,
    Timing,
    Unreadable,
    Usage,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=365)
COOL = NOW - timedelta(minutes=3)
BASE = Policy(1, 1000, (), None, Behavior(), 300, paused=False, concurrency=1)
TIMING = Timing(cpu_initialization_seconds=120, initial_readiness_seconds=10)  # as the HPA's own tests have it

YES, NO = True, False
RUNNING, PENDING, FAILED = "Running", "Pending", "Failed"


class Row(NamedTuple):
    """A case. By default all pods run, are ready, have run for long, and request a whole CPU."""

    current: int
    target: int
    levels: tuple[int, ...]
    """What the first pods use; those after them have no sample, those that are no pods have one all the same."""
    want: int | str
    """The replicas, or what is wrong."""
    seen: int = 0
    requests: tuple[int | None, ...] = (1000,) * 10
    ready: tuple[bool, ...] = ()
    started: tuple[datetime, ...] = ()
    phases: tuple[str, ...] = ()
    deleted: tuple[bool, ...] = ()
    tolerance: tuple[float, float] = (0.1, 0.1)
    """Down, up."""
    resource: str = "cpu"
    is_average: bool = False

    @property
    def policy(self):
        down, up = self.tolerance
        rules = Behavior(SCALE_UP._replace(tolerance=up), SCALE_DOWN._replace(tolerance=down))
        percent, average = (None, self.target) if self.is_average else (self.target, None)
        metrics = (ResourceTarget(self.resource, percent, average),)
        return replace(BASE, metrics=metrics, behavior=rules, timing=TIMING)

    @property
    def observation(self):
        count = max(self.current, len(self.phases))
        samples = {f"pod-{index}": Sample(level, LONG_AGO, 60) for index, level in enumerate(self.levels)}
        pods = tuple(
            Pod(
                name=f"pod-{index}",
                phase=_at(self.phases, index, RUNNING),
                is_terminating=_at(self.deleted, index, NO),
                is_ready=_at(self.ready, index, YES),
                ready_since=LONG_AGO,
                started_at=_at(self.started, index, LONG_AGO),
                requests={self.resource: _at(self.requests, index, None)},
            )
            for index in range(count)
        )
        return Observation(self.current, self.current, pods, Usage({self.resource: samples}))


def _at(values, index, default):
    return values[index] if index < len(values) else default


def outcome(row):
    found = calculator.proposed(row.policy, row.observation, NOW)
    if isinstance(found, Failure):
        return found.message.split(": ")[-1], 0
    return found.replicas, found.seen[row.resource]


RESOURCE = {
    "more usage, more pods": Row(3, 30, (300, 500, 700), 5, 50),
    "an unready pod counts as idle": Row(3, 30, (300, 500, 700), 4, 60, ready=(NO, YES, YES)),
    "so does one that has only begun": Row(3, 30, (300, 500, 700), 4, 60, started=(NOW, COOL, COOL)),
    "unready pods may keep it from growing": Row(3, 30, (400, 500, 700), 3, 40, ready=(YES, NO, NO)),
    "so may hot ones": Row(3, 30, (400, 500, 700), 3, 40, ready=(YES, NO, NO), started=(COOL, NOW, NOW)),
    "failed pods are ignored to grow": Row(
        2, 30, (500, 700), 4, 60, ready=(YES, YES, NO, NO), phases=(RUNNING, RUNNING, FAILED, FAILED)
    ),
    "so are pods that are being deleted": Row(
        2, 30, (500, 700), 4, 60, ready=(YES, YES, NO, NO), phases=(RUNNING,) * 4, deleted=(NO, NO, YES, YES)
    ),
    "less usage, fewer pods": Row(5, 50, (100, 300, 500, 250, 250), 3, 28),
    "unready pods are left out to shrink": Row(5, 50, (100, 300, 500, 250, 250), 2, 30, ready=(YES, YES, YES, NO, NO)),
    "so are unscheduled ones": Row(
        5, 50, (100,), 1, 10, ready=(YES, NO, NO, NO, NO), phases=(RUNNING, *(PENDING,) * 4)
    ),
    "whatever their samples say": Row(
        5, 50, (100, 300, 500, 250, 250), 1, 10, ready=(YES, NO, NO, NO, NO), phases=(RUNNING, *(PENDING,) * 4)
    ),
    "so are hot ones": Row(5, 50, (100, 300, 500, 1000, 1000), 2, 30, started=(COOL, COOL, COOL, NOW, NOW)),
    "failed pods are ignored to shrink": Row(
        5, 50, (100, 300, 500, 250, 250), 3, 28, ready=(*(YES,) * 5, NO, NO), phases=(*(RUNNING,) * 5, FAILED, FAILED)
    ),
    "so are pods being deleted that still run": Row(
        5, 50, (100, 300, 500, 250, 250), 3, 28, phases=(RUNNING,) * 7, deleted=(*(NO,) * 5, YES, YES)
    ),  # kubernetes/kubernetes#83561
}

MIXED = (900, 1000, 1100)

TOLERANCE = {
    "a tenth above is within": Row(3, 100, (1100, 1100, 1100), 3, 110),
    "a tenth below is within": Row(10, 100, (900,) * 10, 10, 90),
    "within a tenth nothing changes": Row(3, 100, (1010, 1030, 1020), 3, 102, MIXED),
    "without tolerance 1 percent counts": Row(3, 100, (909, 1010, 1111), 4, 101, MIXED, tolerance=(0, 0)),
    "200 percent upwards": Row(3, 100, (1890, 1910, 1900), 3, 190, MIXED, tolerance=(0.1, 2)),
    "8 percent upwards, whatever it is downwards": Row(3, 100, (1100, 1080, 1090), 4, 109, MIXED, tolerance=(2, 0.08)),
    "36 percent downwards": Row(3, 100, (660, 640, 650), 3, 65, MIXED, tolerance=(0.36, 0.1)),
    "34 percent downwards": Row(3, 100, (660, 640, 650), 2, 65, MIXED, tolerance=(0.34, 0.1)),
    "just beyond it downwards": Row(10, 56, (150,) * 10, 9, 50, (400, 200, 310, 290, 302, 298, 301, 299, 300, 300)),
    "just within it downwards": Row(10, 55, (150,) * 10, 10, 50, (400, 200, 310, 290, 302, 298, 301, 299, 300, 300)),
}

NO_REQUEST = "missing request for cpu in container worker of Pod pod-0"
INCOMPLETE = {
    "samples of no pod are left out": Row(4, 100, (4000, 9500, 3000, 7000, 3200, 2000), 24, 587),
    "pods without a sample count as full to shrink": Row(4, 100, (400, 95), 3, 24),
    "at the target nothing changes": Row(2, 100, (1000,), 2, 100),
    "above it one more may be idle": Row(2, 100, (1900,), 2, 190),
    "below it one more may be full": Row(2, 100, (600,), 2, 60),
    "and full would be too much": Row(2, 50, (400,), 2, 40),
    "an unready pod and one without a sample": Row(3, 50, (100, 450), 3, 45, ready=(NO, YES, YES)),
    "a hot pod and one without a sample": Row(3, 50, (100, 450), 3, 45, started=(NOW, COOL, COOL)),
    "both count as idle to grow": Row(3, 50, (100, 2000), 4, 200, ready=(NO, YES, YES)),
    "hot or not": Row(3, 50, (100, 2000), 4, 200, ready=(NO, YES, YES), started=(NOW, COOL, COOL)),
    "only the one without a sample counts to shrink": Row(4, 50, (100, 100, 100), 3, 10, ready=(NO, YES, YES, YES)),
    "full is the target where that is over 100 percent": Row(
        4, 300, (200, 100, 100), 2, 6, (1000, 1000, 2000, 2000), ready=(NO, YES, YES, YES)
    ),
    "the pod more of a rollout does not turn the direction": Row(2, 50, (100, 100), 2, 10, phases=(RUNNING,) * 3),
    "no sample at all": Row(4, 100, (), calculator.NO_METRICS),
    "no pod": Row(0, 100, (100,), "without pods there is nothing to measure"),
    "only samples of unready pods": Row(1, 100, (100,), calculator.NOT_RECEIVED, phases=(PENDING,)),
    "a pod without a request": Row(1, 100, (200,), NO_REQUEST, requests=()),
    "requests of nothing": Row(1, 100, (200,), calculator.NO_MATCH, requests=(0,)),
}  # fmt: skip

AVERAGE = {
    "more on average, more pods": Row(3, 15000, (20000, 10000, 30000), 4, 20000, is_average=YES),
    "memory knows no unready pods": Row(
        3, 15000, (50000, 10000, 30000), 6, 30000, ready=(YES, YES, NO), started=(COOL, COOL, NOW),
        resource="memory", is_average=YES,
    ),
    "and the average is truncated": Row(
        3, 15000, (50000, 15000, 30000), 7, 31666, ready=(NO, YES, NO), resource="memory", is_average=YES
    ),
    "less on average, fewer pods": Row(5, 20000, (12000,) * 5, 3, 12000, is_average=YES),
    "within a tenth nothing changes": Row(3, 20000, (20000, 21000, 21000), 3, 20666, is_average=YES),
    "beyond 1 percent it does": Row(
        3, 20000, (20000, 21000, 21000), 4, 20666, is_average=YES, tolerance=(0.1, 0.01)
    ),
    "pods without a sample": Row(5, 20000, (20000, 19000, 21000), 5, 20000, is_average=YES),
    "are at their target to shrink": Row(2, 17000, (10000, 10000), 2, 10000, phases=(RUNNING,) * 3, is_average=YES),
    "no request is needed": Row(3, 15000, (20000, 10000, 30000), 4, 20000, requests=(), is_average=YES),
}  # fmt: skip

HOSTILE = {
    "a share is truncated towards zero": Row(3, 50, (-1, -1, -2), 0, 0),
    "usage below zero asks for less than none": Row(3, 50, (-100, -300, -500), -1, -30),
    "the sum may be more than 64 bits": Row(2, 50, (MAX_INT64, MAX_INT64), 85_899_346, MAX_INT32),
    "a sample may be more than 64 bits": Row(2, 50, (10**400, 1), 85_899_346, MAX_INT32),
    "requests may be": Row(2, 50, (1, 1), 0, 0, requests=(10**400, 10**400)),
    "the average may be": Row(2, 1, (MAX_INT64, MAX_INT64), MAX_INT32, MAX_INT64, is_average=YES),
}


def _params(*tables):
    return [pytest.param(row, id=name) for table in tables for name, row in table.items()]


@pytest.mark.parametrize("row", _params(RESOURCE, TOLERANCE, INCOMPLETE))
def test_utilization_asks_for_what_the_hpa_asks_for(row):
    assert outcome(row) == (row.want, row.seen)


@pytest.mark.parametrize("row", _params(AVERAGE))
def test_an_average_asks_for_what_the_hpa_asks_for(row):
    assert outcome(row) == (row.want, row.seen)


@pytest.mark.parametrize("row", _params(HOSTILE))
def test_numbers_stop_at_the_largest(row):
    assert outcome(row) == (row.want, row.seen)


def test_samples_of_pods_of_another_name_only():
    row = Row(1, 100, (), "")
    seen = row.observation
    found = calculator.proposed(
        row.policy,
        Observation(1, 1, seen.pods, Usage({"cpu": {"an-older-pod": Sample(100, LONG_AGO, 60)}})),
        NOW,
    )
    assert found == Failure(
        "FailedGetContainerResourceMetric",
        f"unable to compute the replica count: failed to get cpu utilization: {calculator.NO_MATCH}",
        {},
    )


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


READY, UNREADY, MISSING, IGNORED = "ready", "unready", "missing", "ignored"
GROUPS = {
    "memory: whatever the pod's conditions are": ("memory", Pod("a", "Running"), (0, 60), READY),
    "no Ready condition": ("cpu", Pod("a", "Running", started_at=NOW), (0, 60), UNREADY),
    "no start": ("cpu", Pod("a", "Running", is_ready=YES, ready_since=ago(60)), (0, 60), UNREADY),
    "ready, and measured all the while": ("cpu", Pod("a", "Running", NO, YES, ago(30), ago(60)), (0, 30), READY),
    "ready, but measured from before": ("cpu", Pod("a", "Running", NO, YES, ago(30), ago(60)), (0, 60), UNREADY),
    "not ready while it begins": ("cpu", Pod("a", "Running", NO, NO, ago(54), ago(60)), (0, 60), UNREADY),
    "ready for long, with an old sample": ("cpu", Pod("a", "Running", NO, YES, ago(180), ago(180)), (120, 60), READY),
    "was ready, is no longer": ("cpu", Pod("a", "Running", NO, NO, ago(540), ago(600)), (600, 60), READY),
    "became unready when the delay ends": ("cpu", Pod("a", "Running", NO, NO, ago(590), ago(600)), (0, 60), READY),
    "never was ready": ("cpu", Pod("a", "Running", NO, NO, ago(591), ago(600)), (0, 60), UNREADY),
    "no sample": ("cpu", Pod("a", "Running", started_at=ago(180)), None, MISSING),
    "not scheduled": ("cpu", Pod("a", "Pending"), None, UNREADY),
    "not scheduled, memory": ("memory", Pod("a", "Pending"), (0, 60), UNREADY),
    "being deleted": ("cpu", Pod("a", "Pending", is_terminating=YES), (0, 60), IGNORED),
    "failed": ("cpu", Pod("a", "Failed"), (0, 60), IGNORED),
}  # fmt: skip


@pytest.mark.parametrize(("resource", "pod", "sample", "group"), GROUPS.values(), ids=GROUPS)
def test_pods_are_grouped_as_the_hpa_groups_them(resource, pod, sample, group):
    """Seen through what is asked for: two pods at twice their target, and this one."""
    old = {"is_ready": YES, "ready_since": LONG_AGO, "started_at": LONG_AGO, "requests": {resource: 1000}}
    others = (Pod("b", "Running", **old), Pod("c", "Running", **old))
    samples = {name: Sample(1000, LONG_AGO, 60) for name in "bc"}
    samples |= {"a": Sample(1000, ago(sample[0]), sample[1])} if sample else {}
    is_cold = (lambda each, its: calculator._is_cold(each, its, timing=TIMING, now=NOW)) if resource == "cpu" else None  # noqa: SLF001
    groups = calculator.grouped((pod, *others), samples, is_cold)
    assert (groups.ready, groups.unready, groups.missing, "a" in groups.measured) == {
        READY: (3, set(), set(), True),
        UNREADY: (2, {"a"}, set(), False),
        MISSING: (2, set(), {"a"}, False),
        IGNORED: (2, set(), set(), False),
    }[group]


QUEUE = {
    "more messages, more pods": (3, Backlog(8600, 0), 2150, (0.1, 0.1), 4),
    "fewer messages, fewer pods": (5, Backlog(8600, 0), 2867, (0.1, 0.1), 3),
    "within a tenth nothing changes": (3, Backlog(8600, 0), 2900, (0.1, 0.1), 3),
    "beyond 1 percent it does": (3, Backlog(8600, 0), 2800, (0.1, 0.01), 4),
    "what is not acknowledged counts": (1, Backlog(3, 5), 2, (0.1, 0.1), 4),
    "an empty queue asks for none": (3, Backlog(0, 0), 10, (0.1, 0.1), 0),
    "without pods one message asks for one": (0, Backlog(1, 0), 10, (0.1, 0.1), 1),
    "and none for none": (0, Backlog(0, 0), 10, (0.1, 0.1), 0),
    "the pods are those there are": (4, Backlog(40, 0), 10, (0.1, 0.1), 4),
    "the number stops at the largest": (1, Backlog(MAX_INT64, MAX_INT64), 1, (0.1, 0.1), MAX_INT32),
    "a huge target": (1, Backlog(MAX_INT64, 0), MAX_INT64, (0.1, 0.1), 1),
    "less than nothing is nothing": (1, Backlog(-5, -(10**400)), 10, (0.1, 0.1), 0),
}


def policy(*metrics, average_length=None, tolerance=(0.1, 0.1)):
    down, up = tolerance
    rules = Behavior(SCALE_UP._replace(tolerance=up), SCALE_DOWN._replace(tolerance=down))
    return replace(BASE, metrics=metrics, average_length=average_length, behavior=rules, timing=TIMING)


def test_near_its_target_the_queue_asks_for_the_pods_there_are():
    """In a rollout that is one more than was asked for, and the HPA asks for it, too."""
    found = calculator.proposed(policy(average_length=10), Observation(3, 4, backlog=Backlog(38, 0)), NOW)
    assert found.replicas == 4


@pytest.mark.parametrize(("current", "backlog", "length", "tolerance", "want"), QUEUE.values(), ids=QUEUE)
def test_the_queue_asks_for_what_an_external_metric_would(current, backlog, length, tolerance, want):
    wanted = policy(average_length=length, tolerance=tolerance)
    found = calculator.proposed(wanted, Observation(current, current, backlog=backlog), NOW)
    assert (found.replicas, found.metric) == (want, "queue length")


CPU, MEMORY = ResourceTarget("cpu", 50, None), ResourceTarget("memory", 50, None)
BUSY, HALF, IDLE = 1000, 500, 100


def observed(cpu=None, memory=None, backlog=None, current=3):
    """Return three old pods that all use so much of what they request; None: it cannot be read."""
    requests = {"cpu": 1000, "memory": 1000}
    pods = tuple(Pod(f"pod-{index}", "Running", NO, YES, LONG_AGO, LONG_AGO, requests) for index in range(3))
    levels = {name: level for name, level in (("cpu", cpu), ("memory", memory)) if level is not None}
    samples = {name: {pod.name: Sample(level, LONG_AGO, 60) for pod in pods} for name, level in levels.items()}
    failures = {name: "503 metrics-server is away" for name in ("cpu", "memory") if name not in levels}
    return Observation(current, current, pods, Usage(samples, failures), backlog)


SEVERAL = {
    "the highest wins": (observed(IDLE, BUSY, Backlog(0, 0)), 6, "memory utilization", ""),
    "the queue may be it": (observed(IDLE, HALF, Backlog(90, 0)), 9, "queue length", ""),
    "one that fails does not hold back growth": (observed(None, BUSY, Backlog(0, 0)), 6, "memory utilization", "cpu"),
    "nor what stays": (observed(None, HALF, Backlog(0, 0)), 3, "memory utilization", "cpu"),
    "but it does hold back a scale-in": (observed(None, IDLE, Backlog(0, 0)), None, "cpu utilization", ""),
    "so does the queue": (observed(IDLE, IDLE, Unreadable("Connection refused")), None, "queue length", ""),
    "and one that was not read": (observed(IDLE, IDLE), None, "queue length", ""),
    "all fail": (observed(), None, "cpu utilization", ""),
    "at zero only the queue is asked": (observed(backlog=Backlog(25, 0), current=0), 3, "queue length", ""),
}


@pytest.mark.parametrize(("seen", "want", "metric", "warning"), SEVERAL.values(), ids=SEVERAL)
def test_the_highest_of_several_metrics_wins(seen, want, metric, warning):
    found = calculator.proposed(policy(CPU, MEMORY, average_length=10), seen, NOW)
    if want is None:
        assert isinstance(found, Failure)
        assert found.message.startswith(f"unable to compute the replica count: failed to get {metric}: ")
    else:
        assert isinstance(found, Proposal)
        assert (found.replicas, found.metric) == (want, metric)
        assert found.warning.startswith(f"unable to compute the replica count: failed to get {warning}") or not warning
        assert bool(found.warning) is bool(warning)


def test_what_was_seen_is_told_of_every_metric():
    found = calculator.proposed(policy(CPU, MEMORY, average_length=10), observed(IDLE, HALF, Backlog(2, 3)), NOW)
    assert found.seen == {"cpu": 10, "memory": 50, "queue": 5}
