"""The nouns of scaling: what is asked for, seen, remembered and decided. Pure values.

Words, defaults and units are the HorizontalPodAutoscaler's. Amounts of CPU and memory are in thousandths, as it counts:
millicores, and thousandths of a byte. Times are aware.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Self

from reconciler.model import Condition, Scaling
from render import quantity

TICK_SECONDS = 15.0
"""From a decision to the next, as the HorizontalPodAutoscaler has it."""
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
RESOURCES = ("cpu", "memory")
LIMITS = frozenset({"prefork", "processes", "gevent"})
"""The pools that end a task at its time limit; the others take the option, and do nothing with it."""


@dataclass(frozen=True)
class Timing:
    """What the flags of kube-controller-manager say for every HPA, and how long Celery's answer is waited for."""

    cpu_initialization_seconds: float = 300
    """So long after its start a pod's CPU counts only if it was ready while all of it was measured."""
    initial_readiness_seconds: float = 30
    """A pod that became unready within so long after its start has never been ready."""
    downscale_window_seconds: float = 300
    """How far back a scale-in looks, where `behavior` does not say."""
    silence_seconds: float = 120
    """So long a scale-in waits for Celery to say what runs."""


class ResourceTarget(NamedTuple):
    """How much of a resource each pod shall use on average: one of the two is given."""

    name: str
    """cpu or memory."""
    utilization: int | None
    """Percent of the request."""
    average_value: int | None
    """In thousandths."""


class Tolerance(NamedTuple):
    """How far usage may be off its target, as a share of it, before anything changes."""

    down: float
    up: float

    def holds(self, ratio: float) -> bool:
        """Say whether usage, divided by its target, is near enough to 1."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)


class RateLimit(NamedTuple):
    """How many pods may come, or go, within a time."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: float


class Rules(NamedTuple):
    """How fast the number of pods may change in one direction, as HPAScalingRules with its defaults filled in."""

    window_seconds: float
    tolerance: float
    select: Literal["Max", "Min", "Disabled"]
    policies: tuple[RateLimit, ...]

    def given(self, rules: Mapping[str, Any]) -> Self:
        """Return these with what is written in place of the defaults."""
        policies = tuple(RateLimit(p["type"], p["value"], p["periodSeconds"]) for p in rules.get("policies") or ())
        tolerance = rules.get("tolerance")
        return self._replace(
            window_seconds=rules.get("stabilizationWindowSeconds", self.window_seconds),
            tolerance=self.tolerance if tolerance is None else quantity.milli(tolerance) / 1000,
            select=rules.get("selectPolicy", self.select),
            policies=policies or self.policies,
        )


TOLERANCE = 0.1
SCALE_UP = Rules(0, TOLERANCE, "Max", (RateLimit("Pods", 4, 15), RateLimit("Percent", 100, 15)))
SCALE_DOWN = Rules(300, TOLERANCE, "Max", (RateLimit("Percent", 100, 15),))
"""The defaults of pkg/apis/autoscaling/v2/defaults.go."""


class Behavior(NamedTuple):
    scale_up: Rules = SCALE_UP
    scale_down: Rules = SCALE_DOWN


