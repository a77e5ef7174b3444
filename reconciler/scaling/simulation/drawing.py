"""Simulated runs as a picture: what arrives, the backlog, the wait and the pods, one above the other."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reconciler.scaling.simulation.simulate import Moment, Run

POINTS = 120
"""Of a line, at most; more would not be seen."""
_FINE = re.compile(r"\d+\.\d{2,}")
_STYLE: Any = {
    "svg.fonttype": "none",  # text as text: small, and to be searched
    "svg.hashsalt": "celery-render",  # the same picture for the same runs
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 9,
    "lines.linewidth": 1.2,
}

Point = tuple[float, float]


def save(runs: Sequence[Run], path: Path) -> None:
    """Write the picture, as SVG or PNG by its name."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 8), layout="constrained")
        arrivals, backlog, wait, pods = figure.subplots(4, sharex=True)
        _line(arrivals, _rate(runs[0].moments), color="black")
        for run in runs:
            _line(backlog, _of(run, lambda moment: moment.backlog))
            _line(wait, _of(run, lambda moment: moment.wait_seconds))
            _line(pods, _of(run, lambda moment: moment.replicas), label=run.name, drawstyle="steps-post")
        for axes, title in zip(figure.axes, ("tasks/s", "backlog", "longest wait, s", "pods"), strict=True):
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
        pods.set_xlabel("hours")
        figure.legend(loc="outside upper center", ncols=len(runs), frameon=False)
        if path.suffix == ".svg":
            path.write_text(_svg(figure), encoding="utf-8")
        else:
            figure.savefig(path)


def _svg(figure: Figure) -> str:
    """Return the picture without a date, and with coordinates no finer than can be seen: half as large."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return _FINE.sub(lambda number: f"{round(float(number[0]), 1):g}", text.getvalue()).replace(" \nL ", "L")


def _line(axes: Axes, points: Iterable[Point], **how: str) -> None:
    axes.plot(*zip(*thinned(tuple(points)), strict=True), **how)  # type: ignore[arg-type]


def _of(run: Run, value: Callable[[Moment], float]) -> Iterator[Point]:
    return ((moment.seconds / 3600, value(moment)) for moment in run.moments)


def _rate(moments: Sequence[Moment]) -> Iterator[Point]:
    for before, after in pairwise(moments):
        arrived = after.arrived - before.arrived
        yield after.seconds / 3600, arrived / (after.seconds - before.seconds)


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Return the highest point of each of so many parts: no peak is lost."""
    part = max(-(-len(points) // POINTS), 1)
    return [
        (points[begin][0], max(value for _, value in points[begin : begin + part]))
        for begin in range(0, len(points), part)
    ]
