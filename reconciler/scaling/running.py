"""Which pods must not go because of what they run, and which go first when a group gets smaller. Pure.

A pod may go if all it runs can end in its grace, or comes back by itself. Which of them go, a ReplicaSet decides: those
that are not ready, then those whose deletion costs least.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from reconciler.model import Moment, Ref
from reconciler.scaling.model import (
    CELERY_SILENT,
    MAX_INT32,
    NOT_ASKED,
    TASKS_RUNNING,
    TICK_SECONDS,
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
"""A pod is told to go so much later than it has said what it runs, at most."""
SEEN_AGAIN_SECONDS = 1.5 * TICK_SECONDS
"""Of a task that has ended and was last seen longer ago it is only roughly known how long it took."""
REMEMBERED = timedelta(hours=1)
"""For so long the longest task of a name counts."""
KEPT_COST = 1_000_000


Run = tuple[str, str, datetime | None]
"""Where a task runs, its id, and when it began, as its worker tells it: one that is retried keeps its id."""


class Sighting(NamedTuple):
    """A task that ran when it was last asked about."""

    pod: str
    task: Task
    since: datetime
    """When it began, by its worker's clock; or else when it was first seen, less a tick."""
    began: datetime
    """The same by our steady clock."""
    at: datetime

    @property
    def ran_seconds(self) -> float:
        """For so long it ran until then."""
        return (self.at - self.began).total_seconds()


class Took(NamedTuple):
    """How long a task took, and when it was seen to have ended."""

    most: float
    """Until its pod was first seen without it."""
    least: float
    """Until it was last seen."""
    at: datetime


@dataclass(frozen=True)
class Experience:
    """How long tasks take, by what was seen of them. Its times are steady."""

    last: Mapping[Run, Sighting] = field(default_factory=dict)
    answered: Mapping[str, datetime] = field(default_factory=dict)
    """When each pod last did."""
    took: Mapping[str, Took] = field(default_factory=dict)
    """The longest of a name."""
    missed: Mapping[str, Took] = field(default_factory=dict)
    """The same of those whose end is only roughly known."""
    running: Mapping[str, float] = field(default_factory=dict)
    """For how many seconds that of a name has run which runs for longest."""

    def after(self, told: Told, now: Moment) -> Self:
        """Return what is known after this. A task that is there no more has ended since it was last seen."""
        tasks: Tasks = told if isinstance(told, Mapping) else {}
        oldest = now.steady - REMEMBERED
        last = {key: each for key, each in self.last.items() if each.at > oldest}
        last |= {_run(pod, each): self._sighting(pod, each, now) for pod, its in tasks.items() for each in its}
        took, missed = ({n: each for n, each in by.items() if each.at > oldest} for by in (self.took, self.missed))
        for key in [key for key, each in last.items() if each.at < now.steady and each.pod in tasks]:
            gone = last.pop(key)
            unseen_seconds = (now.steady - gone.at).total_seconds()
            ended = Took(gone.ran_seconds + unseen_seconds, gone.ran_seconds, now.steady)
            known = took if unseen_seconds <= SEEN_AGAIN_SECONDS else missed
            known[gone.task.name] = max(ended, known.get(gone.task.name, ended))
        answered = {pod: at for pod, at in self.answered.items() if at > oldest} | dict.fromkeys(tasks, now.steady)
        running = dict[str, float]()
        for each in last.values():
            running[each.task.name] = max(each.ran_seconds, running.get(each.task.name, 0.0))
        return type(self)(last, answered, took, missed, running)

    def _sighting(self, pod: str, task: Task, now: Moment) -> Sighting:
        """Return a task as it is seen now. Its worker's clock counts once: no clock that is set makes it older.

        It cannot have begun before its pod was last seen without it, whatever that clock says.
        """
        if before := self.last.get(_run(pod, task)):
            return before._replace(at=now.steady)
        since = task.started_at or now.wall - timedelta(seconds=TICK_SECONDS)
        age = max(now.wall - since, timedelta())
        if pod in self.answered:
            age = min(age, now.steady - self.answered[pod])
        return Sighting(pod, task, since, now.steady - age, now.steady)

    def longest(self, name: str) -> Took | None:
        """Return the longest that a task of a name took. An end that was missed counts if nothing better is known."""
        took, missed = self.took.get(name), self.missed.get(name)
        return missed if took is None or (missed and missed.least > took.most) else took

    def _at_most(self, name: str) -> float:
        """Return how many seconds a task of a name takes; nobody knows while one runs for longer than any took."""
        longest = self.longest(name)
        return longest.most if longest and longest.most >= self.running.get(name, 0.0) else float("inf")

    @property
    def longest_of_all(self) -> float:
        """Return how many seconds a task may take of which not even the name is known."""
        return max(map(self._at_most, {*self.took, *self.missed, *self.running}), default=float("inf"))

    def seconds_left(self, seen: Sighting, limit_seconds: float | None) -> float:
        """Return how long a task may still run: by its limit, and by the longest of its name; else nobody knows.

        The limit is the group's, and a task may have another: then one of its name was seen to run for longer.
        """
        name, age = seen.task.name, seen.ran_seconds
        longest, running = self.longest(name), self.running[name]
        known = [self._at_most(name)]
        ran = running if longest is None else max(longest.least, running)
        if limit_seconds is not None and ran <= limit_seconds + MARGIN_SECONDS:
            known.append(limit_seconds)
        return min((each for each in known if each > age), default=float("inf")) - age


class Kept(NamedTuple):
    """The pods that must not go."""

    busy: Mapping[str, Sighting]
    """By name, with the task that runs for longest of those that could not end."""
    silent: frozenset[str]


