"""What an app's status says: what was observed, not what was asked for. Pure.

Ready, Reconciling and Stalled are as kstatus reads them, so that `kubectl wait`, Flux and Argo CD understand them:
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

from reconciler.cluster.live import App, Live, Mode
from reconciler.model import (
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    RANK,
    SCALED_OBJECT,
    Condition,
    Manifest,
    Ref,
    Scaling,
    Verdict,
)
from reconciler.status.pods import Why
from reconciler.status.rollout import Rollout

LONGEST_MESSAGE = 32_768  # characters
CONDITIONS = ("Ready", "Reconciling", "Stalled")
SCALING_CONDITIONS = {"ScalingActive": "False", "ScalingLimited": "True"}
"""Of an app with several groups: the status that one of them is enough for."""
ROLLING, PROGRESS, CHILDREN_MISSING = "RollingOut", "ProgressDeadlineExceeded", "ChildrenMissing"
NO_DEPLOYMENT = "there is no Deployment"
CONTRADICTED = "Contradicted"
WARNED = "Warned"
LONGEST_WARNINGS = 4096  # characters
Conditions = Mapping[str, Manifest]
"""By type, as they were."""
_STEPS: tuple[int, ...] = (0, *(int(digit * 10**power) for power in range(7) for digit in (1, 2, 5)))
OURS = (*CONDITIONS, *SCALING_CONDITIONS, CONTRADICTED, WARNED)


class Account(NamedTuple):
    """All that a status tells of."""

    app: App
    lives: tuple[Live, ...]
    """Its children as they are."""
    verdict: Verdict | None = None
    scaling: Mapping[str, Scaling] = {}
    """By group."""
    contradictions: tuple[str, ...] = ()
    """What somebody else changes again and again."""
    reconciler: str = ""
    """Which installation says so."""
    warnings: tuple[str, ...] = ()
    """What in the spec will hurt."""
    altered: tuple[str, ...] = ()
    """Which fields of children the cluster changes on their way in."""
    troubles: Mapping[Ref, Why] = {}
    """Why pods are not ready, by Deployment."""


class State(NamedTuple):
    """Where the app stands: each condition's status, and why."""

    ready: str
    reconciling: str
    stalled: str
    reason: str
    message: str


READY = ("True", "False", "False")
UNDER_WAY = ("False", "True", "False")
UNCERTAIN = ("Unknown", "True", "False")
STALLED = ("False", "False", "True")
OFF = State("Unknown", "False", "False", "Off", "reconcile is Off: nothing is applied, healed, scaled or looked at")


def status(account: Account, now: datetime) -> Manifest:
    """Return the app's status."""
    app = account.app
    if app.mode is Mode.OFF:
        return _off(account, now)
    lives = sorted(account.lives, key=lambda live: (RANK[live.ref.kind], live.ref.name))
    rollouts = {
        live.component: Rollout.of(live).because(account.troubles.get(live.ref))
        for live in lives
        if live.ref.kind == DEPLOYMENT.name
    }
    groups = [rollouts[name] for name in app.groups if name in rollouts]
    before = by_type(app.status)
    conditions = (
        *_conditions(_state(app, rollouts, account)),
        *_scaling_conditions(account, before),
        *_contradictions(account, before),
        *_warned(account, before),
    )
    found: Manifest = {
        "observedGeneration": app.generation,
        "reconciler": account.reconciler,
        "conditions": [_condition(app, each, before.get(each.type, {}), now) for each in conditions],
        "workersReady": f"{sum(group.ready for group in groups)}/{sum(group.desired for group in groups)}",
        "workers": [_group(name, rollouts.get(name), account.scaling.get(name)) for name in app.groups],
        "children": [_child(live) for live in lives],
    }
    return found | {part: _single(rollouts.get(part)) for part in app.parts[len(app.groups) :]}


def _off(account: Account, now: datetime) -> Manifest:
    """Return a status that says no more than that it is not kept up."""
    app, before = account.app, by_type(account.app.status)
    conditions = [_condition(app, each, before.get(each.type, {}), now) for each in _conditions(OFF)]
    return {"observedGeneration": app.generation, "reconciler": account.reconciler, "conditions": conditions}


def is_news(app: App, status: Manifest) -> bool:
    """Say whether the status is another than the app has."""
    return _comparable(app.status) != _comparable(status)


def reads_alike(old: Live, new: Live) -> bool:
    """Say whether nothing of a status differs that is reported, as mostly with an autoscaler's."""
    if old.status == new.status or old.ref.kind != DEPLOYMENT.name:
        return old.status == new.status
    return Rollout.of(old)._replace(is_rolling=False) == Rollout.of(new)._replace(is_rolling=False)


def _state(app: App, rollouts: Mapping[str, Rollout], account: Account) -> State:
    if verdict := account.verdict:
        return State(*(STALLED if verdict.is_stalled else UNCERTAIN), verdict.reason, verdict.message)
    if absent := [part for part in app.parts if part not in rollouts]:
        message = "; ".join(f"{part}: {NO_DEPLOYMENT}" for part in absent)
        hint = ". Something else applies them: reconcile is Scale" if app.mode is Mode.SCALE else ""
        return State(*UNDER_WAY, CHILDREN_MISSING, message + hint)
    if stuck := [each for each in rollouts.values() if each.is_stuck]:
        return State(*STALLED, *_said(stuck, PROGRESS))
    if missing := [each for each in rollouts.values() if each.missing]:
        return State(*UNDER_WAY, *_said(missing, ROLLING))
    asleep = {
        name: scaling for name, scaling in account.scaling.items() if name in rollouts and not rollouts[name].desired
    }
    if lost := [f"{name}: no pod runs, and {each.message}" for name, each in asleep.items() if each.is_failing]:
        return State(*UNDER_WAY, "CannotScale", "; ".join(lost))
    pods = sum(each.desired for each in rollouts.values())
    held = [f"{name} is not scaled: {why}" for name, each in account.scaling.items() if (why := each.inactive)]
    return State(*READY, "AllReady", "; ".join([f"{pods} of {pods} pods ready", *held]))


