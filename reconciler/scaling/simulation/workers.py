"""The pods of a simulation, and the tasks they run: what changes in it as time goes on. No clock: time is told.

A pod takes a while to begin, then runs so many tasks at a time, the longest waiting first. A slot that has been free
for longest takes the next task, so a light load is spread over all pods, as brokers do. A pod that is told to go takes
no more, and has a grace period to finish what it runs.
"""

from collections import deque
from collections.abc import Collection
from heapq import heapify, heappush, heapreplace
from typing import NamedTuple

from reconciler.scaling.simulation.traffic import Batch, Traffic


class Terms(NamedTuple):
    """How pods come, work and go."""

    concurrency: int
    """Tasks that a pod runs at a time."""
    start_seconds: float
    grace_seconds: float


class Worker(NamedTuple):
    """A pod; its slots are numbered from its first."""

    first_slot: int
    born_at: float
    ready_at: float

    @property
    def name(self) -> str:
        return f"pod-{self.first_slot}"


class Span(NamedTuple):
    """A task that runs."""

    slot: int
    end: float
    seconds: float


class Removed(NamedTuple):
    """What became of the tasks of pods that went."""

    busy: int
    """They ran when their pod was told to go."""
    cut_off: int
    """They were not done when the grace period ended."""


class Queue:
    """Tasks in the order in which they come."""

    def __init__(self, traffic: Traffic) -> None:
        self.batches: deque[Batch] = deque(traffic.batches())
        self.taken = 0
        """Of the first batch."""

    def waiting(self, until: float) -> int:
        """Return how many have come before a time and were not taken."""
        count = -self.taken
        for batch in self.batches:
            if batch.begins_at >= until:
                break
            count += batch.arrived(until)
        return max(count, 0)

    @property
    def next_at(self) -> float:
        """When the next task comes, or came."""
        if not self.batches:
            return float("inf")
        return self.batches[0].begins_at + self.batches[0].gap_seconds * self.taken


class Workers:
    """All pods there are."""

    def __init__(self, terms: Terms, pods: int) -> None:
        """Begin with so many pods that are ready."""
        self.all: list[Worker] = []
        self.waits: list[float] = []
        """How long each task waited, in the order in which they began."""
        self.gone_seconds = 0.0
        """How long all pods that are gone have lived."""
        self._terms = terms
        self._free: list[tuple[float, int]] = []
        """A heap of (when it is free, slot)."""
        self._used: list[float] = []
        """Seconds of the step in which each slot was busy; also of slots that are gone."""
        self._durations: list[float] = []
        """Of the task that each slot began last."""
        self._begun: list[int] = []
        """Tasks, by slot."""
        self._add(pods, 0, 0)

    def work(self, queue: Queue, until: float) -> None:
        """Begin every task for which a slot is free before a time."""
        free, used, durations, begun, wait = self._free, self._used, self._durations, self._begun, self.waits.append
        batches = queue.batches
        while batches and free:
            begins_at, gap, tasks, duration = batches[0]
            for number in range(queue.taken, tasks):
                arrives_at = begins_at + gap * number
                free_at, slot = free[0]
                start = free_at if free_at > arrives_at else arrives_at  # noqa: FURB136 (a call would cost a third)
                if start >= until:
                    queue.taken = number
                    return
                end = start + duration
                heapreplace(free, (end, slot))
                used[slot] += duration if end <= until else until - start
                durations[slot] = duration
                begun[slot] += 1
                wait(start - arrives_at)
            batches.popleft()
            queue.taken = 0

    def busy(self, now: float) -> dict[int, list[Span]]:
        """Return the tasks that run now, by the first slot of their pod."""
        spans: dict[int, list[Span]] = {worker.first_slot: [] for worker in self.all}
        concurrency, ready = self._terms.concurrency, {w.first_slot for w in self.all if w.ready_at <= now}
        for free_at, slot in self._free:
            if free_at > now and (first := slot - slot % concurrency) in ready:
                spans[first].append(Span(slot, free_at, self._durations[slot]))
        return spans

    def used(self, worker: Worker) -> float:
        """Return the seconds of all its slots together in which they were busy in this step."""
        return sum(self._used[worker.first_slot : worker.first_slot + self._terms.concurrency])

    def begun(self, worker: Worker) -> int:
        """Return how many tasks it has begun."""
        return sum(self._begun[worker.first_slot : worker.first_slot + self._terms.concurrency])

    def advance(self, replicas: int, now: float, until: float, kept: Collection[str] | None = None) -> Removed:
        """Go on with so many pods into the step that ends at a time.

        Of those that are to go the newest do; but where it is known who must stay, those that run least of the others.
        """
        removed = self._remove(len(self.all) - replicas, now, kept) if replicas < len(self.all) else Removed(0, 0)
        self._used = [0.0] * len(self._used)
        ready = {worker.first_slot for worker in self.all if worker.ready_at <= now}
        for free_at, slot in self._free:
            if free_at > now and slot - slot % self._terms.concurrency in ready:
                self._used[slot] = min(free_at, until) - now  # it still runs what it began before
        self._add(replicas - len(self.all), now, now + self._terms.start_seconds)
        return removed

    def _add(self, pods: int, now: float, ready_at: float) -> None:
        for _ in range(pods):
            slots = range(len(self._used), len(self._used) + self._terms.concurrency)
            self.all.append(Worker(slots.start, now, ready_at))
            self._used += [0.0] * len(slots)
            self._durations += [0.0] * len(slots)
            self._begun += [0] * len(slots)
            for slot in slots:
                heappush(self._free, (ready_at, slot))

    def _remove(self, pods: int, now: float, kept: Collection[str] | None) -> Removed:
        busy, killed_at = self.busy(now), now + self._terms.grace_seconds

        def cost(worker: Worker) -> tuple[bool, int, float]:
            if kept is None:
                return False, 0, -worker.born_at
            return worker.name in kept, len(busy[worker.first_slot]), -worker.born_at

        gone = sorted(self.all, key=cost)[:pods]
        ends = [[span.end for span in busy[worker.first_slot]] for worker in gone]
        self.gone_seconds += sum(
            min(max([now, *each]), killed_at) - worker.born_at for worker, each in zip(gone, ends, strict=True)
        )
        firsts = {worker.first_slot for worker in gone}
        self.all = [worker for worker in self.all if worker.first_slot not in firsts]
        concurrency = self._terms.concurrency
        self._free = [(at, slot) for at, slot in self._free if slot - slot % concurrency not in firsts]
        heapify(self._free)
        return Removed(sum(map(len, ends)), sum(at > killed_at for each in ends for at in each))
