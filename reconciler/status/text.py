"""What people read in a terminal: a table of apps, and what a pass would change. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model import AppResult, Change, Manifest
from render import emit

_HEAD = ("NAMESPACE", "APP", "COMPONENT", "READY", "WAIT", "WHY")


def table(apps: Iterable[Manifest]) -> str:
    """Return a row for each app and each of its components, under a head."""
    rows = [_HEAD, *(row for app in apps for row in _rows(app))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def changes(apps: Iterable[AppResult]) -> Iterator[str]:
    """Yield a line for each child that would change, and below it each field: before, then after."""
    return (line for app in apps for line in _lines(app))


def _rows(app: Manifest) -> Iterator[tuple[str, ...]]:
    metadata, status = app["metadata"], app.get("status") or {}
    where = (metadata["namespace"], metadata["name"])
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    telling = next((conditions[kind] for kind in ("Stalled", "Reconciling") if _holds(conditions, kind)), None)
    telling = telling or conditions.get("Ready", {"message": "not looked at yet"})
    yield (*where, "", conditions.get("Ready", {}).get("status", "Unknown"), "", _why(telling))
    for worker in status.get("workers") or ():
        ready, desired = worker.get("readyReplicas", 0), worker.get("desiredReplicas", worker.get("replicas", 0))
        wait = f"{worker['waitSeconds']}s" if "waitSeconds" in worker else ""
        yield (*where, worker["name"], f"{ready}/{desired}", wait, worker.get("reason", ""))
    for name in ("beat", "flower"):
        if name in status:
            yield (*where, name, str(bool(status[name].get("ready"))), "", "")


def _holds(conditions: Mapping[str, Mapping[str, Any]], kind: str) -> bool:
    return conditions.get(kind, {}).get("status") == "True"


def _why(condition: Mapping[str, Any]) -> str:
    return "" if condition.get("status") == "True" and condition.get("type") == "Ready" else str(condition["message"])


def _lines(app: AppResult) -> Iterator[str]:
    if app.problem:
        yield f"{app.app} failed {app.problem}"
    for step in app.steps:
        yield f"{step.ref} {step.outcome} {step.message}".rstrip()
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