def _said(rollouts: list[Rollout], otherwise: str) -> tuple[str, str]:
    """Return the first reason that pods give themselves, if any does, and what is missing of each Deployment."""
    reasons = [each.why.reason for each in rollouts if each.why]
    return [*reasons, otherwise][0], "; ".join(each.words for each in rollouts)


def _conditions(state: State) -> Iterator[Condition]:
    statuses = zip(CONDITIONS, (state.ready, state.reconciling, state.stalled), strict=True)
    return (Condition(kind, status, state.reason, state.message) for kind, status in statuses)


def _scaling_conditions(account: Account, before: Conditions) -> Iterator[Condition]:
    """Yield a condition for all groups together: what holds one of them back holds back the app."""
    for kind, telling in SCALING_CONDITIONS.items():
        found = [
            (name, each)
            for name, scaling in account.scaling.items()
            for each in scaling.conditions
            if each.type == kind
        ]
        if not found:
            if account.scaling and (old := before.get(kind)):
                yield Condition(kind, old["status"], old["reason"], old["message"])
            continue
        telltale = [(name, each) for name, each in found if each.status == telling]
        telltale = telltale or [(name, each) for name, each in found if each.status == "Unknown"] or found
        message = "; ".join(f"{name}: {each.message}" for name, each in telltale)
        yield telltale[0][1]._replace(message=message)


def _contradictions(account: Account, before: Conditions) -> Iterator[Condition]:
    """Yield who else writes what we write; once there was somebody, also that there is nobody any more."""
    if account.contradictions:
        yield Condition(CONTRADICTED, "True", "SetBackAgain", "; ".join(account.contradictions))
    elif CONTRADICTED in before:
        yield Condition(CONTRADICTED, "False", "NobodyElse", "nobody else changes what is written here")


def _warned(account: Account, before: Conditions) -> Iterator[Condition]:
    """Yield what in the spec will hurt, or is not what runs; once something did, also that nothing does any more."""
    if account.warnings or account.altered:
        reason = "WillHurt" if account.warnings else "ChangedOnAdmission"
        yield Condition(WARNED, "True", reason, "; ".join([*_cut(account.warnings), *account.altered]))
    elif WARNED in before:
        yield Condition(WARNED, "False", "NothingKnown", "nothing is known of the spec that will hurt")


def _cut(messages: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many of the messages as there is room for, and how many more there are."""
    count = sum(length <= LONGEST_WARNINGS for length in accumulate(map(len, messages)))
    rest = [f"and {more} more, which celery-render prints"] if (more := len(messages) - count) else []
    return (*messages[:count], *rest)


def _condition(app: App, condition: Condition, old: Manifest, now: datetime) -> Manifest:
    since = old["lastTransitionTime"] if old.get("status") == condition.status else f"{now:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message[:LONGEST_MESSAGE],
        "observedGeneration": app.generation,
        "lastTransitionTime": since,
    }


def _comparable(status: Manifest) -> Manifest:
    """Return what is ours of a status; the order of lists that have a key is the server's."""
    by_name = {group["name"]: group for group in status.get("workers", ())}
    ours = {
        key: status.get(key)
        for key in ("observedGeneration", "reconciler", "workersReady", "beat", "flower", "children")
    }
    return ours | {"workers": by_name, "conditions": by_type(status)}


def by_type(status: Manifest) -> dict[str, Manifest]:
    return {each["type"]: each for each in status.get("conditions", ()) if each["type"] in OURS}


def _group(name: str, rollout: Rollout | None, scaling: Scaling | None) -> Manifest:
    if rollout is None:
        return {"name": name, "reason": NO_DEPLOYMENT}
    counts = {"replicas": rollout.replicas, "readyReplicas": rollout.ready, "desiredReplicas": rollout.desired}
    reason = rollout.missing or (scaling.message if scaling else "")
    wait = {} if scaling is None or scaling.wait_seconds is None else {"waitSeconds": _coarse(scaling.wait_seconds)}
    return {"name": name, **counts, **wait} | ({"reason": reason} if reason else {})


def _single(rollout: Rollout | None) -> Manifest:
    """Return beat or Flower."""
    reason = rollout.missing if rollout else NO_DEPLOYMENT
    return {"ready": False, "reason": reason} if reason else {"ready": True}


def _coarse(seconds: int) -> int:
    """Round up to 1, 2 or 5 and their tenfolds: a status that changes at every tick would be written at every tick."""
    return next(step for step in _STEPS if step >= min(seconds, _STEPS[-1]))


def _child(live: Live) -> Manifest:
    identity = {"apiVersion": live.ref.api_version, "kind": live.ref.kind, "name": live.ref.name}
    return identity | {"ready": not live.is_terminating and _is_whole(live)}


def _is_whole(live: Live) -> bool:
    match live.ref.kind:
        case DEPLOYMENT.name:
            return not Rollout.of(live).missing
        case PERSISTENT_VOLUME_CLAIM.name:
            return bool(live.status.get("phase") == "Bound")
        case SCALED_OBJECT.name:
            conditions = live.status.get("conditions", ())
            return not any(each["type"] == "Ready" and each["status"] == "False" for each in conditions)
    return True
