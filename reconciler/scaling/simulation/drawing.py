"""Simulated runs as a picture: what arrives, the backlog, the wait and the pods, one above the other."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO, StringIO
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reconciler.scaling.simulation.contender import Kind
from reconciler.scaling.simulation.simulate import Moment, Run

POINTS = 120
"""Of a line, at most; more would not be seen."""
_FINE = re.compile(r"\d+\.\d{2,}")
_COLORS: Mapping[Kind, str] = {"reconciler": "C0", "hpa": "C1", "keda": "C2"}
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
        for run, color in zip(runs, colors(runs), strict=True):
            _line(backlog, _of(run, lambda moment: moment.backlog), color=color)
            _line(wait, _of(run, lambda moment: moment.wait_seconds), color=color)
            _line(pods, _of(run, lambda moment: moment.replicas), color=color, label=run.name, drawstyle="steps-post")
        for axes, title in zip(figure.axes, ("tasks/s", "backlog", "longest wait, s", "pods"), strict=True):
            axes.set_ylabel(title)
            axes.set_ylim(bottom=0)
        pods.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        pods.set_xlabel("hours")
        figure.legend(loc="outside upper center", ncols=len(runs), frameon=False)
        _replace(path, _svg(figure) if path.suffix == ".svg" else _png(figure))


def colors(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the color of each run: that of who scales it, another for each further run of the same."""
    own, others = dict(_COLORS), (f"C{number % 10}" for number in count(len(_COLORS)))
    for run in runs:
        yield own.pop(run.kind, "") or next(others)


def _replace(path: Path, picture: bytes) -> None:
    """Put the picture into its place, whole or not at all; a link leads to it as before."""
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(picture)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _svg(figure: Figure) -> bytes:
    """Return the picture without a date, and with coordinates no finer than can be seen: half as large."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    fine = text.getvalue()
    return _FINE.sub(lambda number: f"{round(float(number[0]), 1):g}", fine).replace(" \nL ", "L").encode()


def _png(figure: Figure) -> bytes:
    content = BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


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
