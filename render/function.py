"""celery-render as a function of kustomize: a ResourceList in, a ResourceList out. Pure.

The CeleryApp that is the function's own configuration is rendered (a generator), and each one among the items gives way
to its children (a transformer); all else passes as it came. The list is read as strictly as a file, but its lines mean
nothing to a user: problems name the object and the field.
https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md
"""

from typing import Any, NamedTuple

from render import emit, load, pipeline
from render.errors import InvalidInput, Problem, dotted
from render.model import Document, Manifest
from render.schema import Schema

SOURCE = "standard input"
LIST = {"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList"}
FOR_KUSTOMIZE = "--function is for kustomize, which sends a ResourceList; to render a file, name it without --function"
PATH_ANNOTATION = "internal.config.kubernetes.io/path"
FOR_THE_PIPELINE = (
    "config.kubernetes.io/",
    "internal.config.kubernetes.io/",
    "config.k8s.io/",
    "kustomize.config.k8s.io/",
)
"""Begin the annotations by which kustomize and its functions know what is what; the cluster has no use for them."""


class Answer(NamedTuple):
    """The list to give back, and what is wrong or hurts: the list then says so too.

    When it is refused, its items are as they came.
    """

    text: str
    problems: tuple[Problem, ...]
    is_refused: bool


def answer(content: bytes, schema: Schema, *, strict: bool = False) -> Answer:
    """Return what kustomize gets back; warnings refuse it when it is strict.

    Raises InvalidInput when kustomize gave no ResourceList.
    """
    given = resource_list(content)
    items: list[Manifest] = []
    problems: list[tuple[Problem, Manifest]] = []
    owners: pipeline.Owners = {}
    for manifest in objects(given, schema):
        if not is_app(manifest, schema):
            items.append(manifest)
            continue
        try:
            one = pipeline.base(document(manifest), schema)
        except InvalidInput as invalid:
            problems += [(problem, manifest) for problem in invalid.problems]
        else:
            problems += [(problem, manifest) for problem in (*one.warnings, *pipeline.clashes(one, owners))]
            items += one.children
    said = tuple(problem for problem, _ in problems)
    is_refused = pipeline.refuses(said, strict=strict)
    results = [result(problem, manifest) for problem, manifest in problems]
    listed = {**LIST, "items": given["items"] if is_refused else items, **({"results": results} if results else {})}
    return Answer(emit.stream([listed]), said, is_refused)


def resource_list(content: bytes) -> dict[str, Any]:
    """Return the list as it came, with items. Raises InvalidInput when it is none, or not the same to every reader."""
    loaded = load.documents(content, SOURCE, wanted=FOR_KUSTOMIZE)
    if problems := (*loaded.problems, *(problem for each in loaded.documents for problem in each.problems)):
        raise InvalidInput(problems)
    given = loaded.documents[0].data
    items = given.get("items") or []
    listed = isinstance(items, list) and all(isinstance(item, dict) for item in items)
    if given.get("kind") != LIST["kind"] or not listed or not isinstance(given.get("functionConfig") or {}, dict):
        raise InvalidInput((Problem(SOURCE, 0, (), f"is no ResourceList: {FOR_KUSTOMIZE}"),))
    return {**given, "items": items}


def objects(given: dict[str, Any], schema: Schema) -> list[Manifest]:
    """Return the items, and last the CeleryApp that configures the function.

    Of that one kustomize puts a copy among the items of a generator, lest there be none.
    """
    config = given.get("functionConfig") or {}
    if not is_app(config, schema):
        return list(given["items"])
    return [*(item for item in given["items"] if reference(item) != reference(config)), config]


def is_app(manifest: Manifest, schema: Schema) -> bool:
    """Return whether it is a CeleryApp, be it of a version that is not known here."""
    group = schema.group_version.partition("/")[0]
    return manifest.get("kind") == schema.kind and str(manifest.get("apiVersion")).partition("/")[0] == group


def document(app: Manifest) -> Document:
    """Return the app as its author wrote it, from the file that its path says, or by its name."""
    return Document(without_annotations(app), source(app), {(): 0})


def source(app: Manifest) -> str:
    return str(annotations(app).get(PATH_ANNOTATION) or "{kind} {name}".format(**reference(app)))


def annotations(app: Manifest) -> Manifest:
    metadata = app.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def without_annotations(app: Manifest) -> Manifest:
    """Return the app less the annotations of the pipeline; whatever is wrong with the rest is for the schema to say."""
    if not (found := annotations(app)):
        return app
    kept = {key: value for key, value in found.items() if not key.startswith(FOR_THE_PIPELINE)}
    metadata = {key: value for key, value in app["metadata"].items() if key != "annotations"}
    return {**app, "metadata": {**metadata, **({"annotations": kept} if kept else {})}}


def reference(manifest: Manifest) -> dict[str, str]:
    """Return which object it is."""
    metadata = manifest.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    return {
        "apiVersion": str(manifest.get("apiVersion")),
        "kind": str(manifest.get("kind")),
        "name": str(named.get("name")),
        **({"namespace": str(named["namespace"])} if "namespace" in named else {}),
    }


def result(problem: Problem, app: Manifest) -> Manifest:
    """Return the problem as functions tell of it."""
    path = annotations(app).get(PATH_ANNOTATION)
    return {
        "message": problem.message,
        "severity": "warning" if problem.is_warning else "error",
        "resourceRef": reference(app),
        **({"field": {"path": dotted(problem.path)}} if problem.path else {}),
        **({"file": {"path": str(path)}} if path else {}),
    }
