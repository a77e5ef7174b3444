"""Who scales in a simulation: the app as it is written, or what it is compared with. Pure: they decide by decide.py.

`hpa-cpu` is a HorizontalPodAutoscaler on 80 percent of the CPU request: it knows nothing of the queue.
`keda` is KEDA as it scales by the length of a Redis list, or of a RabbitMQ queue over AMQP: what a worker has taken
does not count, an HPA goes between 1 and the most, and KEDA looks every 30 s whether to go to zero or to wake up.
Neither knows which pod is at work: the newest goes first, as a ReplicaSet has it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Self

from reconciler.model import Moment
from reconciler.scaling import decide, running
from reconciler.scaling.model import (
    Active,
    Backlog,
    Behavior,
    History,
    Observation,
    Pod,
    Policy,
    ResourceTarget,
    Usage,
)
from reconciler.scaling.pace import Counters, Line, Pace, starts
from reconciler.scaling.running import Experience, Tasks
from render import quantity
from render.model import Component

POLLING_SECONDS = 30
SHARE = 0.3
"""Of what the most pods can do: so much arrives if nothing is said."""
CPU_PERCENT = 80
CPU_REQUEST = 1000
AVERAGE_LENGTH = 1
"""Messages for each task that a pod runs at a time, where the app scales by none: the start that the CRD recommends."""

Kind = Literal["reconciler", "hpa", "keda"]
KINDS: Mapping[str, Kind] = {"Reconciler": "reconciler", "HPA": "hpa", "KEDA": "keda"}
ENGINE = "Reconciler"
"""That asks workers what they run."""
MODELLED = {"ignores_memory": False, "ignores_silence": False}
RIVALS: tuple[str, ...] = ("hpa-cpu", "keda")


class Seen(NamedTuple):
    """What there is to see at the moment of a decision."""

    replicas: int
    waiting: int
    tasks: Tasks
    """Those that run."""
    counters: Mapping[str, Counters]
    """Of the pods that are ready."""
    pods: tuple[Pod, ...]
    usage: Usage
    now: datetime
    is_polled: bool
    """KEDA looks just now."""


class Contender(NamedTuple):
    """A name, a policy, and who acts by it."""

    name: str
    kind: Kind
    policy: Policy
    grace_seconds: float
    """In which a pod that goes may finish what it runs."""
    cpu_request: int
    """Of each pod, in millicores."""
    ignores_memory: bool = False
    """It scales by memory too, of which there is no model."""
    ignores_silence: bool = False
    """Its workers cannot be asked what they run, of which there is none either."""

    @classmethod
    def of(cls, name: str, group: Component, broker: str = "") -> Self:
        """Return the group of workers as it is written, whoever scales it; without `scaling` nobody does."""
        scaling = group.spec.get("scaling") or _fixed(group.spec.get("replicas", 1))
        policy = Policy.of({**group.spec, "scaling": scaling})
        measured = tuple(target for target in policy.metrics if target.name == "cpu")
        return cls(
            name=name,
            kind=KINDS[scaling["engine"]],
            policy=replace(policy, metrics=measured),
            grace_seconds=group.spec["terminationGracePeriodSeconds"],
            cpu_request=_request(group.spec),
            ignores_memory=measured != policy.metrics,
            ignores_silence="scaling" in group.spec and scaling["engine"] == ENGINE and _is_silent(group, broker),
        )

    def usual_rate(self, task_seconds: Sequence[float]) -> float:
        """Return how many tasks a second are a load for it, if nothing is said: SHARE of what the most pods can do."""
        slots = self.policy.max_replicas * self.policy.concurrency
        return SHARE * slots * len(task_seconds) / sum(task_seconds)

    def rival(self, name: str) -> Self:
        """Return who could scale the same group in its place."""
        lowest = self.policy.min_replicas
        if name == "keda":
            length = self.policy.average_length or AVERAGE_LENGTH * self.policy.concurrency
            policy = replace(self.policy, metrics=(), average_length=length, max_wait_seconds=None)
            policy = replace(policy, cooldown_seconds=300, paused=False)
            return self._replace(name="keda", kind="keda", policy=policy, **MODELLED)
        target = ResourceTarget("cpu", CPU_PERCENT, None)
        policy = replace(self.policy, metrics=(target,), average_length=None, max_wait_seconds=None)
        policy = replace(policy, behavior=Behavior(), paused=False, min_replicas=max(lowest, 1))
        return self._replace(name="hpa-cpu", kind="hpa", policy=policy, **MODELLED)


class Remembered(NamedTuple):
    """What one decision tells the next."""

    history: History = History()
    experience: Experience = Experience()
    pace: Pace = Pace()


class Known(NamedTuple):
    """What only workers can tell: what runs, and the slots that are needed."""

    active: Active | None = None
    slots: int | None = None


NOTHING = Known()


class Decided(NamedTuple):
    replicas: int
    remembered: Remembered
    kept: Collection[str] | None
    """The pods that must stay; None: nobody has asked which."""


def decided(contender: Contender, seen: Seen, before: Remembered) -> Decided:
    """Return how many pods there shall be, and what is remembered of it."""
    policy, tasks = contender.policy, sum(map(len, seen.tasks.values()))
    if contender.kind == "keda":
        replicas, history = _by_keda(policy, seen, before.history)
        return Decided(replicas, before._replace(history=history), None)
    backlog = Backlog(seen.waiting, tasks)
    if contender.kind == "hpa":
        replicas, history = _by_decision(policy, seen, before.history, backlog)
        return Decided(replicas, before._replace(history=history), None)
    experience = before.experience.after(seen.tasks, Moment(seen.now, seen.now))
    kept = running.kept(policy, seen.pods, seen.tasks, experience)
    active = running.active(policy, seen.pods, seen.tasks, kept, is_rolling=False)
    pace = before.pace.after(Line(seen.now, backlog, seen.counters, {}, starts(seen.pods)))
    needed = Known(active, pace.slots(policy.max_wait_seconds))
    replicas, history = _by_decision(policy, seen, before.history, backlog, needed)
    return Decided(replicas, Remembered(history, experience, pace), kept.busy.keys())


def _by_decision(
    policy: Policy, seen: Seen, history: History, backlog: Backlog, known: Known = NOTHING
) -> tuple[int, History]:
    observation = Observation(seen.replicas, seen.replicas, seen.pods, seen.usage, backlog, *known, at=seen.now)
    decision = decide.decision(policy, observation, history, seen.now)
    return decision.replicas, decision.history


def _by_keda(policy: Policy, seen: Seen, history: History) -> tuple[int, History]:
    """Return what KEDA does, where it looks just now, and else what its HPA does."""
    if seen.is_polled:
        if seen.waiting:
            history = replace(history, active_at=seen.now)
            if seen.replicas == 0:
                return max(policy.min_replicas, 1), history
        elif policy.min_replicas == 0 and _is_over(policy, seen, history):
            return 0, history
    if seen.replicas == 0:
        return 0, history
    alone = replace(policy, min_replicas=max(policy.min_replicas, 1))
    count, after = _by_decision(alone, seen, history, Backlog(seen.waiting, 0))
    return count, replace(after, active_at=history.active_at or seen.now)


def _is_over(policy: Policy, seen: Seen, history: History) -> bool:
    since = history.active_at
    return since is not None and seen.now - since >= timedelta(seconds=policy.cooldown_seconds)


def _is_silent(group: Component, broker: str) -> bool:
    """Say whether the workers cannot be asked what they run."""
    is_off = group.spec.get("settings", {}).get("worker_enable_remote_control") is False
    return is_off or broker == "SQS"


def _fixed(replicas: int) -> Mapping[str, Any]:
    return {
        "minReplicas": replicas,
        "maxReplicas": max(replicas, 1),
        "cooldownSeconds": 0,
        "paused": True,
        "engine": "Reconciler",
    }


def _request(spec: Mapping[str, Any]) -> int:
    request = spec.get("resources", {}).get("requests", {}).get("cpu")
    return CPU_REQUEST if request is None else max(quantity.milli(request), 1)
