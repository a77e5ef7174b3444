"""Which pods must not go because of what they run, and which go first when a group gets smaller. Pure.

A pod may go if all it runs can end in its grace, or comes back by itself. Which of them go, a ReplicaSet decides: those
that are not ready, then those whose deletion costs least.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from reconciler.model import Ref
from reconciler.scaling.model import (
    CELERY_SILENT,
    MAX_INT32,
    NOT_ASKED,
    TASKS_RUNNING,
    Active,
    NotAsked,
    Pod,
    Policy,
    Silent,
    Stay,
    Task,
)
from reconciler.scaling.usage import Seen

Tasks = Mapping[str, tuple[Task, ...]]
"""By the pod that runs them; a pod that did not say is not there."""
Told = Tasks | Silent | NotAsked

MARGIN_SECONDS = 5.0
"""A pod is told to go so much later than its tasks were asked about, at most."""
SEEN_AGAIN_SECONDS = 45.0
"""Three ticks. When a task has ended that was last seen longer ago, says nothing of how long such tasks take."""
REMEMBERED = timedelta(hours=1)
"""For so long the longest task of a name counts."""
KEPT_COST = 1_000_000


class Sighting(NamedTuple):
    """A task that ran when it was last asked about."""

    pod: str
    task: Task
    at: datetime


class Took(NamedTuple):
    """The longest that a task of a name can have taken, and when it ended."""

    seconds: float
    at: datetime


@dataclass(frozen=True)
class Experience:
    """How long tasks take, by what was seen of them."""

    last: Mapping[str, Sighting] = field(default_factory=dict)
    """By id."""
    took: Mapping[str, Took] = field(default_factory=dict)
    """By name."""

    def after(self, told: Told, at: datetime) -> Self:
        """Return what is known after this. A task that is there no more has ended since it was last seen."""
        tasks: Tasks = told if isinstance(told, Mapping) else {}
        running = {task.id: Sighting(pod, task, at) for pod, its in tasks.items() for task in its}
        last = {id_: each for id_, each in self.last.items() if at - each.at < REMEMBERED} | running
        took = {name: each for name, each in self.took.items() if at - each.at < REMEMBERED}
        for id_ in [id_ for id_, each in last.items() if each.at < at and each.pod in tasks]:
            _, task, seen_at = last.pop(id_)
            ended = Took((at - task.started_at).total_seconds(), at)
            if (at - seen_at).total_seconds() <= SEEN_AGAIN_SECONDS and ended > took.get(task.name, (0.0, at)):
                took[task.name] = ended
        return type(self)(last, took)

    def seconds_left(self, task: Task, limit_seconds: float | None, at: datetime) -> float:
        """Return how long a task may still run: by its limit, and by the longest of its name; else nobody knows."""
        age = (at - task.started_at).total_seconds()
        known = [each for each in (limit_seconds, self.took.get(task.name, (None, at))[0]) if each and each > age]
        return min(known, default=float("inf")) - max(age, 0.0)


class Kept(NamedTuple):
    """The pods that must not go."""

    busy: Mapping[str, Task]
    """By name, with a task that could not end."""
    silent: frozenset[str]


class Cost(NamedTuple):
    """What a pod's deletion is to cost."""

    pod: Ref
    uid: str
    cost: int


def kept(policy: Policy, pods: Iterable[Pod], told: Told, experience: Experience, at: datetime) -> Kept:
    """Return which pods must not go, those that do not answer taken to be busy, if they ever were at work."""
    tasks: Tasks = told if isinstance(told, Mapping) else {}
    grace, limit = policy.grace_seconds - MARGIN_SECONDS, policy.time_limit_seconds
    busy, silent = {}, set()
    for pod in (each for each in pods if _works(each, answers=each.name in tasks)):
        if pod.name not in tasks:
            silent.add(pod.name)
            continue
        lost = [task for task in tasks[pod.name] if not (policy.returns_tasks and not task.is_acknowledged)]
        late = [task for task in lost if experience.seconds_left(task, limit, at) > grace]
        if late:
            busy[pod.name] = min(late, key=lambda task: task.started_at)
    return Kept(busy, frozenset(silent))


def active(policy: Policy, pods: Sequence[Pod], told: Told, stays: Kept, *, is_rolling: bool) -> Active:
    """Return what a decision has to know of what runs."""
    tasks = sum(map(len, told.values())) if isinstance(told, Mapping) else 0
    busy, silent = Stay(), Stay()
    if stays.busy:
        oldest = min(stays.busy.values(), key=lambda task: task.started_at)
        message = (
            f"{_pods(stays.busy)} tasks that might not end within {policy.grace_seconds:g} s: "
            f"{oldest.name} runs since {oldest.started_at:%H:%M:%S} UTC"
        )
        busy = Stay(_least(pods, stays.busy, is_rolling=is_rolling), TASKS_RUNNING, message)
    if stays.silent:
        why = told.message if isinstance(told, NotAsked) else f"{_pods(stays.silent, 'do')} not answer what runs"
        least = _least(pods, {*stays.busy, *stays.silent}, is_rolling=is_rolling)
        silent = Stay(least, NOT_ASKED if isinstance(told, NotAsked) else CELERY_SILENT, why)
    if is_rolling and (stays.busy or stays.silent):
        why = "pods are being replaced, and which would go is not certain"
        busy, silent = (
            each._replace(message=f"{each.message}; {why}") if each.pods else each for each in (busy, silent)
        )
    return Active(tasks, busy, silent)


def costs(pods: Sequence[Seen], told: Told, stays: Kept) -> tuple[Cost, ...]:
    """Return the deletion costs that are to change: the tasks a pod runs, and much more for one that must not go."""
    tasks: Tasks = told if isinstance(told, Mapping) else {}
    must_stay = {*stays.busy, *stays.silent} if isinstance(told, Mapping) else stays.busy.keys()

    def cost(pod: Pod) -> int:
        return len(tasks.get(pod.name, ())) + (KEPT_COST if pod.name in must_stay else 0)

    found = (Cost(each.ref, each.uid, cost(each.pod)) for each in pods if not each.pod.is_terminating)
    before = {each.uid: each.deletion_cost for each in pods}
    return tuple(each for each in found if each.cost != before[each.uid])


def taken_back(pods: Iterable[Seen]) -> tuple[Cost, ...]:
    """Return the costs that are of no use any more."""
    return tuple(Cost(each.ref, each.uid, 0) for each in pods if each.deletion_cost and not each.pod.is_terminating)


def _works(pod: Pod, *, answers: bool) -> bool:
    """Say whether a pod may run tasks: Celery runs in it, and says so, or the pod is ready or has been."""
    if pod.is_terminating or pod.phase in {"Failed", "Succeeded"} or not pod.is_running:
        return False
    return answers or pod.is_ready is not False or pod.was_ready


def _least(pods: Iterable[Pod], must_stay: Iterable[str], *, is_rolling: bool) -> int:
    """Return with how many pods at least none of those goes: a ReplicaSet begins with those that are not ready.

    Of several ReplicaSets a Deployment makes each smaller, whatever runs there.
    """
    there = {pod.name: pod for pod in pods if not pod.is_terminating and pod.phase not in {"Failed", "Succeeded"}}
    must_stay = set(must_stay)
    if is_rolling:
        return MAX_INT32
    before_all = all(there[name].is_ready for name in must_stay)
    free = [pod for name, pod in there.items() if name not in must_stay and (before_all or not pod.is_ready)]
    return len(there) - len(free)


def _pods(names: Iterable[str], does: str = "run") -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} more {does}" if others else f"{first} {'does' if does == 'do' else 'runs'}"
