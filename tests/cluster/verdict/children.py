"""Children are accepted where their app is: apps near to what core/v1 refuses, and what the server says of each child.

An app is an example of a field with one or two places changed, to what is at an edge of the field or just beside it.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from random import Random
from typing import Any, NamedTuple

import documents
import every_field
import every_rule
import values
import verdicts
from cluster import Cluster, Response

from render import build, pipeline
from render.errors import InvalidInput, dotted
from render.model import Document
from render.schema import Schema

Json = dict[str, Any]

CONNECTIONS = 4
PLURALS = {"networkpolicy": "networkpolicies", "ingress": "ingresses"}
TEXTS = (
    *("", " ", "a b", "a_b", "A", "-a", "a-", "a.b", "a..b", "..", "../a", "a/../b", "/", "/a", "a/", "a/b", "a:b"),
    *("example.com/a", "Example.com/a", "a/b/c", "1", "0", "-1", "1.5", "1Gi", "-1Gi", "100m", "1e400", "$(A)", "a=b"),
    *("é", "None", "Always", "Never", "Other", "localhost"),
    *( "10.0.0.1", "10.0.0.256", "10.0.0.0/8", "10.0.0.1/8", "01.2.3.4"),
    *("::1", "fd00::/8", "limits.cpu", "requests.memory", "metadata.name", "metadata.labels['a']", "spec.nodeName"),
    *("data", "empty", "worker", "kubernetes.io/a", "cpu", "memory", "hugepages-2Mi", "storage", "CAP_SYS_ADMIN"),
    *("a" * 15, "a" * 16, "a" * 63, "a" * 64, "a" * 253, "a" * 254, ".".join(["a" * 63] * 4), f"{'a' * 64}.a"),
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 59, 100, 101, 511, 512, 599, 600, 3599, 3600, 65535, 65536, 2**31 - 1, 2**31, 2**40)
QUANTITIES = ("0", "-1", "1m", "0.0005", "1", "2", "2Gi", "100Ei", "1e18", "1n")


class Refusal(NamedTuple):
    """What the API server says of a child: the place in it, without numbers and keys of the app's, and why."""

    kind: str
    field: str
    reason: str


