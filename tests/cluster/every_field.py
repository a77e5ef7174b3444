"""Which fields the CRD has, and what to try each with: an example of every_field.yaml, whole and without it. Pure."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from render import since

Json = dict[str, Any]
Place = tuple[str | int, ...]

HERE = Path(__file__).parent
CRD = yaml.load((HERE.parents[1] / "crds/celeryapps.yaml").read_text(), yaml.CSafeLoader)
ROOT = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]
GROUP = SPEC["properties"]["workers"]["items"]
GROUPS_IN_AN_APP = 30
BEAT_AND_FLOWER = ("beat.", "flower.")
"""How half of the apps' fields begin."""

REQUIRED = (
    # By core/v1, whatever its OpenAPI says: what this is a part of goes with it.
    "nodePublishSecretRef.name",
    *("envFrom[].configMapRef", "envFrom[].secretRef", "options[].name", "resourceFieldRef.containerName"),
    *("matchExpressions[].values", "matchFields[].values", "localhostProfile", "volumeMounts[].readOnly"),
    *("Probe.exec", "image.reference", "downwardAPI.items[].fieldRef", "downwardAPI.items[].resourceFieldRef"),
    *("volumeClaimTemplate.spec.accessModes", "volumeClaimTemplate.spec.resources"),
    *("volumeClaimTemplate.spec.resources.requests", "dataSourceRef.apiGroup"),
    # By rules of the CRD.
    *("broker.url", "customPool", "scaling.queue", "queue.averageLength", "queue.maxWaitSeconds"),
    *("certFrom", "keyFrom"),
    *(f"{connection}.{part}" for connection in ("broker", "resultBackend") for part in ("passwordFrom", "sentinel")),
)


class Example(NamedTuple):
    """An app of every_field.yaml, or a group of workers, and what must go for each of its fields to be gone."""

    whole: Json
    is_group: bool
    places: dict[str, Place]


class Trial(NamedTuple):
    """An app, or one of an app's groups of workers, with the field and without it."""

    app: str
    group: str
    whole: Json
    bare: Json
    gone: Place
    """What is not in the second."""


def inner(schema: Json) -> dict[str, Json]:
    """Return the schemas of what is within a value, by how a path goes on there; nothing for a leaf."""
    if "x-kubernetes-preserve-unknown-fields" in schema:
        return {}
    found = {f".{name}": below for name, below in schema.get("properties", {}).items()}
    steps = (("[]", "items"), ("{}", "additionalProperties"))
    return found | {step: schema[key] for step, key in steps if key in schema}


def fields(schema: Json, path: str, seen: set[str]) -> Iterator[str]:
    """Yield every field that holds a value, such as `workers[].env[].name`; of a type seen before, only where it is."""
    steps = inner(schema)
    kind = json.dumps({key: schema[key] for key in schema if key not in ("description", "example")}, sort_keys=True)
    if not steps or kind in seen:
        yield path.removeprefix(".")
        return
    seen.add(kind)
    for step, below in steps.items():
        yield from fields(below, path + step, seen)


def places(value: Any, schema: Json, path: str, place: Place = (), optional: Place = ()) -> Iterator[tuple[str, Place]]:
    """Yield the fields that the value sets, each with the place of the least that must go for it to be gone.

    `args[]` is at ("args", 0), or at ("args",) if it is the only one; `env[].name`, which is required, at ("env", 0).
    """
    steps = inner(schema)
    if not steps:
        yield path.removeprefix("."), optional
        return
    for key, item in enumerate(value) if isinstance(value, list) else value.items():
        step = f".{key}" if f".{key}" in steps else next(iter(steps))
        stays = len(value) == 1 or key in schema.get("required", ()) or f"{path}{step}".endswith(REQUIRED)
        stays = stays or path.endswith("volumes[]")  # one without its source would be another volume
        here = (*place, key)
        yield from places(item, steps[step], path + step, here, optional if stays else here)


