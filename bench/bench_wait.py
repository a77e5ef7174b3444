"""maxWaitSeconds beside the cheapest averageLength that keeps the same wait, KEDA, and an HPA on CPU: docs/scaling.md.

The cheapest length is found by trying: from no line at all to a line as long as the wait. Takes about ten minutes.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from reconciler.scaling.simulation import shapes, simulate, summary
from reconciler.scaling.simulation.contender import Contender
from reconciler.scaling.simulation.simulate import Run
from reconciler.scaling.simulation.traffic import Traffic
from render import load, pipeline, read, schema

APP = Path(__file__).parents[1] / "docs/scaling/wait-60.yaml"
LOADS = ("steady", "daily", "burst")
TASKS = ((0.2,), (2,), (20,), (120,), (0.2, 2, 20, 120))
SHARES = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
"""Of the wait: so long a line each slot may have."""
HEAD = (
    "| load | tasks of | p95 | pod-hours | cheapest `averageLength` | p95 | pod-hours | ratio | KEDA p95 | pod-hours"
    " | HPA p95 | pod-hours |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    print(HEAD)
    for shape in LOADS:
        for task_seconds in TASKS:
            print(row(shape, task_seconds), flush=True)


def contender() -> Contender:
    """Return the group of APP, as simulate reads it."""
    document = load.documents(read.content(str(APP)), str(APP)).documents[0]
    return Contender.of("wait-60", pipeline.app(document, schema.load()).groups[0])


def fixed(length: int) -> Contender:
    """Return the same group with an averageLength."""
    ours = contender()
    return ours._replace(policy=replace(ours.policy, max_wait_seconds=None, average_length=length))


def traffic(shape: str, task_seconds: tuple[float, ...]) -> Traffic:
    """Return what simulate makes of --load and --task-seconds."""
    rate = contender().usual_rate(task_seconds)
    return shapes.traffic(shape, shapes.Amount(rate, task_seconds, shapes.SHAPES[shape].hours, 0))


def row(shape: str, task_seconds: tuple[float, ...]) -> str:
    came = traffic(shape, task_seconds)
    ours = run(contender(), came)
    length, cheapest = min(_keeping(came, task_seconds), key=lambda each: each[1].pod_hours)
    keda, hpa = (run(fixed(length).rival(name), came) for name in ("keda", "hpa-cpu"))
    what = ", ".join(f"{seconds:g} s" for seconds in task_seconds)
    cells = [shape, what, *_figures(ours), str(length), *_figures(cheapest)]
    cells += [f"{ours.pod_hours / cheapest.pod_hours:.2f}", *_figures(keda), *_figures(hpa)]
    return f"| {' | '.join(cells)} |"


def run(who: Contender, came: Traffic) -> Run:
    return simulate.run(who, simulate.World(came))


def p95(found: Run) -> float:
    return summary.percentile(sorted(found.waits), 95)


def _keeping(came: Traffic, task_seconds: tuple[float, ...]) -> Iterator[tuple[int, Run]]:
    """Yield the lengths with which 95 of 100 tasks wait no longer than they may."""
    policy = contender().policy
    average = sum(task_seconds) / len(task_seconds)
    lengths = {max(round(policy.concurrency * (1 + share * policy.max_wait_seconds / average)), 1) for share in SHARES}
    for length in sorted(lengths):
        found = run(fixed(length), came)
        if p95(found) <= policy.max_wait_seconds:
            yield length, found


def _figures(found: Run) -> tuple[str, str]:
    return f"{p95(found):.1f}", f"{found.pod_hours:.1f}"


if __name__ == "__main__":
    main()
