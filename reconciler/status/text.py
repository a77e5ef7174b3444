"""What people read in a terminal: a table of apps, and what a pass would change. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import click

from reconciler.model import AppResult, Change, Manifest
from reconciler.status import report
from render import emit
from render.naming import BEAT, FLOWER

READY_COLOURS = {"True": "green", "False": "red", "Unknown": "yellow"}


HEAD = ("NAMESPACE", "APP", "COMPONENT", "READY", "RECONCILE", "WAIT", "WHY")


class Row(NamedTuple):
    """What is shown of an app, or of one of its components."""

    namespace: str
    app: str
    component: str
    """Empty for the app itself."""
    ready: str
    """True, False or Unknown."""
    ready_replicas: int | None = None
    desired_replicas: int | None = None
    """Of a group of workers."""
    reconcile: str = ""
    """Of an app."""
    wait_seconds: int | None = None
    """Of a group that is scaled by its queue, where it is known."""
    why: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Return what stands below each word of HEAD."""
        pods = "" if self.desired_replicas is None else f"{self.ready_replicas}/{self.desired_replicas}"
        wait = "" if self.wait_seconds is None else f"{self.wait_seconds}s"
        return (self.namespace, self.app, self.component, pods or self.ready, self.reconcile, wait, self.why)


def table(rows: Iterable[Row], width: int | None, *, head: bool = True) -> str:
    """Return the rows under a head; the last column is cut where a line would be longer, None for never."""
    shown = [(row.cells, READY_COLOURS[row.ready]) for row in rows]
    if head:
        shown.insert(0, (HEAD, ""))
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in shown), strict=True)][:-1]
    room = None if width is None else max(width - sum(widths) - 2 * len(widths), 10)
    lines = []
    for cells, colour in shown:
        padded = [text.ljust(size) for text, size in zip(cells, widths, strict=False)]
        if colour:
            padded[3] = click.style(cells[3], fg=colour) + padded[3][len(cells[3]) :]
        lines.append("  ".join([*padded, _cut(cells[-1], room)]).rstrip())
    return "\n".join(lines)


def rows(app: Manifest) -> Iterator[Row]:
    """Yield a row for an app, and one for each of its components."""
    metadata, status = app["metadata"], app.get("status") or {}
    where = (metadata["namespace"], metadata["name"])
    ready = report.by_type(status).get("Ready", {"status": "Unknown", "message": "not looked at yet"})
    reconcile = (app.get("spec") or {}).get("reconcile", "Apply")
    yield Row(*where, "", ready["status"], reconcile=reconcile, why=_why(app, ready))
    for worker in status.get("workers") or ():
        counts = worker.get("readyReplicas", 0), worker.get("desiredReplicas", worker.get("replicas", 0))
        are_ready, wait = str(counts[0] == counts[1]), worker.get("waitSeconds")
        yield Row(*where, worker["name"], are_ready, *counts, wait_seconds=wait, why=worker.get("reason", ""))
    for name in (BEAT, FLOWER):
        if name in status:
            yield Row(*where, name, str(bool(status[name].get("ready"))), why=status[name].get("reason", ""))


def as_json(apps: Iterable[Manifest]) -> str:
    """Return the same rows as a JSON list of objects, whole, without what a row has not."""
    found = [_object(row) for app in apps for row in rows(app)]
    return json.dumps(found, indent=2, ensure_ascii=False)


def _object(row: Row) -> Manifest:
    """Return a row by the names that the fields have in a status."""
    return {
        re.sub("_(.)", lambda letter: letter[1].upper(), name): value
        for name, value in row._asdict().items()
        if value not in ("", None)
    }


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
