"""Events of an app: what was done, and when it became ready or something began to hold it back. Pure."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from reconciler.cluster.live import App
from reconciler.model import EVENT, FIELD_MANAGER, Manifest, Outcome, StepResult, paths
from reconciler.status.report import CHILDREN_MISSING, OFF, ROLLING, WARNED, by_type

LONGEST_NOTE = 1024  # bytes
MOST_FIELDS = 3
"""Of one object, named in an Event."""


class Happened(NamedTuple):
    """What an Event tells."""

    type: str
    reason: str
    note: str


def events(app: App, status: Manifest, results: Iterable[StepResult], now: datetime) -> Iterator[Manifest]:
    """Yield an Event for what was written, for other warnings than before, and for what became of the app."""
    for number, happened in enumerate(_happened(app, status, results)):
        yield _event(app, happened, now, str(number))  # those of one look have the same moment


def contradiction(app: App, words: str, began: datetime, count: int, now: datetime) -> Manifest:
    """Return the one Event of all the times that something was set back, to be applied again each time."""
    mark = f"contradicted-{zlib.crc32(words.encode()):08x}"  # of an Event only the series may change
    event = _event(app, Happened("Warning", "Contradicted", words), began, mark)
    return event | ({"series": {"count": count, "lastObservedTime": _micro(now)}} if count > 1 else {})


def _happened(app: App, status: Manifest, results: Iterable[StepResult]) -> Iterator[Happened]:
    results = tuple(results)
    for scaled in (result for result in results if result.outcome is Outcome.SCALED):
        [change] = scaled.changes
        note = f"{scaled.ref.kind} {scaled.ref.name} from {change.before} to {change.after}: {scaled.message}"
        yield Happened("Normal", "Scaled", note)
    if written := [result for result in results if result.outcome.writes]:
        note = ", ".join(map(_written, written))
        yield Happened("Normal", "Applied", note)
    old, new = by_type(app.status), by_type(status)
    warned = new.get(WARNED, {"status": "False"})
    if warned["status"] == "True" and warned["message"] != old.get(WARNED, {}).get("message"):
        yield Happened("Warning", WARNED, warned["message"])
    if all(old.get("Ready", {}).get(key) == new["Ready"][key] for key in ("status", "reason")):
        return
    if new["Ready"]["status"] == "True":
        yield Happened("Normal", "Ready", new["Ready"]["message"])
    elif _is_bad(new):
        yield Happened("Warning", new["Ready"]["reason"], new["Ready"]["message"])


def _written(result: StepResult) -> str:
    """Say what was written, and of what was there already which fields."""
    changed = paths(result.changes)
    more = [f"{len(changed) - MOST_FIELDS} more"] if len(changed) > MOST_FIELDS else []
    fields = ", ".join([*changed[:MOST_FIELDS], *more])
    return f"{result.outcome} {result.ref.kind} {result.ref.name}" + (f" ({fields})" if fields else "")


def _is_bad(conditions: Mapping[str, Manifest]) -> bool:
    is_expected = conditions["Ready"]["reason"] in (ROLLING, CHILDREN_MISSING, OFF.reason)
    return bool(conditions["Stalled"]["status"] == "True" or not is_expected)


def _event(app: App, happened: Happened, at: datetime, mark: str) -> Manifest:
    namespace, name = app.ref.namespace, app.ref.name
    regarding = {"apiVersion": app.ref.api_version, "kind": app.ref.kind, "namespace": namespace, "name": name}
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {"namespace": namespace, "name": f"{name}.{at.timestamp():.6f}.{mark}"},
        "eventTime": _micro(at),
        "type": happened.type,
        "reason": happened.reason,
        "action": "Reconcile",
        "note": happened.note.encode()[:LONGEST_NOTE].decode(errors="ignore"),
        "regarding": regarding | {"uid": app.uid},
        "reportingController": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
    }


def _micro(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