def document(seed: int, number: int) -> Json:
    """Return the document of this number. Places take turns."""
    random = Random(f"children {seed} {number}")
    order = _order(seed, number // len(_having()))
    place = order[number % len(order)]
    made = copy.deepcopy(random.choice(_having()[place]))
    _change(random, made, place)
    for _ in range(random.choice((0, 0, 1))):
        _change(random, made, random.choice(sorted(filter(_counts, documents.fields(made)))))
    return made


@cache
def _having() -> dict[tuple[str, ...], list[Json]]:
    """Return the apps to change that set a field, by its place."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for app in _bases():
        for place in filter(_counts, documents.fields(app)):
            found.setdefault(place, []).append(app)
    return dict(sorted(found.items()))


def _counts(place: tuple[str, ...]) -> bool:
    """Say whether the place becomes a part of children."""
    return place[0] == "spec" and len(place) > 1 and "settings" not in place


def _bases() -> Iterator[Json]:
    for example in every_field.examples():
        group = {"name": "worker", "replicas": 0} | ({} if "excludeQueues" in example.whole else {"queues": ["celery"]})
        if "commandLine" in example.whole:
            group.pop("queues")
        spec = {"workers": [group | example.whole]} if example.is_group else example.whole
        mounted = spec["workers"][0] if spec.get("workers") else {}
        if example.is_group and "volumes" in mounted and "volumeMounts" not in mounted:
            mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in mounted["volumes"]]
            spec = {"workers": [mounted | {"volumeMounts": mounts}]}
        yield documents.APP | {"spec": documents.NEEDED | spec}
    yield from (pair.held for pair in every_rule.pairs())


@cache
def _order(seed: int, turn: int) -> list[tuple[str, ...]]:
    return Random(f"children {seed} {turn}").sample([*_having()], len(_having()))


def _change(random: Random, app: Json, place: tuple[str, ...]) -> None:
    """Change the field where the app has it."""
    there = [(where, node) for where, node in documents.within(app) if documents.generic(where) == place]
    if not there:
        return
    (*above, last), node = random.choice(there)
    parent: Any = app
    for step in above:
        parent = parent[step]
    kind = random.random()
    if kind < 0.15:
        del parent[last]
    elif kind < 0.3 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    elif kind < 0.4 and isinstance(last, str) and "properties" not in node and place[-1] == documents.KEY:
        parent[random.choice(TEXTS)] = parent.pop(last)
    else:
        parent[last] = _edge(random, node, parent[last])


def _edge(random: Random, node: Json, value: Any) -> Any:
    """Return what is at an edge of the field, or near to the value that is there."""
    if node.get("x-kubernetes-int-or-string"):
        return random.choice((*QUANTITIES, *NUMBERS, *TEXTS))
    match node.get("type"):
        case "string":
            return random.choice(node.get("enum", TEXTS) if random.random() < 0.7 else TEXTS)
        case "integer":
            return random.choice((*NUMBERS, *(node[key] for key in ("minimum", "maximum") if key in node)))
        case "array":
            more = values.smallest(random, node["items"])
            return random.choice(([], [*value, more], [*value, *copy.deepcopy(value)]))
        case "object":
            return _other(random, node, value)
    return not value


def _other(random: Random, node: Json, value: Json) -> Json:
    """Return the object with a field more or less, or empty."""
    kind = random.random()
    if kind < 0.2 or not value:
        return {}
    if kind < 0.4:
        gone = random.choice([*value])
        return {key: item for key, item in value.items() if key != gone}
    if "additionalProperties" in node:
        return value | {random.choice(TEXTS): random.choice([*value.values()])}
    more = random.choice([*node.get("properties", {})] or ["a"])
    inner = node.get("properties", {}).get(more, {"type": "string"})
    return value | {more: _edge(random, inner, values.smallest(random, inner) if inner.get("type") != "array" else [])}


def refusals(cluster: Cluster, apps: Iterable[Json], schema: Schema) -> list[list[Refusal] | None]:
    """Return what the API server refuses of each app's children; None where celery-render refuses the app."""
    rendered = [children(app, schema) for app in apps]
    asked = {_digest(child): child for found in rendered for child in found or ()}
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [[*asked.items()][first::CONNECTIONS] for first in range(CONNECTIONS)]
        said = {key: found for part in threads.map(partial(_asked, cluster), shares) for key, found in part}
    return [
        None if found is None else [refusal for child in found for refusal in said[_digest(child)]]
        for found in rendered
    ]


def children(app: Json, schema: Schema) -> tuple[Json, ...] | None:
    """Return the children of the app as celery-render accepts it; None where it does not."""
    try:
        return build.children(pipeline.app(Document(app, "app.yaml", {}), schema))
    except InvalidInput:
        return None


def is_stricter(app: Json, schema: Schema) -> bool:
    """Say whether all that is refused for the sake of children is refused though the server takes them."""
    problems = verdicts.verdict(Document(app, "app.yaml", {}), schema).problems
    places = [re.sub(r"\[\d+\]", "[]", dotted(each.path)) for each in problems]
    fields, release = [place.removeprefix("spec.") for place in places], schema.kubernetes
    # What a release does not know may be in a volume that nothing mounts, which is in no pod.
    is_unseen = any(every_field.is_dropped(each, release) or every_field.is_refused(each, release) for each in fields)
    lenient = verdicts.lenient(release)
    is_taken_yet = any(words in str(each) for each in problems for words in lenient)
    return is_unseen or is_taken_yet or any(words in place for place in places for words in verdicts.STRICTER)


def report(cluster: Cluster, app: Json, schema: Schema, name: str) -> str:
    """Say which child is refused of an app, which is made as small as it can be."""

    def refused(candidate: Json) -> list[Refusal] | None:
        return refusals(cluster, [candidate], schema)[0]

    least = documents.smallest(app, refused)
    said = "\n".join(f"{each.kind} {each.field}: {each.reason}" for each in refused(least) or ())
    return f"{name}, the least of it:\n{documents.text(least)}\nis accepted, but not its children:\n{said}\n"


def _digest(child: Json) -> str:
    return hashlib.sha256(json.dumps(child, sort_keys=True).encode()).hexdigest()


def _asked(cluster: Cluster, share: Iterable[tuple[str, Json]]) -> list[tuple[str, list[Refusal]]]:
    """Return the server's answers to children which are created, but for being kept."""
    found = []
    with cluster.connection() as request:
        for key, child in share:
            path = _path(cluster, child)
            answer = request("POST", path, verdicts.as_sent(child), dryRun="All", fieldValidation="Strict")
            found.append((key, [*_refusals(child["kind"], answer)]))
    return found


def _path(cluster: Cluster, child: Json) -> str:
    version, kind = child["apiVersion"], child["kind"].lower()
    plural = PLURALS.get(kind, f"{kind}s")
    return f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{cluster.namespace}/{plural}"


def _refusals(kind: str, answer: Response) -> Iterator[Refusal]:
    if answer.status == 201:
        return
    details = answer.body.get("details") or {}
    for cause in details.get("causes") or [{"message": answer.body["message"]}]:
        if not any(words in cause["message"] for words in verdicts.OF_THE_CLUSTER):
            yield Refusal(kind, re.sub(r"\[[^\]]*\]", "[]", cause.get("field", "")), cause["message"])
