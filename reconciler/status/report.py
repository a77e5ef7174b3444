"""What is said about an app: its status, and Events when something changed. What was observed, not what was asked for.

Ready, Reconciling and Stalled are as kstatus reads them, so that `kubectl wait`, Flux and Argo CD understand them:
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from reconciler.apply.verdict import Verdict
from reconciler.cluster.live import App, Live, Mode
from reconciler.model import (
    CHILD_KINDS,
    DEPLOYMENT,
    EVENT,
    FIELD_MANAGER,
    PERSISTENT_VOLUME_CLAIM,
    Manifest,
    Outcome,
    StepResult,
)
from reconciler.scaling.model import Decision
from reconciler.status.rollout import Rollout
from reconciler.work import Work

LONGEST_MESSAGE = 32_768  # characters
LONGEST_NOTE = 1024  # bytes
CONDITIONS = ("Ready", "Reconciling", "Stalled")
SCALING_CONDITIONS = {"ScalingActive": "False", "ScalingLimited": "True"}
"""Of an app with several groups: the status that one of them is enough for."""
OURS = (*CONDITIONS, *SCALING_CONDITIONS)
WRITTEN = (Outcome.CREATED, Outcome.CONFIGURED, Outcome.DELETED)

_RANK = {kind.name: rank for rank, kind in enumerate(CHILD_KINDS)}


class State(NamedTuple):
    """Where the app stands: each condition's status, and why."""

    ready: str
    reconciling: str
    stalled: str
    reason: str
    message: str


class Happened(NamedTuple):
    """What an Event tells."""

    type: str
    reason: str
    note: str


READY = ("True", "False", "False")
UNDER_WAY = ("False", "True", "False")
UNCERTAIN = ("Unknown", "True", "False")
STALLED = ("False", "False", "True")


def status(work: Work, lives: Iterable[Live], now: datetime) -> Manifest:
    """Return the app's status, given its children as they are."""
    app = work.app
    lives = sorted(lives, key=lambda live: (_RANK[live.ref.kind], live.ref.name))
    rollouts = {live.component: Rollout.of(live) for live in lives if live.ref.kind == DEPLOYMENT.name}
    groups = [rollouts[name] for name in app.groups if name in rollouts]
    conditions = _conditions(app, _state(app, rollouts, work.known.verdict), now)
    found: Manifest = {
        "observedGeneration": app.generation,
        "conditions": [*conditions, *_scaling_conditions(work, now)],
        "workersReady": f"{sum(group.ready for group in groups)}/{sum(group.desired for group in groups)}",
        "workers": [_group(name, rollouts.get(name), work.decisions.get(name)) for name in app.groups],
        "children": [_child(live) for live in lives],
    }
    singles = app.parts[len(app.groups) :]
    return found | {part: {"ready": part in rollouts and not rollouts[part].missing} for part in singles}


def is_news(app: App, status: Manifest) -> bool:
    """Say whether the status is another than the app has."""
    return _comparable(app.status) != _comparable(status)


def events(app: App, status: Manifest, results: Iterable[StepResult], now: datetime) -> Iterator[Manifest]:
    """Yield an Event for what was written, and one when the app became ready or something began to hold it back."""
    for number, happened in enumerate(_happened(app, status, results)):
        yield _event(app, happened, now, number)


def _happened(app: App, status: Manifest, results: Iterable[StepResult]) -> Iterator[Happened]:
    results = tuple(results)
    for scaled in (result for result in results if result.outcome is Outcome.SCALED):
        [change] = scaled.changes
        note = f"{scaled.ref.kind} {scaled.ref.name} from {change.before} to {change.after}: {scaled.message}"
        yield Happened("Normal", "Scaled", note)
    if written := [result for result in results if result.outcome in WRITTEN]:
        note = ", ".join(f"{each.outcome} {each.ref.kind} {each.ref.name}" for each in written)
        yield Happened("Normal", "Applied", note)
    old, new = _by_type(app.status), _by_type(status)
    if all(old.get("Ready", {}).get(key) == new["Ready"][key] for key in ("status", "reason")):
        return
    if new["Ready"]["status"] == "True":
        yield Happened("Normal", "Ready", new["Ready"]["message"])
    elif new["Stalled"]["status"] == "True" or new["Ready"]["status"] == "Unknown":
        yield Happened("Warning", new["Ready"]["reason"], new["Ready"]["message"])