class Cost(NamedTuple):
    """What a pod's deletion is to cost, and what it cost before we have written it; None: that is not to be there."""

    pod: Ref
    uid: str
    cost: str | None
    before: str | None


def kept(policy: Policy, pods: Iterable[Pod], told: Told, experience: Experience) -> Kept:
    """Return which pods must not go, by what is known after what was told.

    Those that do not answer are taken to be busy, if they ever were at work.
    """
    tasks: Tasks = told if isinstance(told, Mapping) else {}
    grace, limit = policy.grace_seconds - MARGIN_SECONDS, policy.time_limit_seconds
    busy, silent = {}, set()
    for pod in (each for each in pods if _works(each, answers=each.name in tasks)):
        if pod.name not in tasks:
            silent.add(pod.name)
            continue
        lost = [task for task in tasks[pod.name] if not (policy.returns_tasks and not task.is_acknowledged)]
        seen = [experience.last[_run(pod.name, task)] for task in lost]
        # What a pod has taken besides, it has because no slot is free.
        more = policy.reserved * experience.longest_of_all if len(seen) >= policy.concurrency and policy.reserved else 0
        if late := [each for each in seen if experience.seconds_left(each, limit) + more > grace]:
            busy[pod.name] = min(late, key=lambda each: each.began)
    return Kept(busy, frozenset(silent))


def active(policy: Policy, pods: Sequence[Pod], told: Told, stays: Kept, *, is_rolling: bool) -> Active:
    """Return what a decision has to know of what runs."""
    tasks = [len(its) for its in told.values()] if isinstance(told, Mapping) else []
    busy, silent = Stay(), Stay()
    if stays.busy:
        oldest = min(stays.busy.values(), key=lambda each: each.began)
        message = (
            f"{oldest.pod} runs {oldest.task.name} since {oldest.since:%H:%M:%S} UTC, "
            f"which might not end within {policy.grace_seconds:g} s"
        )
        if policy.reserved:
            message += ", or what its pod has taken besides might not"
        busy = Stay(_least(pods, stays.busy, is_rolling=is_rolling), TASKS_RUNNING, message)
    if stays.silent:
        first, *others = sorted(stays.silent)
        who = f"{first} and others do" if others else f"{first} does"
        why = told.message if isinstance(told, NotAsked) else f"{who} not answer what runs"
        least = _least(pods, {*stays.busy, *stays.silent}, is_rolling=is_rolling)
        silent = Stay(least, NOT_ASKED if isinstance(told, NotAsked) else CELERY_SILENT, why)
    if is_rolling and (stays.busy or stays.silent):
        why = "pods are being replaced, and which would go is not certain"
        busy, silent = (
            each._replace(message=f"{each.message}; {why}") if each.pods else each for each in (busy, silent)
        )
    return Active(sum(tasks), busy, silent, is_unheard=isinstance(told, Silent), in_one_pod=max(tasks, default=0))


def unknown(pods: Iterable[Pod], count: int) -> str:
    """Return that pods are not known of yet, if there are more: nobody has asked those."""
    missing = count - sum(map(_is_there, pods))
    return f"{missing} pods are not known yet" if missing > 0 else ""


def costs(pods: Sequence[Seen], told: Told, stays: Kept) -> tuple[Cost, ...]:
    """Return the deletion costs that are to change: the tasks a pod runs, and much more for one that must not go."""
    tasks: Tasks = told if isinstance(told, Mapping) else {}
    there = [each for each in pods if not each.pod.is_terminating]
    must_stay = {*stays.busy, *stays.silent}
    if all(each.pod.name in must_stay for each in there):
        must_stay = set()

    def cost(pod: Pod) -> int:
        return len(tasks.get(pod.name, ())) + (KEPT_COST if pod.name in must_stay else 0)

    found = ((each, cost(each.pod)) for each in there)
    return tuple(Cost(each.ref, each.uid, str(new), _before(each)) for each, new in found if new != each.deletion_cost)


def _before(seen: Seen) -> str:
    if seen.cost_before is not None:
        return seen.cost_before
    return str(seen.deletion_cost) if seen.deletion_cost else ""


def taken_back(pods: Iterable[Seen]) -> tuple[Cost, ...]:
    """Return what stood there before for each cost that we have written."""
    ours = (each for each in pods if each.cost_before is not None and not each.pod.is_terminating)
    return tuple(Cost(each.ref, each.uid, each.cost_before or None, None) for each in ours)


def _run(pod: str, task: Task) -> Run:
    return pod, task.id, task.started_at


def _works(pod: Pod, *, answers: bool) -> bool:
    """Say whether a pod may run tasks: Celery runs in it, and says so, or the pod is ready or has been."""
    if not (_is_there(pod) and pod.is_running):
        return False
    return answers or pod.is_ready is not False or pod.was_ready


def _is_there(pod: Pod) -> bool:
    """Say whether a pod is one of its ReplicaSet's."""
    return not pod.is_terminating and pod.phase not in {"Failed", "Succeeded"}


def _least(pods: Iterable[Pod], must_stay: Iterable[str], *, is_rolling: bool) -> int:
    """Return with how many pods at least none of those goes: a ReplicaSet begins with those that are not ready.

    Of several ReplicaSets a Deployment makes each smaller, whatever runs there.
    """
    there = {pod.name: pod for pod in pods if _is_there(pod)}
    must_stay = set(must_stay)
    if is_rolling:
        return MAX_INT32
    ready = {name for name, pod in there.items() if pod.is_ready and not pod.is_unknown}
    free = there.keys() - must_stay if must_stay <= ready else there.keys() - must_stay - ready
    return len(there) - len(free)
