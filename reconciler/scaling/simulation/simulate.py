"""What would become of a load: the same code that decides in a cluster, over invented time. Pure.

How the world is simplified, the same for all that are compared:

- Time goes in steps. At the end of each one everything is measured and decided at once, without the half minute that
  metrics take on their way in a cluster.
- A task is acknowledged when it is done, and no pod takes more tasks than it runs.
- Tasks begin in the order in which they came, and all of a step run equally long.
- Of its CPU request a pod uses the share of its slots that are busy; or so much for each task, if that is given.
- Nodes are always there. A pod begins to work `start_seconds` after it is asked for.
- A task that is cut off when its pod goes is counted, and not run again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from reconciler.scaling.model import Pod, Sample, Task, Usage
from reconciler.scaling.pace import Counters
from reconciler.scaling.simulation import contender
from reconciler.scaling.simulation.contender import Contender, Kind, Remembered, Seen
from reconciler.scaling.simulation.traffic import Traffic
from reconciler.scaling.simulation.workers import Queue, Removed, Span, Terms, Worker, Workers

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class World(NamedTuple):
    """What is the same for all."""

    traffic: Traffic
    step_seconds: float = 15
    start_seconds: float = 20
    cpu_per_task: int | None = None
    """Millicores."""


class Moment(NamedTuple):
    """How things stood at the end of a step."""

    seconds: float
    arrived: int
    """Tasks, since the beginning."""
    backlog: int
    """Tasks that wait."""
    wait_seconds: float
    """Of the task that waited longest, of those that began in the step and those that wait."""
    replicas: int
    """As was decided."""


@dataclass(frozen=True)
class Run:
    """What became of the load."""

    name: str
    kind: Kind
    moments: tuple[Moment, ...]
    waits: tuple[float, ...]
    """How long each task waited, in the order in which they began."""
    never_begun: int
    pod_hours: float
    removed: Removed

    @property
    def changes(self) -> int:
        """How often the number of pods was changed, after the first decision."""
        return sum(before.replicas != after.replicas for before, after in pairwise(self.moments))


def run(who: Contender, world: World) -> Run:
    """Return what becomes of the load. It goes on without arrivals until all is done, at most for as long again."""
    terms = Terms(who.policy.concurrency, world.start_seconds, who.grace_seconds)
    workers, queue = Workers(terms, who.policy.min_replicas), Queue(world.traffic)
    remembered, now = Remembered(), 0.0
    moments: list[Moment] = []
    removed: list[Removed] = []
    while now < world.traffic.end_seconds or (queue.batches and now < 2 * world.traffic.end_seconds):
        now, began = now + world.step_seconds, len(workers.waits)
        workers.work(queue, now)
        seen = _seen(who, world, workers, queue.waiting(now), now)
        replicas, remembered, kept = contender.decided(who, seen, remembered)
        longest = max([*workers.waits[began:], now - queue.next_at, 0.0])
        moments.append(Moment(now, len(workers.waits) + seen.waiting, seen.waiting, longest, replicas))
        removed.append(workers.advance(replicas, now, now + world.step_seconds, kept))
    pod_seconds = workers.gone_seconds + sum(now - worker.born_at for worker in workers.all)
    return Run(
        name=who.name,
        kind=who.kind,
        moments=tuple(moments),
        waits=tuple(workers.waits),
        never_begun=world.traffic.arrivals - len(workers.waits),
        pod_hours=pod_seconds / 3600,
        removed=Removed(*map(sum, zip(*removed, strict=True))),
    )


def _seen(who: Contender, world: World, workers: Workers, waiting: int, now: float) -> Seen:
    pods: tuple[Pod, ...] = ()
    samples: dict[str, Sample] = {}
    time = _at(now)
    if who.policy.metrics or who.kind == "reconciler":
        pods = tuple(_pod(worker, who.cpu_request, worker.ready_at <= now) for worker in workers.all)
    if who.policy.metrics:
        slot = who.cpu_request / who.policy.concurrency if world.cpu_per_task is None else world.cpu_per_task
        share = slot / world.step_seconds
        samples = {
            pod.name: Sample(round(workers.used(worker) * share), time, world.step_seconds)
            for pod, worker in zip(pods, workers.all, strict=True)
        }
    busy = workers.busy(now)
    tasks = {
        worker.name: tuple(map(_task, busy[worker.first_slot])) for worker in workers.all if worker.ready_at <= now
    }
    is_polled = now // contender.POLLING_SECONDS > (now - world.step_seconds) // contender.POLLING_SECONDS
    counters = {
        worker.name: Counters(len(tasks[worker.name]), workers.begun(worker), who.policy.concurrency)
        for worker in workers.all
        if worker.ready_at <= now
    }
    return Seen(len(workers.all), waiting, tasks, counters, pods, Usage({"cpu": samples}), time, is_polled)


def _task(span: Span) -> Task:
    """Return a task, named by how long those of its kind take; it is acknowledged as it begins."""
    began = span.end - span.seconds
    return Task(f"{span.slot} {began}", f"{span.seconds:g} s", _at(began), is_acknowledged=True)


@lru_cache(maxsize=1000)
def _pod(worker: Worker, cpu_request: int, is_ready: bool) -> Pod:  # noqa: FBT001 (lru_cache makes a key of it)
    return Pod(
        name=worker.name,
        phase="Running",
        is_ready=is_ready,
        ready_since=_at(worker.ready_at if is_ready else worker.born_at),
        started_at=_at(worker.born_at),
        requests={"cpu": cpu_request},
    )


def _at(seconds: float) -> datetime:
    return BEGINNING + timedelta(seconds=seconds)