@dataclass(frozen=True)
class Policy:
    """How one group of workers scales."""

    min_replicas: int
    max_replicas: int
    metrics: tuple[ResourceTarget, ...]
    average_length: int | None
    """Messages for each pod."""
    behavior: Behavior
    cooldown_seconds: float
    paused: bool
    concurrency: int
    """Tasks that run in one pod at a time, as far as is known."""
    max_wait_seconds: float | None = None
    """In which tasks are to begin. Without one of the two the queue does not count."""
    grace_seconds: float = 60
    """In which a pod that goes may finish what it runs."""
    time_limit_seconds: float | None = None
    """After which a task is killed."""
    returns_tasks: bool = False
    """What is not acknowledged is put back in the grace, and runs again elsewhere."""
    reserved: int = 0
    """Tasks that a pod may have taken for each slot besides, and begins even after it was told to go."""
    when_silent: Literal["Hold", "ScaleIn"] = "Hold"
    """What becomes of a scale-in while workers do not say what they run."""
    timing: Timing = field(default=Timing())

    @classmethod
    def of(cls, group: Mapping[str, Any], timing: Timing = Timing()) -> Self:
        """Return the policy of a group with `scaling`, as the renderer's model has it, defaults and all."""
        scaling, pool = group["scaling"], group.get("pool", "prefork")
        queue = scaling.get("queue", {})
        return cls(
            min_replicas=scaling["minReplicas"],
            max_replicas=scaling["maxReplicas"],
            metrics=tuple(_target(name, scaling[name]) for name in RESOURCES if name in scaling),
            average_length=queue.get("averageLength"),
            max_wait_seconds=queue.get("maxWaitSeconds"),
            behavior=_behavior(scaling.get("behavior") or {}, timing),
            cooldown_seconds=scaling["cooldownSeconds"],
            paused=scaling["paused"],
            concurrency=1 if pool == "solo" else max(_concurrency(group), 1),
            grace_seconds=_grace_seconds(group),
            time_limit_seconds=group.get("timeLimitSeconds") if pool in LIMITS else None,
            returns_tasks="softShutdownSeconds" in group,
            # https://github.com/celery/celery/blob/v5.6.0/celery/concurrency/thread.py (on_stop); 5.7 drops them
            reserved=0 if pool != "threads" or group.get("disablePrefetch") else group.get("prefetchMultiplier", 4),
            when_silent=scaling.get("whenSilent", "Hold"),
            timing=timing,
        )

    @property
    def counts_queue(self) -> bool:
        return self.average_length is not None or self.max_wait_seconds is not None

    @property
    def tolerance(self) -> Tolerance:
        return Tolerance(self.behavior.scale_down.tolerance, self.behavior.scale_up.tolerance)


