"""What a group's scaling may say, and what of it is refused: scaling_bounds.yaml, for each engine and place. Pure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import every_rule
import yaml

Json = dict[str, Any]

ENGINES = ("Reconciler", "HPA", "KEDA")
CPU = {"cpu": {"averageValue": 1}}
SECTIONS = {
    "rules": {
        f"behavior.{way}": lambda rules, way=way: CPU | {"behavior": {way: rules}} for way in ("scaleUp", "scaleDown")
    },
    "resource": {name: lambda target, name=name: {name: target} for name in ("cpu", "memory")},
    "queue": {"queue": lambda target: {"queue": target}},
}
"""What each section's fields are laid into, by the place where they come to stand."""


class Case(NamedTuple):
    """The scaling of a group, and the problem that it is, if it is one."""

    scaling: Json
    problem: str


def cases(engine: str) -> Iterator[Case]:
    """Yield every case that there is with the engine: an HPA cannot read a queue."""
    written = yaml.load(Path(__file__).with_suffix(".yaml").read_text(), yaml.CSafeLoader)
    for section, places in SECTIONS.items():
        for place, laid in places.items() if (section, engine) != ("queue", "HPA") else ():
            found = [("", fields) for fields in written[section]["accepted"]] + [*written[section]["refused"].items()]
            if engine == "KEDA":  # which does not know how long tasks take
                found = [(words, fields) for words, fields in found if "maxWaitSeconds" not in fields]
            for words, fields in found:
                scaling = {"engine": engine, "maxReplicas": 3} | laid(fields)
                yield Case(scaling, words and f"spec.workers[0].scaling.{place}.{words}")


def app(scaling: Json) -> Json:
    """Return an app of which nothing else could be refused."""
    return every_rule.app(
        {
            "broker": {"url": "redis://redis/1"},
            "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
            "workers": [{"name": "worker", "queues": ["celery"], "scaling": scaling}],
        }
    )


def autoscaler(scaling: Json) -> Json:
    """Return a HorizontalPodAutoscaler that says the same, with a queue as KEDA shows it one."""
    metrics = []
    for name in ("cpu", "memory"):
        if target := scaling.get(name):
            kind = "Utilization" if "averageUtilization" in target else "AverageValue"
            source = {"name": name, "container": "worker", "target": {"type": kind} | target}
            metrics.append({"type": "ContainerResource", "containerResource": source})
    if queue := scaling.get("queue"):
        target = {"type": "AverageValue", "averageValue": next(iter(queue.values()))}
        metrics.append({"type": "External", "external": {"metric": {"name": "queue"}, "target": target}})
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}, "metrics": metrics}
    behavior = {"behavior": scaling["behavior"]} if "behavior" in scaling else {}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "shop"},
        "spec": spec | {"maxReplicas": scaling["maxReplicas"]} | behavior,
    }
