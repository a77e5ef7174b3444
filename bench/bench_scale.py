"""How fast decisions are: on their own, and in a simulated day. `make bench` prints the tables."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from reconciler.scaling import decide
from reconciler.scaling.model import (
    Active,
    Backlog,
    Behavior,
    History,
    Observation,
    Pod,
    Policy,
    ResourceTarget,
    Sample,
    Usage,
)
from reconciler.scaling.simulation import shapes, simulate
from reconciler.scaling.simulation.contender import Contender
from reconciler.scaling.simulation.shapes import Amount

ROUNDS = 3
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS = 1000
POLICY = Policy(
    min_replicas=1,
    max_replicas=20,
    metrics=(ResourceTarget("cpu", 80, None),),
    average_length=4,
    behavior=Behavior(),
    cooldown_seconds=300,
    paused=False,
    concurrency=4,
)


def main() -> None:
    print(
        f"{GROUPS} groups of 3 pods, scaled by queue and CPU, with 30 recommendations each; medians of {ROUNDS} rounds"
    )
    seconds = median(lambda: decided(history()))
    row("all", f"{seconds * 1000:.0f} ms of CPU")
    row("a decision", f"{seconds / GROUPS * 1e6:.0f} µs")

    print(f"\nA day in steps of 15 s, medians of {ROUNDS} rounds")
    who = Contender("shop/worker", "reconciler", POLICY, grace_seconds=60, cpu_request=500)
    for tasks_per_second in (0.5, 2.4):
        load = shapes.traffic("daily", Amount(tasks_per_second, [10], 24, seed=0))
        for each in (who, who.rival("hpa-cpu"), who.rival("keda")):
            seconds = median(lambda each=each, load=load: simulate.run(each, simulate.World(load)))
            row(f"{load.arrivals} tasks, {each.name}", f"{seconds:.2f} s of CPU")


def decided(before: History) -> None:
    pods = tuple(
        Pod(f"pod-{number}", "Running", is_ready=True, ready_since=NOW, started_at=NOW, requests={"cpu": 500})
        for number in range(3)
    )
    later = NOW + timedelta(hours=1)
    usage = Usage({"cpu": {pod.name: Sample(300, later, 15) for pod in pods}})
    seen = Observation(3, 3, pods, usage, Backlog(7, 5), Active(9))
    for _ in range(GROUPS):
        decide.decision(POLICY, seen, before, later)


def history() -> History:
    """Return what five minutes of passes leave."""
    before = History()
    for number in range(30):
        at = NOW + timedelta(hours=1, seconds=10 * (number - 30))
        before = decide.decision(POLICY, Observation(3, 3, backlog=Backlog(7, 5)), before, at).history
    return before


def median(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that the work takes."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def row(name: str, value: str) -> None:
    print(f"  {name:<50} {value}")


if __name__ == "__main__":
    main()
