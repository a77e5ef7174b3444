"""What the API server says of a document, what celery-render says of it, and in what the two differ."""

import ast
import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import documents
import every_field
import every_rule
from cluster import Cluster, Response

from render import default, load, pipeline, since, structure, wording
from render.errors import InvalidInput, Problem, dotted, without_login
from render.model import CeleryApp, Document
from render.schema import Schema

Json = dict[str, Any]

ACCEPTED, DECODING, BY_SCHEMA, BY_RULES = "accepted", "refused on decoding", "refused by the schema", "refused by rules"
STAGES = (ACCEPTED, DECODING, BY_SCHEMA, BY_RULES)
RULES = tuple(every_rule.rules(every_field.ROOT))
PLACES = {rule.place for rule in RULES}
CONNECTIONS = 4

# How the server words it. It says nothing of rules when the schema is broken, and nothing of either on decoding.
UNKNOWN = re.compile('unknown field "([^"]*)"')
WITHIN = re.compile(
    r'Checked value must be of type .* in (.*)$|^Invalid value: "": "(.*)" must validate at least one schema', re.DOTALL
)
NOT_ASKED = "some validation rules were not checked"
NOT_ANSWERED = " evaluating rule: "
"""A rule stumbles over what is wrong by the schema, which is said too."""
ELSEWHERE = "does not match the namespace sent on the request"
"""Nothing is wrong with the document: it is for another namespace than the test's."""

NOT_COUNTED = {
    *("creationTimestamp", "generation", "managedFields", "namespace", "resourceVersion", "selfLink", "uid"),
    *("deletionGracePeriodSeconds", "deletionTimestamp"),
}
"""What of the metadata the server makes up or drops, whatever was sent."""

DELIBERATE = {
    "is read as a number too large to be exact": "the server rounds it without a word",
    "does not survive kustomize: remove it": "what is rendered goes through kustomize",
    "is no setting of Celery: ": "Celery would say nothing, and the CRD cannot see names that it does not hold",
    "is no setting that Celery can read: ": "the worker would not start; likewise",
    "is not beat's alone: ": "likewise",
    "is no option of a broker's: ": "likewise",
    **{
        f"Celery takes {what} here": "likewise, nor values"
        for what in ("true or false", "a number", "a list", "an object")
    },
    "Celery takes options alone here: ": "Celery would not start, and `-` may stand before more than a rule can list",
    **dict.fromkeys((" stands before args already: ", "is an option of celery itself, "), "likewise"),
    "no program is called so, ": "the kubelet says it, of each pod",
    "is root, and runAsNonRoot lets no root start: ": "the kubelet says it, of each pod",
    "holds a password in plain text: ": "what holds one, only its text tells: too dear for rules",
    "the url says ": "KEDA would be told another broker; the CRD has no room",
    "KEDA reads one RabbitMQ: ": "KEDA would take the second host for a part of the first's URL; likewise",
    "metadata.name: is required": "the server makes one up from generateName, and what is rendered could not be named",
}
"""What celery-render refuses though the server accepts it, by its message, and why."""
SINCE = {
    "must be an integer of ": "1.36",
    # In children, such as 10.0.0.1/8 and 01.2.3.4: the feature gate StrictIPCIDRValidation.
    **dict.fromkeys(("must be a network such as ", "must be an IP address such as "), "1.36"),
    "image.reference: is required": "1.37",
}
"""What a server of an older release accepts, likewise: by its message, and since when it is refused."""

IN_CHILDREN = {
    "is given in whole: ": "devices and huge pages: requests and limits by their names",
    " is more than the limit of ": "requests and limits: CEL cannot compare what spec and a component say together",
    "terminationGracePeriodSeconds (": "hooks that sleep, which may be of spec, and the grace, of a component",
    "names a volume that is not in volumes: ": "mounts of init containers: too many for a rule",
    "is read from an emptyDir: ": "variables from a file of a volume",
    "is not for an image: ": "options of mounts of an image",
    "needs a privileged container: ": "mounts that reach the node",
    "is the name of Celery's own container: ": "names of init containers",
    "None needs dnsConfig.nameservers: ": "name servers: the policy may be of spec, the servers of a component",
    " is divided by: ": "divisors: many ways to write the same quantity",
    "is the path of another file of the volume: ": "files of projected volumes: three lists deep",
    "must be more than 0, such as 1Gi": "sizes of claims: many ways to write nothing",
    "is set already: ": "kernel parameters: dots and slashes are alike",
    "is the name of another port of the container: ": "ports: a key of their list is another",
    "must be a part of ": "exceptions of networks: arithmetic",
}
"""What celery-render refuses since the server would refuse a child, beside what crds/pods.yaml says; by its message."""
STRICTER = {
    "emptyDir.medium": "the node would refuse another",
    "topologySpreadConstraints[].topologyKey": "no node has such a label",
    "preference.matchExpressions[].values[]": "likewise",
    "items[].key": "no ConfigMap or Secret has such a key",
    "volumeClaimTemplate.spec.resources.requests": "a claim asks for storage alone",
    "volumes[].image.pullPolicy": "a volume that nothing mounts is in no pod",
    "fieldRef.apiVersion": "there is v1 only",
    "s.kubernetes.io/": "no node has such a resource",
}
"""What crds/pods.yaml refuses though the server takes the children, by the end of its place. A field whose feature gate
is off it drops unseen besides."""
OF_THE_CLUSTER = {
    "provided port is not in the valid range": "flower.service.nodePort: each cluster has its own range",
    "`configMapKeyRef` or `secretKeyRef`": "env[].valueFrom.fileKeyRef: its feature gate may be off, in 1.34",
}
"""What a server refuses in a child that another would take, and nobody can know before."""

