"""Simulated runs side by side, as a table. Pure."""

from collections.abc import Iterable, Sequence

from reconciler.scaling.simulation.simulate import Run

_ABOVE = ("", "", "", "WAIT", "", "", "", "PODS", "", "", "POD-", "", "BUSY", "CUT", "NEVER")
_HEAD = (
    "WHO", "TASKS", "BACKLOG", "P50", "P95", "P99", "MAX", "MIN", "MEAN", "MAX", "HOURS", "CHANGES", "TASKS", "OFF",
    "BEGUN",
)  # fmt: skip


def table(runs: Iterable[Run]) -> str:
    """Return a row for each run under a head of two lines; waits are in seconds."""
    rows = [_ABOVE, _HEAD, *map(_row, runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths)).rstrip() for row in rows)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed."""
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)] if ordered else 0.0


def _row(run: Run) -> tuple[str, ...]:
    waits, replicas = sorted(run.waits), [moment.replicas for moment in run.moments]
    mean = sum(replicas) / len(replicas)
    return (
        run.name,
        str(len(waits)),
        str(max(moment.backlog for moment in run.moments)),
        *(f"{percentile(waits, percent):.1f}" for percent in (50, 95, 99, 100)),
        *(str(min(replicas)), f"{mean:.1f}", str(max(replicas))),
        f"{run.pod_hours:.1f}",
        str(run.changes),
        str(run.removed.busy),
        str(run.removed.cut_off),
        str(run.never_begun),
    )


def _aligned(row: tuple[str, ...], widths: list[int]) -> Iterable[str]:
    name, *numbers = row
    yield name.ljust(widths[0])
    yield from map(str.rjust, numbers, widths[1:])
