"""How fast tasks come and end, how long they wait, and how many slots it takes that they wait no longer. Pure.

By Little's law a task takes the time in which slots were busy, divided by the tasks that ended in it: nobody needs to
watch single tasks. A slot runs one task at a time; a pod has `concurrency` of them.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Self

from reconciler.scaling.model import Backlog, Pod

START_SECONDS = 30.0
"""From a new pod to its first task, until one was seen to start."""
LONGEST_START_SECONDS = 300.0
"""A pod that became ready only later was ready before."""
DECISION_SECONDS = 15.0
"""A message may come just after a decision."""
SMOOTHED_SECONDS = 240.0
SMOOTHED_TASKS = 20
"""What a task takes is an average over so long, and over so many at least: tasks of an hour end seldom."""
MOST_TASKS = 200
"""While all slots are busy so many tell enough: of more that were fast, a few slow ones would change nothing."""
ARRIVALS_SECONDS = 60.0
"""What arrives is an average over so long."""
SHARE = 0.75
"""Of the wait that is allowed. The rest is for chance: no line stays as it is."""
BUSY = 0.9
"""If so many of the slots are busy, what arrives beyond what ends will wait."""


class Counters(NamedTuple):
    """What a worker says of itself."""

    running: int
    begun: int
    """Tasks, since it started."""
    slots: int


class Line(NamedTuple):
    """What is seen of a group's tasks at one time."""

    at: datetime
    backlog: Backlog
    workers: Mapping[str, Counters]
    """By pod, of those that answered."""
    silent: Mapping[str, int]
    """By pod of those that are, or were, ready and do not count for us: how many of its slots are taken to be busy."""
    starts: Collection[float] = ()
    """In how many seconds pods became ready."""

    @property
    def running(self) -> int:
        return sum(each.running for each in self.workers.values()) + sum(self.silent.values())

    @property
    def waiting(self) -> int:
        """Messages that no slot has begun, on the broker or in the hands of a worker."""
        return max(self.backlog.waiting, 0) + max(self.backlog.unacknowledged - self.running, 0)

    @property
    def slots(self) -> int:
        return sum(each.slots for each in self.workers.values()) + sum(self.silent.values())


class Work(NamedTuple):
    """What was done between two looks."""

    begun: int = 0
    ended: int = 0
    busy_slots: float = 0.0


def starts(pods: Iterable[Pod]) -> tuple[float, ...]:
    """Return in how many seconds the pods that are ready became so."""
    times = ((each.started_at, each.ready_since) for each in pods if each.is_ready)
    return tuple((ready - started).total_seconds() for started, ready in times if started and ready)


@dataclass(frozen=True)
class Pace:
    """What was measured, smoothed. An empty one knows nothing yet."""

    busy_seconds: float = 0.0
    ended: float = 0.0
    arrivals_per_second: float = 0.0
    start_seconds: float = START_SECONDS
    last: Line | None = None
    told: Mapping[str, Counters] = field(default_factory=dict)
    """The last answer of each pod, since whenever."""

    @property
    def task_seconds(self) -> float | None:
        """How long a task takes on average; None while none has ended, however long they run already."""
        return self.busy_seconds / self.ended if self.ended > 0 and self.busy_seconds > 0 else None

    @property
    def slots_in_one_pod(self) -> int:
        return max((each.slots for each in self.told.values()), default=0)

    @property
    def wait_seconds(self) -> float | None:
        """How long a message that comes now waits, if pods stay as they are; None if that is not known."""
        if self.last is None or not self.last.slots:
            return None
        if self.last.waiting == 0:
            return 0.0
        return None if self.task_seconds is None else self.last.waiting * self.task_seconds / self.last.slots

    def after(self, line: Line | None) -> Self:
        """Return what is known after a look. After one that saw nothing all but the averages begins anew."""
        told = {pod: each for pod, each in self.told.items() if line and pod in line.silent}
        now = replace(self, last=line, told={**told, **(line.workers if line else {})})
        if line is not None and (believed := [each for each in line.starts if each <= LONGEST_START_SECONDS]):
            now = replace(now, start_seconds=min(believed))
        if line is None or self.last is None or line.at <= self.last.at:
            return now
        seconds = (line.at - self.last.at).total_seconds()
        done = [self._done(pod, each, line) for pod, each in line.workers.items()]
        ended = sum(each.ended for each in done)
        busy_seconds = (sum(each.busy_slots for each in done) + sum(line.silent.values())) * seconds
        arrived = max(line.waiting - self.last.waiting + sum(each.begun for each in done), 0)
        # If fewer end than should by now, that they have become slower is not to be averaged away.
        expected = max(ended, busy_seconds / self.task_seconds if self.task_seconds else 0.0)
        old = math.exp(-min(seconds / SMOOTHED_SECONDS, expected / SMOOTHED_TASKS))
        if line.waiting and self.last.waiting and self.ended:
            old = min(old, MOST_TASKS / self.ended)
        earlier = math.exp(-seconds / ARRIVALS_SECONDS) if self.last.slots else 0.0
        return replace(
            now,
            busy_seconds=self.busy_seconds * old + busy_seconds,
            ended=self.ended * old + ended,
            arrivals_per_second=self.arrivals_per_second * earlier + arrived / seconds * (1 - earlier),
        )

    def slots(self, max_wait_seconds: float | None) -> int | None:
        """Return how many slots it takes that what comes begins in time; None where that is not asked, or nothing seen.

        For each slot so many messages may be there, with the one it runs, as begin in that time: many where tasks
        are much shorter than the wait, hardly more than one where they are much longer. As long as it is not known how
        long they take, each message has its slot.
        """
        if self.last is None or max_wait_seconds is None:
            return None
        running, waiting, task_seconds = self.last.running, float(self.last.waiting), self.task_seconds
        if task_seconds is None:
            return running + self.last.waiting
        delay = self.start_seconds + DECISION_SECONDS
        seconds = min(SHARE * max_wait_seconds, max_wait_seconds - min(max_wait_seconds / 2, delay))
        if running >= BUSY * self.last.slots:
            # The pods that are asked for now begin when the line has become longer, or shorter.
            waiting = max(waiting + delay * (self.arrivals_per_second - self.last.slots / task_seconds), 0.0)
        return math.ceil((running + waiting) / (1 + seconds / task_seconds))

    def _done(self, pod: str, now: Counters, line: Line) -> Work:
        """Return what a worker did since it was last asked; nothing is known of one that had never answered."""
        before = self.last
        if before is None or (pod in before.silent and pod not in self.told):
            return Work()
        old = self.told.get(pod, Counters(0, 0, 0))
        if now.begun < old.begun:  # it has started anew
            old = Counters(0, 0, 0)
        begun, busy = now.begun - old.begun, (old.running + now.running) / 2
        if before.waiting and line.waiting:  # then no slot was free, though some may be between two tasks just now
            busy = max(busy, min(old.slots, now.slots))
        return Work(begun, max(old.running + begun - now.running, 0), busy)