REFUSED = ("use spec.", "use workers[].", "set it in the app")
WHOLE = (
    "is required",
    *REFUSED,
    *(f"must be {words}," for words in (*wording.TYPES.values(), "a string or an integer")),
)
"""How a problem begins that says all about a value: what is in it is not named one by one, as the server does."""
NEAR_AN_INTEGER = "must be an integer, is the number "
"""How a problem begins after which the server may go on to rules: to its types (swag's IsFloat64AJSONInteger)
a fraction less than a billionth of its number is none, though it is to its bounds."""
ANOTHER_KIND = re.compile("(is|has) .*; write celeryproject.org/v1alpha1 CeleryApp.*", re.DOTALL)


class Answer(NamedTuple):
    """What the server said: at which stage, which paths it named, which rules were broken, and what it would store."""

    stage: str
    paths: frozenset[str]
    broken: frozenset[every_rule.Rule]
    stored: Json | None
    message: str
    lenient: tuple[str, ...] = ()
    """What of SINCE this server does not refuse."""


class Verdict(NamedTuple):
    """What celery-render says: its problems, or an app; and the document with its defaults."""

    problems: tuple[Problem, ...]
    app: CeleryApp | None
    filled: Json


def answers(cluster: Cluster, apps: Iterable[Json], unknown_fields: str = "Strict") -> list[Answer]:
    """Return the server's answer to each document; none is kept there. With Ignore, unknown fields are dropped."""
    apps = list(apps)
    found = [None] * len(apps)
    shares = [apps[first::CONNECTIONS] for first in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        parts = threads.map(lambda share: _answers(cluster, share, unknown_fields), shares)
        for first, part in enumerate(parts):
            found[first::CONNECTIONS] = part
    return found


def _answers(cluster: Cluster, apps: list[Json], unknown_fields: str) -> list[Answer]:
    path = f"/apis/celeryproject.org/v1alpha1/namespaces/{cluster.namespace}/celeryapps"
    query = {"dryRun": "All", "fieldValidation": unknown_fields}
    with cluster.connection() as request:
        said = request("GET", "/version").accepted().body
        words = lenient(f"{said['major']}.{said['minor']}")
        return [_answer(request("POST", path, as_sent(app), **query))._replace(lenient=words) for app in apps]


def lenient(release: str) -> tuple[str, ...]:
    """Return what of SINCE a server of this release does not refuse."""
    return tuple(words for words, refused in SINCE.items() if since.number(release) < since.number(refused))


def _answer(response: Response) -> Answer:
    body = response.body
    if response.status == 201:
        return Answer(ACCEPTED, frozenset(), frozenset(), body, "")
    if response.status == 400:
        unknown = frozenset(map(_normal, UNKNOWN.findall(body["message"])))
        return Answer(DECODING, unknown, frozenset(), None, body["message"])
    assert response.status == 422, body
    causes = [cause for cause in body["details"]["causes"] if NOT_ASKED not in cause["message"]]
    causes = [cause for cause in causes if NOT_ANSWERED not in cause["message"]] or causes
    broken = [rule for cause in causes for rule in RULES if _is_about(cause, rule)]
    stage = BY_RULES if len(broken) == len(causes) else BY_SCHEMA
    return Answer(stage, frozenset(map(_path, causes)), frozenset(broken), None, body["message"])


def _path(cause: Json) -> str:
    """Return the path that a cause names; some have it in their text only, and there as Go quotes it."""
    if cause["field"] == "<nil>" and (within := WITHIN.search(cause["message"])):
        return _normal(within[1] or ast.literal_eval(f'"{within[2]}"'))
    return _normal(cause["field"])


def _is_about(cause: Json, rule: every_rule.Rule) -> bool:
    return re.sub(r"\[\d+\]", "[]", cause["field"]) == rule.place and cause["message"].endswith(rule.message)


def read(app: Json) -> Document:
    [document] = load.documents(documents.text(app).encode(), "app.yaml").documents
    return document


def verdict(document: Document, schema: Schema) -> Verdict:
    """Return what celery-render says of a document that was read."""
    filled = default.fill(document.data, schema.structural)
    try:
        return Verdict((), pipeline.app(document, schema), filled)
    except InvalidInput as invalid:
        return Verdict(tuple(problem for problem in invalid.problems if not problem.is_warning), None, filled)


def difference(said: Answer, ours: Verdict) -> str:
    """Return in what celery-render's verdict differs from the server's, or nothing."""
    messages = [str(problem) for problem in ours.problems]
    if said.stored is None:
        if ELSEWHERE in said.message:
            return ""
        if not messages:
            return f"celery-render accepts, the server says:\n{said.message}"
        unnamed = sorted(path for path in said.paths if not _names(ours.problems, path))
        words = [f"the server names {unnamed}:", said.message, "celery-render says:", *messages]
        return "\n".join(words) if unnamed else ""
    if messages:
        accepted = (*DELIBERATE, *IN_CHILDREN, *said.lenient)
        deliberate = all(any(words in message for words in accepted) for message in messages)
        return "" if deliberate else "\n".join(["the server accepts, celery-render says:", *messages])
    stored, filled = _comparable(said.stored), _comparable(ours.filled)
    return "" if stored == filled else f"the server would store\n{stored}\nand celery-render reads\n{filled}"


def difference_in_pruning(stored: Json, document: Document, schema: Schema) -> str:
    """Return in what the document as the server stored it, unknown fields dropped, differs from what is left here."""
    pruned = default.fill(structure.pruned(document.data, schema.structural), schema.structural)
    there, here = (_comparable(app | {"metadata": {}}) for app in (stored, pruned))
    return "" if there == here else f"the server would store\n{there}\nand celery-render reads\n{here}"


def _names(problems: Iterable[Problem], path: str) -> bool:
    """Say whether one of the problems is what the server means by the path."""
    return any(
        _means(problem, _normal(dotted(problem.path)), without_login(path)) or _is_in_a_list(problem, path)
        for problem in problems
    )


def _is_in_a_list(problem: Problem, path: str) -> bool:
    """Say whether a list was meant where the path is: what was read in its place is no matter then."""
    return problem.message.startswith(wording.NO_SPACE) and _is_in(path, _normal(dotted(problem.path[:-1])))


def _means(problem: Problem, named: str, path: str) -> bool:
    if named == path or (not named and ANOTHER_KIND.fullmatch(problem.message)):
        return True
    if any(words in problem.message for words in DELIBERATE):
        # No rule is asked about what holds a value that could not be read, and nothing about what a key holds.
        return _is_in(named, path) or _is_in(path, named) or re.sub(r"\[\d+\]", "[]", path) in PLACES
    # Of the metadata the server names the map or list and not the entry, or, an older one, a field of any entry.
    unnumbered = re.sub(r"\[\d+\]", "", named) if path.startswith("metadata.") else named
    if problem.message.startswith(WHOLE) and (_is_in(path, named) or _is_in(path, unnumbered)):
        return True
    if re.fullmatch(rf"{re.escape(path)}\[\d+\]", named) and re.sub(r"\[\d+\]", "[]", path) in PLACES:
        return True  # of a rule about all of a list the server does not name the item
    if problem.message.startswith(NEAR_AN_INTEGER) and re.sub(r"\[\d+\]", "[]", path) in PLACES:
        return True
    return path.startswith("metadata.") and unnumbered.startswith(path)


def _is_in(path: str, place: str) -> bool:
    return not place or path.startswith((f"{place}.", f"{place}["))


def _normal(path: str) -> str:
    """Return the path with keys as the server mostly writes them: `spec.podLabels.a/b`, not `spec.podLabels[a/b]`."""
    return re.sub(r"\[(?!\d+\])([^\]]*)\]", r".\1", path).removeprefix(".")


def _comparable(app: Json) -> str:
    """Return as JSON what counts of a document."""
    metadata = {key: value for key, value in app["metadata"].items() if key not in NOT_COUNTED}
    metadata = {key: value for key, value in metadata.items() if value not in ({}, [], "")}
    if owners := metadata.get("ownerReferences"):  # of two alike the server keeps the first
        metadata["ownerReferences"] = [owner for at, owner in enumerate(owners) if owner not in owners[:at]]
    return json.dumps(as_sent(app | {"metadata": metadata, "status": None}), sort_keys=True, ensure_ascii=False)


def as_sent(value: Any) -> Any:
    """Return the value as kubectl sends it, in Go's JSON: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: as_sent(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_sent(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
