"""Who scales a group, if not the reconciler: a HorizontalPodAutoscaler, or a ScaledObject of KEDA."""

from collections.abc import Iterator, Mapping
from typing import Any

from render import naming, quantity
from render.children import pod, trigger
from render.model import CeleryApp, Component, Manifest

RESOURCES = ("cpu", "memory")
TOLERANCES = (("scaleUp", "tolerance"), ("scaleDown", "tolerance"))


def horizontal_pod_autoscaler(app: CeleryApp, group: Component) -> Manifest:
    scaling = group.spec["scaling"]
    paused = {direction: {"selectPolicy": "Disabled"} for direction in ("scaleUp", "scaleDown")}
    behavior = paused if scaling["paused"] else pod.canonical(scaling.get("behavior"), TOLERANCES)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": pod.metadata(app, group.name),
        "spec": {
            "scaleTargetRef": _target(app, group),
            "minReplicas": scaling["minReplicas"],
            "maxReplicas": scaling["maxReplicas"],
            "metrics": [_metric(resource, target) for resource, target in _targets(scaling)],
            **({"behavior": behavior} if behavior else {}),
        },
    }


def scaled_object(app: CeleryApp, group: Component) -> Manifest:
    scaling = group.spec["scaling"]
    keda: Mapping[str, Any] = scaling.get("keda", {})
    lengths = trigger.queue_lengths(app, group) if "queue" in scaling else []
    further = [dict(given) for given in keda.get("triggers", ())]
    resources = [
        trigger.resource(resource, *target, is_beside_queue=bool(lengths)) for resource, target in _targets(scaling)
    ]
    behavior = pod.canonical(scaling.get("behavior"), TOLERANCES)
    unread = trigger.unread(app, lengths, further, scaling)
    fallback = trigger.fallback(keda.get("fallback", {}), unread, scaling["minReplicas"])
    advanced = {
        **({"horizontalPodAutoscalerConfig": {"behavior": behavior}} if behavior else {}),
        **(
            {"scalingModifiers": trigger.total(lengths, further, scaling["queue"]["averageLength"], unread)}
            if lengths
            else {}
        ),
    }
    cooldown = dict.fromkeys(("cooldownPeriod", "initialCooldownPeriod"), scaling["cooldownSeconds"])
    paused = {naming.KEDA_PAUSED_ANNOTATION: "true"} if scaling["paused"] else {}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": pod.metadata(app, group.name, paused),
        "spec": {
            "scaleTargetRef": _target(app, group),
            "minReplicaCount": scaling["minReplicas"],
            "maxReplicaCount": scaling["maxReplicas"],
            **({} if scaling["minReplicas"] else cooldown),
            **({"pollingInterval": keda["pollingSeconds"]} if "pollingSeconds" in keda else {}),
            **({"fallback": fallback} if fallback else {}),
            **({"advanced": advanced} if advanced else {}),
            "triggers": [*lengths, *further, *resources],
        },
    }


def _target(app: CeleryApp, group: Component) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": naming.derived(app.name, group.name)}


def _targets(scaling: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, int | str]]]:
    """Yield each resource with its type of target and value."""
    for resource in RESOURCES:
        wanted = scaling.get(resource, {})
        if "averageUtilization" in wanted:
            yield resource, ("Utilization", wanted["averageUtilization"])
        elif "averageValue" in wanted:
            yield resource, ("AverageValue", quantity.canonical(wanted["averageValue"]))


def _metric(resource: str, target: tuple[str, int | str]) -> Manifest:
    """Return a metric of the Celery container alone: sidecars neither count nor need requests."""
    kind, value = target
    field = {"Utilization": "averageUtilization", "AverageValue": "averageValue"}[kind]
    source = {"name": resource, "container": naming.WORKER_CONTAINER, "target": {"type": kind, field: value}}
    return {"type": "ContainerResource", "containerResource": source}
