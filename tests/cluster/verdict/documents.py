"""CeleryApps to be judged: one near to a valid one for every number, made from the CRD. Pure.

Hypothesis is not used: it asks for an answer before it makes the next example, and answers come by the hundred here.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import every_field
import every_rule
import values
import yaml

from render import schema
from render.errors import Path as Place
from render.errors import dotted

Json = dict[str, Any]
Node = dict[str, Any]

ROOT = Path(__file__).parents[3]
SCHEMA = schema.load().structural
APP: Json = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
NEEDED = {"image": "registry.example.com/shop:1", "app": "shop"}
PARTICULAR = {"default", "format", "pattern", "maxLength", "minimum", "maximum", "x-kubernetes-int-or-string"}
ITEM, KEY = "[]", "{}"


def document(seed: int, number: int) -> Json:
    """Return the document of this number: an app with a change at a place of the CRD, and up to two elsewhere.

    Places take turns: as many documents as there are places change each of them once.
    """
    random = Random(f"{seed} {number}")
    order = _order(seed, number // len(places()))
    place = order[number % len(order)]
    made = copy.deepcopy(_base(random, place))
    _change(random, made, place)
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        if random.random() < 0.5:
            _change(random, made, random.choice(_particular()))
        else:
            found = [each for each in within(made, SCHEMA) if each[0][0] in ("metadata", "spec")]
            _mutate(random, made, *random.choice(found))
    return made


@cache
def places() -> tuple[tuple[str, ...], ...]:
    """Return the places of every field of the CRD: `("spec", "workers", "[]", "name")`."""
    return tuple(place for place in _below(SCHEMA, ()) if place[0] != "status")


@cache
def _particular() -> tuple[tuple[str, ...], ...]:
    """Return the places of which the schema says more than a type, in which most mistakes are made."""
    return tuple(place for place in places() if PARTICULAR & _node(place).keys())


def _node(place: tuple[str, ...]) -> Node:
    node = SCHEMA
    for step in place:
        node = _inner(node)[step]
    return node


def _below(node: Node, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for step, inner in _inner(node).items():
        yield (*place, step)
        yield from _below(inner, (*place, step))


def _inner(node: Node) -> dict[str, Node]:
    found = dict(node.get("properties", {}))
    found |= {ITEM: node["items"]} if "items" in node else {}
    return found | ({KEY: node["additionalProperties"]} if "additionalProperties" in node else {})


@cache
def _order(seed: int, turn: int) -> list[tuple[str, ...]]:
    return Random(f"{seed} {turn}").sample(places(), len(places()))


@cache
def _bases() -> list[Json]:
    """Return the apps that are changed: those of the project's examples and tests."""
    group = {"name": "worker", "replicas": 0}
    specs = [
        {"workers": [group | example.whole]} if example.is_group else example.whole
        for example in every_field.examples()
    ]
    apps = [APP | {"spec": NEEDED | spec} for spec in specs]
    apps += [app for pair in every_rule.pairs() for app in (pair.held, pair.broken)]
    files = sorted(ROOT.glob("examples/*/app.yaml"))
    return apps + [yaml.load(file.read_text(), yaml.CSafeLoader) for file in files]


@cache
def _having() -> dict[tuple[str, ...], list[Json]]:
    """Return the apps that set a field, by its place."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for app in _bases():
        for place in {generic(place) for place, _ in within(app, SCHEMA)}:
            found.setdefault(place, []).append(app)
    return found


def _base(random: Random, place: tuple[str, ...]) -> Json:
    """Return an app to change at the place: often one that sets the field, or the smallest."""
    having = _having().get(place, [])
    if having and random.random() < 0.5:
        return random.choice(having)
    return APP | {"spec": NEEDED} if random.random() < 0.7 else random.choice(_bases())


def within(value: Any, node: Node = SCHEMA, place: Place = ()) -> Iterator[tuple[Place, Node]]:
    """Yield every place in the value that the schema knows, below the root."""
    if place:
        yield place, node
    steps = _inner(node)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        step = ITEM if isinstance(value, list) else KEY if key in (ITEM, KEY) else key
        inner = steps.get(step, None if step == ITEM else steps.get(KEY))
        if inner:
            yield from within(item, inner, (*place, key))


def generic(place: Place) -> tuple[str, ...]:
    """Return the place without the numbers of items and the keys of maps."""
    node, found = SCHEMA, []
    for step in place:
        steps = _inner(node)
        found.append(ITEM if isinstance(step, int) else step if step in node.get("properties", {}) else KEY)
        node = steps[found[-1]]
    return tuple(found)


def _change(random: Random, app: Json, place: tuple[str, ...]) -> None:
    """Set the field, and on the way to it whatever it needs to exist."""
    value: Any = app
    node = SCHEMA
    for depth, step in enumerate(place):
        last, inner = depth == len(place) - 1, _inner(node)[step]
        if isinstance(value, list):
            key: Any = random.randrange(len(value) + 1)
            if key == len(value):
                value.append(values.smallest(random, inner))
        else:
            key = random.choice([*(value or ()), *values.STRINGS]) if step == KEY else step
        if last:
            value[key] = values.beside(random, inner)
            return
        if not isinstance(value, list) and key not in value:
            empty: Any = [] if inner.get("type") == "array" else None
            value[key] = values.smallest(random, inner) if inner.get("type") == "object" else empty
        if not isinstance(value[key], dict | list):
            return  # an earlier change is in the way
        value, node = value[key], inner


def _mutate(random: Random, app: Json, place: Place, node: Node) -> None:
    """Change what is at the place."""
    *above, last = place
    parent: Any = app
    for step in above:
        parent = parent[step]
    kind = random.random()
    value = parent[last]
    if kind < 0.2:
        del parent[last]
    elif kind < 0.35 and isinstance(parent, list):
        parent.append(copy.deepcopy(value))
    elif kind < 0.5 and isinstance(value, dict):
        value[random.choice((*values.STRINGS, "unknown", "Name"))] = random.choice((None, 1, "a", {}, []))
    else:
        parent[last] = values.beside(random, node)


def text(app: Any) -> str:
    """Return the document as JSON, which is YAML too where no character is one that YAML does not take as it is."""
    written = json.dumps(app, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda match: f"\\u{ord(match[0]):04x}", written)


def fields(app: Json) -> set[tuple[str, ...]]:
    """Return the places of the fields that a document sets."""
    return {generic(place) for place, _ in within(app, SCHEMA)}


def rules_about(app: Json) -> Iterator[every_rule.Rule]:
    """Yield the rules of every value in the document."""
    for place, node in [((), SCHEMA), *within(app, SCHEMA)]:
        if "x-kubernetes-validations" in node:
            path = re.sub(r"\[\d+\]", ITEM, dotted(place))
            yield from every_rule.rules({"x-kubernetes-validations": node["x-kubernetes-validations"]}, f".{path}")


def smallest(app: Json, holds: Callable[[Json], Any]) -> Json:
    """Return what is left of the document when all has gone without which it still holds, the last and inmost first."""
    for place, _ in reversed([*within(app, SCHEMA)]):
        less = every_field.without(app, place)
        app = less if holds(less) else app
    return app