def without(value: Any, place: Place) -> Any:
    """Return the value less what is at the place."""
    if not place:
        return {}
    key, *below = place
    pairs = enumerate(value) if isinstance(value, list) else value.items()
    left = {each: without(item, tuple(below)) if each == key else item for each, item in pairs if below or each != key}
    return list(left.values()) if isinstance(value, list) else left


def examples() -> Iterator[Example]:
    """Yield what is in every_field.yaml. Of several places of a field the first counts."""
    written = yaml.load((HERE / "every_field.yaml").read_text(), yaml.CSafeLoader)
    for is_group, schema, path in ((False, SPEC, ""), (True, GROUP, "workers[]")):
        for whole in written["groups" if is_group else "apps"]:
            found: dict[str, Place] = {}
            for field, place in places(whole, schema, path):
                found.setdefault(field, place)
            yield Example(whole, is_group, found)


def needed() -> list[str]:
    """Return every field. What an app has in several places, such as a volume, is taken apart among the workers."""
    workers_first = {"workers": SPEC["properties"]["workers"]} | SPEC["properties"]
    return [*fields(SPEC | {"properties": workers_first}, "", set())]


def known(example: Example, release: str) -> Example:
    """Return the example without the fields that a release of Kubernetes does not take."""
    schema, path = (GROUP, "workers[]") if example.is_group else (SPEC, "")
    whole = example.whole
    while younger := [place for field, place in places(whole, schema, path) if is_refused(field, release)]:
        whole = without(whole, younger[0])
    found: dict[str, Place] = {}
    for field, place in places(whole, schema, path):
        found.setdefault(field, place)
    return Example(whole, example.is_group, found)


def is_refused(field: str, release: str) -> bool:
    """Say whether a release of Kubernetes refuses a child with a field: it does not know it, or drops all there is."""
    is_younger = any(since.number(each.release) > since.number(release) for each in _came_with(field))
    return is_younger or (is_dropped(field, release) and any(f".{name}" in field for name in since.REFUSED))


def is_dropped(field: str, release: str) -> bool:
    """Say whether a release of Kubernetes drops a field that it knows, or what it is in: its feature gate is off."""
    return any(release in since.table().off(each) for each in _came_with(field))


def _came_with(field: str) -> list[since.Since]:
    return [found for place, found in since.table().fields.items() if _is_within(field, place.removeprefix(".spec."))]


@cache
def trials(release: str) -> dict[str, Trial]:
    """Return a trial for every field that an example has and a release of Kubernetes takes."""
    tried: dict[tuple[int, Place], Trial] = {}
    found = {}
    fit = [known(example, release) for example in examples()]
    for field in needed():
        for number, example in enumerate(fit):
            place = next((place for each, place in example.places.items() if _is_within(each, field)), None)
            if place is not None:
                found[field] = tried.setdefault((number, place), _trial(example, place, len(tried)))
                break
    return found


def specs(tried: Iterable[Trial], *, whole: bool) -> dict[str, Json]:
    """Return the spec of every app, with the fields or without them."""
    apps: dict[str, Json] = {}
    for trial in tried:
        spec = trial.whole if whole else trial.bare
        if trial.group:
            names_none = {"excludeQueues", "commandLine"} & spec.keys()
            queues = {} if names_none else {"queues": ["celery"]}
            group = {"name": trial.group, "replicas": 0} | queues | spec
            mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in spec.get("volumes", ())]
            group = ({"volumeMounts": mounts} if mounts else {}) | group  # what nobody mounts is in no pod
            apps.setdefault(trial.app, {"workers": []})["workers"].append(group)
        else:
            apps[trial.app] = spec
    return apps


def _trial(example: Example, place: Place, number: int) -> Trial:
    app, group = (f"b{number // GROUPS_IN_AN_APP}", f"g{number}") if example.is_group else (f"a{number}", "")
    return Trial(app, group, example.whole, without(example.whole, place), place)


def _is_within(field: str, path: str) -> bool:
    return field == path or (field.startswith(path) and field[len(path)] in ".[{")