def _concurrency(group: Mapping[str, Any]) -> int:
    """Return it as Celery finds it: `auto` is the CPU limit, rounded up. Without one it is up to the node.

    https://docs.celeryq.dev/en/v5.7.0/userguide/configuration.html#worker-concurrency
    """
    concurrency: int | str = group.get("concurrency", 1)
    if isinstance(concurrency, int):
        return concurrency
    limit = ((group.get("resources") or {}).get("limits") or {}).get("cpu", 0)
    return -(-quantity.milli(limit) // 1000)


def _grace_seconds(group: Mapping[str, Any]) -> float:
    """Return for how long tasks go on in a pod that was told to go."""
    hook = (group.get("lifecycle") or {}).get("preStop") or {}
    slept = (hook.get("sleep") or {}).get("seconds", 0)
    whole = group.get("terminationGracePeriodSeconds", 60) - slept
    return float(min(whole, group.get("softShutdownSeconds", whole)))


def _target(name: str, target: Mapping[str, Any]) -> ResourceTarget:
    value = target.get("averageValue")
    thousandths = None if value is None else max(quantity.milli(value), 1)
    return ResourceTarget(name, target.get("averageUtilization"), thousandths)


def _behavior(written: Mapping[str, Any], timing: Timing) -> Behavior:
    down = SCALE_DOWN._replace(window_seconds=timing.downscale_window_seconds)
    return Behavior(SCALE_UP.given(written.get("scaleUp") or {}), down.given(written.get("scaleDown") or {}))


@dataclass(frozen=True)
class Pod:
    """A pod of the group, as its status tells it."""

    name: str
    phase: str
    is_terminating: bool = False
    is_ready: bool | None = None
    """False if its condition Ready is False, None if it has none; Unknown counts as True, as the HPA counts it."""
    ready_since: datetime | None = None
    """When that condition last changed, either way."""
    started_at: datetime | None = None
    requests: Mapping[str, int | None] = field(default_factory=dict)
    """Of the container that runs Celery, by resource."""
    is_running: bool = True
    """That container does: it is not about to be started again."""
    is_unknown: bool = False
    """Its condition Ready is Unknown: its node is not heard of. To a ReplicaSet it is not ready then."""

    @property
    def was_ready(self) -> bool:
        """Say whether one that is not ready has been: its condition last changed later than any pod's beginning."""
        if self.started_at is None or self.ready_since is None:
            return False
        return self.ready_since - self.started_at > timedelta(seconds=Timing.initial_readiness_seconds)


class Sample(NamedTuple):
    """What the container that runs Celery used of a resource, on average over a window that ends at a time."""

    value: int
    at: datetime
    window_seconds: float


@dataclass(frozen=True)
class Usage:
    """What the pods use, as the metrics API tells it."""

    samples: Mapping[str, Mapping[str, Sample]] = field(default_factory=dict)
    """By resource, then by pod."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a resource could not be read."""


class Backlog(NamedTuple):
    """The messages of a group's queues."""

    waiting: int
    unacknowledged: int
    unread: int = 0
    """Messages that workers hold of which is not known yet whose they are: no demand, but no reason to take a pod."""

    @property
    def demand(self) -> int:
        return max(self.waiting, 0) + max(self.unacknowledged, 0)


class Unreadable(NamedTuple):
    """What could not be measured, and why: never a number."""

    message: str


class Task(NamedTuple):
    """A task that runs, as its worker tells it."""

    id: str
    name: str
    started_at: datetime | None
    """By the worker's clock; None: it does not say."""
    is_acknowledged: bool


TASKS_RUNNING, MESSAGES_UNREAD = "TasksRunning", "MessagesUnread"
CELERY_SILENT, NOT_ASKED = "CelerySilent", "CeleryNotAsked"
"""Why pods must stay."""


class Stay(NamedTuple):
    """So many pods must stay, and why."""

    pods: int = 0
    reason: str = ""
    message: str = ""


class Active(NamedTuple):
    """What runs, in all pods together."""

    tasks: int
    """Those that are known of."""
    busy: Stay = Stay()
    """For the sake of what is known to run."""
    silent: Stay = Stay()
    """For the sake of what might run besides, where nobody says."""
    is_unheard: bool = False
    """Nobody says anything: the broker may be away."""
    in_one_pod: int = 0
    """The most tasks that one pod runs."""


class Silent(NamedTuple):
    """Celery was asked what runs, and did not answer."""


class NotAsked(NamedTuple):
    """Celery may not be asked what runs."""

    message: str = "Celery was not asked what runs"


@dataclass(frozen=True)
class Observation:
    """What is seen of a group in one pass."""

    replicas: int
    """The Deployment's `spec.replicas`."""
    current: int
    """Its `status.replicas`, by which the HPA judges a queue."""
    pods: tuple[Pod, ...] = ()
    usage: Usage = field(default=Usage())
    backlog: Backlog | Unreadable | None = None
    """None: it was not read."""
    active: Active | None = None
    """None: nobody asks, as with an HPA."""
    slots: int | None = None
    """Tasks that would have to run at a time for none to wait longer than it may; None: that is not known."""
    slots_in_one_pod: int = 0
    """As its worker says, if any did: with `concurrency: auto` nobody else knows."""
    at: datetime | None = None
    """When, by the clock of the pods' own times; None: as it is decided."""


class Record(NamedTuple):
    """A recommendation; or a change, by so many pods."""

    at: datetime
    replicas: int


@dataclass(frozen=True)
class History:
    """What one decision tells the next. A new process has an empty one; its first decision begins it anew."""

    recommendations: tuple[Record, ...] = ()
    scale_ups: tuple[Record, ...] = ()
    scale_downs: tuple[Record, ...] = ()
    active_at: datetime | None = None
    """When the queue was last seen with a message, or could not be read."""
    silent_since: datetime | None = None
    """Since when workers do not answer while fewer pods would do."""
    scaled_to_zero: bool = False
    """The last pod was taken by us, not by hand. Nobody else knows after a restart, unless it is remembered for us."""


@dataclass(frozen=True)
class Decision:
    """How many pods there shall be, and why."""

    replicas: int
    reason: str
    """One word, the HPA's where it has one."""
    message: str
    conditions: tuple[Condition, ...]
    """Those that this decision settles: as with the HPA, one that is not among them stays as it was."""
    history: History
    """For the next decision, once `replicas` is written."""
    unwritten: History
    """For the next decision, if it could not be written."""
    metrics: Mapping[str, int] = field(default_factory=dict)
    """What was seen: `cpu` and `memory` on average, in percent or thousandths as the target is; `queue`, the messages
    that wait or are not acknowledged; `wait_seconds`, how long the next one waits; `running`, the tasks."""

    @property
    def is_held(self) -> bool:
        """Say whether pods stay for the sake of what runs, or might run, in them."""
        return self.reason in {TASKS_RUNNING, CELERY_SILENT, NOT_ASKED, MESSAGES_UNREAD}

    @property
    def said(self) -> Scaling:
        return Scaling(self.message, self.conditions, self.metrics.get("wait_seconds"))
