"""What people read in a terminal: a table of apps, and what a pass would change. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import click

from reconciler.model import AppResult, Change, Manifest
from reconciler.status import report
from render import emit
from render.naming import BEAT, FLOWER

READY_COLOURS = {"True": "green", "False": "red", "Unknown": "yellow"}


class Row(NamedTuple):
    """What is shown of an app, or of one of its components."""

    namespace: str
    app: str
    component: str
    ready: str
    """True, False or Unknown; of a group of workers, how many of how many pods."""
    reconcile: str
    wait: str
    why: str

    @property
    def colour(self) -> str:
        ready, slash, desired = self.ready.partition("/")
        return READY_COLOURS[str(ready == desired) if slash else self.ready]


def table(rows: Iterable[Row], width: int | None, *, head: bool = True) -> str:
    """Return the rows under a head; the last column is cut where a line would be longer, None for never."""
    rows = list(rows)
    cells = [tuple(map(str.upper, Row._fields)), *rows] if head else rows
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1] if cells else []
    room = None if width is None else max(width - sum(widths) - 2 * len(widths), 10)
    lines = []
    for each in cells:
        padded = [text.ljust(size) for text, size in zip(each, widths, strict=False)]
        if isinstance(each, Row):
            padded[3] = click.style(each.ready, fg=each.colour) + padded[3][len(each.ready) :]
        lines.append("  ".join([*padded, _cut(each[-1], room)]).rstrip())
    return "\n".join(lines)


def rows(app: Manifest) -> Iterator[Row]:
    """Yield a row for an app, and one for each of its components."""
    metadata, status = app["metadata"], app.get("status") or {}
    where = (metadata["namespace"], metadata["name"])
    ready = report.by_type(status).get("Ready", {"status": "Unknown", "message": "not looked at yet"})
    yield Row(*where, "", ready["status"], (app.get("spec") or {}).get("reconcile", "Apply"), "", _why(app, ready))
    for worker in status.get("workers") or ():
        counts = f"{worker.get('readyReplicas', 0)}/{worker.get('desiredReplicas', worker.get('replicas', 0))}"
        wait = f"{worker['waitSeconds']}s" if "waitSeconds" in worker else ""
        yield Row(*where, worker["name"], counts, "", wait, worker.get("reason", ""))
    for name in (BEAT, FLOWER):
        if name in status:
            yield Row(*where, name, str(bool(status[name].get("ready"))), "", "", status[name].get("reason", ""))


def as_json(apps: Iterable[Manifest]) -> str:
    """Return the same rows as a JSON list of objects, whole."""
    return json.dumps([row._asdict() for app in apps for row in rows(app)], indent=2, ensure_ascii=False)


def _why(app: Manifest, ready: Mapping[str, Any]) -> str:
    message, status = str(ready["message"]), app.get("status") or {}
    if ready["status"] == "True":
        message = message.partition("; ")[2]  # what is well needs no words
    observed = status.get("observedGeneration", -1)
    is_old = observed > 0 and observed != app["metadata"].get("generation", observed)
    fight = report.by_type(status).get(report.CONTRADICTED, {})
    fought = f"{report.CONTRADICTED}: {fight['message']}" if fight.get("status") == "True" else ""
    return "; ".join(filter(None, ["changed since, and not looked at yet" if is_old else "", message, fought]))


def _cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: room - 1]}…"


def changes(apps: Iterable[AppResult]) -> Iterator[str]:
    """Yield a line for each child that would change, and below it each field: before, then after."""
    return (line for app in apps for line in _lines(app))


def _lines(app: AppResult) -> Iterator[str]:
    if app.problem:
        yield f"{app.app} failed {app.problem}"
    for step in app.steps:
        yield f"{step.ref} {step.outcome} {step.message.removeprefix(f'{step.ref} ')}".rstrip()
        for change in step.changes:
            yield from _fields(change)


def _fields(change: Change) -> Iterator[str]:
    """Yield a field before and after, a whole new object as YAML, and nothing of one that goes."""
    if change.path:
        yield f"  {change.path}: {_value(change.before)} → {_value(change.after)}"
    elif change.after is not None:
        yield from (f"  + {line}" for line in emit.stream([change.after]).splitlines())


def _value(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