def _state(app: App, rollouts: Mapping[str, Rollout], verdict: Verdict | None) -> State:
    if verdict:
        return State(*(STALLED if verdict.is_stalled else UNCERTAIN), verdict.reason, verdict.message)
    if absent := [part for part in app.parts if part not in rollouts]:
        message = "; ".join(f"{part}: there is no Deployment" for part in absent)
        hint = ". Something else applies them: reconcile is Scale" if app.mode is Mode.SCALE else ""
        return State(*UNDER_WAY, "ChildrenMissing", message + hint)
    if stuck := [each.words for each in rollouts.values() if each.is_stuck]:
        return State(*STALLED, "ProgressDeadlineExceeded", "; ".join(stuck))
    if missing := [each.words for each in rollouts.values() if each.missing]:
        return State(*UNDER_WAY, "RollingOut", "; ".join(missing))
    pods = sum(each.desired for each in rollouts.values())
    return State(*READY, "AllReady", f"{pods} of {pods} pods ready")


def _conditions(app: App, state: State, now: datetime) -> list[Manifest]:
    statuses = zip(CONDITIONS, (state.ready, state.reconciling, state.stalled), strict=True)
    return [_condition(app, (kind, status, state.reason, state.message), now) for kind, status in statuses]


def _scaling_conditions(work: Work, now: datetime) -> Iterator[Manifest]:
    """Yield a condition for all groups together: what holds one of them back holds back the app."""
    for kind, telling in SCALING_CONDITIONS.items():
        found = [
            (name, each)
            for name, decision in work.decisions.items()
            for each in decision.conditions
            if each.type == kind
        ]
        if not found:
            if old := _by_type(work.app.status).get(kind) if work.decisions else None:
                yield old
            continue
        telltale = [(name, each) for name, each in found if each.status == telling] or found
        message = "; ".join(f"{name}: {each.message}" for name, each in telltale)
        yield _condition(work.app, telltale[0][1]._replace(message=message), now)


def _condition(app: App, condition: tuple[str, str, str, str], now: datetime) -> Manifest:
    kind, status, reason, message = condition
    old = _by_type(app.status).get(kind, {})
    since = old["lastTransitionTime"] if old.get("status") == status else f"{now:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message[:LONGEST_MESSAGE],
        "observedGeneration": app.generation,
        "lastTransitionTime": since,
    }


def _comparable(status: Manifest) -> Manifest:
    """Return what is ours of a status; the order of lists that have a key is the server's."""
    by_name = {group["name"]: group for group in status.get("workers", ())}
    ours = {key: status.get(key) for key in ("observedGeneration", "workersReady", "beat", "flower", "children")}
    return ours | {"workers": by_name, "conditions": _by_type(status)}


def _by_type(status: Manifest) -> dict[str, Manifest]:
    return {each["type"]: each for each in status.get("conditions", ()) if each["type"] in OURS}


def _group(name: str, rollout: Rollout | None, decision: Decision | None) -> Manifest:
    if rollout is None:
        return {"name": name, "reason": "there is no Deployment"}
    counts = {"replicas": rollout.replicas, "readyReplicas": rollout.ready, "desiredReplicas": rollout.desired}
    reason = rollout.missing or (decision.message if decision else "")
    return {"name": name, **counts} | ({"reason": reason} if reason else {})


def _child(live: Live) -> Manifest:
    identity = {"apiVersion": live.ref.api_version, "kind": live.ref.kind, "name": live.ref.name}
    return identity | {"ready": not live.is_terminating and _is_whole(live)}


def _is_whole(live: Live) -> bool:
    match live.ref.kind:
        case DEPLOYMENT.name:
            return not Rollout.of(live).missing
        case PERSISTENT_VOLUME_CLAIM.name:
            return bool(live.status.get("phase") == "Bound")
    return True


def _event(app: App, happened: Happened, now: datetime, number: int) -> Manifest:
    """Return what happened as an Event. Those of one pass have the same moment: they are numbered."""
    namespace, name = app.ref.namespace, app.ref.name
    regarding = {"apiVersion": app.ref.api_version, "kind": app.ref.kind, "namespace": namespace, "name": name}
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {"namespace": namespace, "name": f"{name}.{now.timestamp():.6f}.{number}"},
        "eventTime": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
        "type": happened.type,
        "reason": happened.reason,
        "action": "Reconcile",
        "note": happened.note.encode()[:LONGEST_NOTE].decode(errors="ignore"),
        "regarding": regarding | {"uid": app.uid},
        "reportingController": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
    }
