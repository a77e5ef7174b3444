"""An app in sentences: what is wanted, what is there, what is being done, what holds each group at its number. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model import Manifest, Unready
from reconciler.status import report
from render.naming import BEAT, FLOWER

MODES = {
    "Apply": "celery-reconcile keeps its objects as the app says, scales its workers and reports.",
    "Scale": "something else applies its objects; celery-reconcile scales its workers and reports.",
    "Off": "nothing is applied, healed, scaled or looked at.",
}
MANY_PODS = 3
"""Of a component: the rest is counted."""


def sentences(app: Manifest, unready: Mapping[str, Iterable[Unready]], notes: Iterable[str]) -> Iterator[str]:
    """Yield lines about an app, given why pods of its components are not ready, and what else is known."""
    metadata, spec, status = app["metadata"], app.get("spec") or {}, app.get("status") or {}
    mode = spec.get("reconcile", "Apply")
    yield f"CeleryApp {metadata['name']} in namespace {metadata['namespace']}, image {spec.get('image')}"
    yield f"reconcile is {mode}: {MODES.get(mode, 'this is not known.')}"
    yield from _whole(metadata, report.by_type(status))
    yield from notes
    there = {worker["name"]: worker for worker in status.get("workers") or ()}
    for group in spec.get("workers") or ():
        yield ""
        yield from _group(group, there.get(group["name"]))
        yield from _pods(metadata["namespace"], unready.get(group["name"], ()))
    for part in (BEAT, FLOWER):
        if spec.get(part) is not None:
            yield ""
            yield f"{part}: one pod is wanted, {_single(status.get(part))}"
            yield from _pods(metadata["namespace"], unready.get(part, ()))


def _whole(metadata: Manifest, conditions: Mapping[str, Manifest]) -> Iterator[str]:
    ready = conditions.get("Ready")
    if ready is None:
        yield "No celery-reconcile has looked at it yet: is one running, for this namespace?"
        return
    words = {"True": "It is ready", "False": "It is not ready", "Unknown": "It is not known whether it is ready"}
    yield f"{words[ready['status']]}, {ready['reason']}: {ready['message']}"
    if ready.get("observedGeneration") != metadata["generation"]:
        yield "It was changed since, and this change was not looked at yet."
    if conditions.get("Reconciling", {}).get("status") == "True":
        yield "Being done: celery-reconcile goes on until it is ready; waiting may help."
    if conditions.get("Stalled", {}).get("status") == "True":
        yield "Nothing is being done: waiting does not help, something has to be changed."
    for kind in (report.CONTRADICTED, report.WARNED):
        if (found := conditions.get(kind, {})).get("status") == "True":
            yield f"{kind}: {found['message']}"


def _group(group: Mapping[str, Any], there: Mapping[str, Any] | None) -> Iterator[str]:
    scaling = group.get("scaling")
    replicas = group.get("replicas", 1)
    wanted = f"{replicas} {'pod is' if replicas == 1 else 'pods are'} wanted" if scaling is None else _scaled(scaling)
    if there is None or "desiredReplicas" not in there:
        yield f"{group['name']}: {wanted}; {(there or {}).get('reason', 'what is there is not known')}."
        return
    counts = (
        f"{there['desiredReplicas']} asked for, {there.get('replicas', 0)} there, {there.get('readyReplicas', 0)} ready"
    )
    yield f"{group['name']}: {wanted}; {counts}."
    if reason := there.get("reason"):
        yield f"  It is at {there['desiredReplicas']}: {reason}"
    if "waitSeconds" in there:
        yield f"  A message that comes now waits for about {there['waitSeconds']} s."


def _scaled(scaling: Mapping[str, Any]) -> str:
    by = ", ".join(kind for kind in ("queue", "cpu", "memory") if kind in scaling)
    bounds = f"{scaling.get('minReplicas', 1)} to {scaling['maxReplicas']} pods"
    paused = ", paused" if scaling.get("paused") else ""
    return f"{bounds} by {by or 'what its triggers say'} ({scaling.get('engine', 'Reconciler')}{paused})"


def _single(there: Mapping[str, Any] | None) -> str:
    if there is None:
        return "and nothing is known of it."
    return (
        "and it is ready." if there.get("ready") else f"and it is not ready: {there.get('reason', 'nothing is known')}"
    )


def _pods(namespace: str, unready: Iterable[Unready]) -> Iterator[str]:
    """Yield why each pod is not ready, and where there is more to be read."""
    found = list(unready)
    for each in found[:MANY_PODS]:
        why = ": ".join(filter(None, [each.reason, each.message])) or "it does not say why"
        yield f"  Pod {each.pod.name} is not ready: {why}"
        yield f"    kubectl -n {namespace} describe pod {each.pod.name}"
    if more := len(found[MANY_PODS:]):
        yield f"  … and {more} pods more."
