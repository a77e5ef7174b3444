"""What is said of groups that somebody else scales: a HorizontalPodAutoscaler, or KEDA. It is what these say. Pure.

KEDA tells of itself in the ScaledObject, and has a HorizontalPodAutoscaler for it, which tells the rest.
"""

from collections.abc import Iterable, Mapping

from reconciler.cluster.live import Live
from reconciler.model import HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, Condition, Manifest, Scaling

ACTIVE, LIMITED = "ScalingActive", "ScalingLimited"
DISABLED = "ScalingDisabled"


def said(own: Iterable[Live], others: Iterable[Live]) -> dict[str, Scaling]:
    """Return what is said of each group that has an autoscaler, given what has the app's label besides."""
    of_keda = {live.controller.uid: live for live in others if _is_autoscaler(live) and live.controller}
    found: dict[str, Scaling] = {}
    for live in own:
        if _is_autoscaler(live):
            found[live.component] = _said(live, _by_type(live))
        elif live.ref.kind == SCALED_OBJECT.name:
            found[live.component] = _said_by_keda(live, of_keda.get(live.uid))
    return found


def _said(live: Live, conditions: Mapping[str, Manifest]) -> Scaling:
    return _scaling(*(_condition(live, conditions[kind], kind) for kind in (ACTIVE, LIMITED) if kind in conditions))


def _said_by_keda(live: Live, autoscaler: Live | None) -> Scaling:
    conditions = _by_type(live)
    if conditions.get("Paused", {}).get("status") == "True":
        return _scaling(Condition(ACTIVE, "False", DISABLED, "scaling is paused"))
    ready = conditions.get("Ready", {"status": "Unknown"})
    if ready["status"] != "True":
        return _scaling(_condition(live, ready))
    there = _by_type(autoscaler) if autoscaler else {}
    if autoscaler is None or there.get(ACTIVE, {}).get("reason") == DISABLED:  # KEDA itself wakes it from zero
        return _scaling(_condition(live, ready))
    return _said(autoscaler, there)


def _is_autoscaler(live: Live) -> bool:
    return live.ref.kind == HORIZONTAL_POD_AUTOSCALER.name


def _by_type(live: Live) -> dict[str, Manifest]:
    return {each["type"]: each for each in live.status.get("conditions", ())}


def _scaling(*conditions: Condition) -> Scaling:
    return Scaling(next((each.message for each in conditions if each.type == ACTIVE), ""), conditions)


def _condition(live: Live, given: Manifest, kind: str = ACTIVE) -> Condition:
    message = given.get("message") or "has said nothing yet"
    reason = given.get("reason") or "NothingSaid"
    return Condition(kind, given["status"], reason, f"{live.ref.kind} {live.ref.name}: {message}")
