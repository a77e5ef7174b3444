"""Which rules the CRD has, and two apps for each: one that it lets pass and one that it refuses. Pure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Json = dict[str, Any]

HERE = Path(__file__).parent
SECTIONS = {
    "spec": lambda fields: fields,
    "worker": lambda fields: {"workers": [{"name": "worker"} | fields]},
    "cpu": lambda fields: _scaled({"cpu": fields}),
    "memory": lambda fields: _scaled({"memory": fields}),
} | {name: lambda fields, name=name: {name: fields} for name in ("broker", "resultBackend", "beat", "flower")}
for connection in ("broker", "resultBackend"):
    SECTIONS[f"{connection}.tls"] = lambda fields, name=connection: {name: {"url": "rediss://redis", "tls": fields}}
    SECTIONS[f"{connection}.tls.caFrom"] = lambda fields, name=connection: {
        name: {"url": "rediss://redis", "tls": {"caFrom": fields}}
    }


class Rule(NamedTuple):
    """A rule of the CRD: where the API server reports it, without the numbers of items, and what it says."""

    place: str
    message: str


class Pair(NamedTuple):
    section: str
    message: str
    held: Json
    broken: Json


def rules(schema: Json, path: str = "") -> Iterator[Rule]:
    """Yield every rule of a structural schema."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield Rule(f"{path}{rule.get('fieldPath', '')}".removeprefix("."), rule["message"])
    steps = {f".{name}": field for name, field in schema.get("properties", {}).items()}
    steps |= {"[]": schema["items"]} if "items" in schema else {}
    for step, below in steps.items():
        yield from rules(below, path + step)


def pairs() -> Iterator[Pair]:
    """Yield the apps of every_rule.yaml for each place in which a rule stands."""
    written = yaml.load((HERE / "every_rule.yaml").read_text(), yaml.CSafeLoader)
    for sections, found in written["rules"].items():
        for section in sections.split():
            for message, apps in found.items():
                yield Pair(section, message, *(app(SECTIONS[section](fields)) for fields in apps))


def _scaled(metric: Json) -> Json:
    worker = {"name": "worker", "scaling": {"maxReplicas": 3} | metric}
    return {"resources": {"requests": {"cpu": 1, "memory": "1Gi"}}, "workers": [worker]}


def app(fields: Json) -> Json:
    name = {"name": fields.get("name", "shop")}
    spec = {key: value for key, value in fields.items() if key != "name"}
    head = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": name}
    return head | {"spec": {"image": "registry.example.com/shop:1", "app": "shop"} | spec}
