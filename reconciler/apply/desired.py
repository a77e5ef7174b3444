"""What an app shall consist of: what celery-render renders, marked as the app's own. Pure.

The CeleryApp a base may hold is left out: here it is where everything begins.
"""

from reconciler.cluster.live import OURS, App
from reconciler.cluster.nesting import nesting
from reconciler.model import CELERY_APP, CHILD_KINDS, FIELD_MANAGER, Manifest
from reconciler.scaling.group import Group
from render import pipeline
from render.errors import InvalidInput, Problem
from render.load import MAX_DEPTH
from render.model import Document
from render.naming import MANAGED_BY_LABEL
from render.schema import Schema

_RANK = {(kind.api_version, kind.name): rank for rank, kind in enumerate(CHILD_KINDS)}


def children(app: App, schema: Schema) -> tuple[Manifest, ...]:
    """Return the app's children, in the order in which they are applied. Raises InvalidInput with every problem."""
    rendered = pipeline.base(_document(app), schema).children
    found = [_owned(child, app) for child in rendered if child["kind"] != CELERY_APP.name]
    return tuple(sorted(found, key=lambda child: _RANK[child["apiVersion"], child["kind"]]))


def scaled(app: App, schema: Schema) -> tuple[Group, ...]:
    """Return the groups of workers that are ours to scale. Raises InvalidInput with every problem."""
    found = pipeline.app(_document(app), schema)
    ours = (group for group in found.groups if group.spec.get("scaling", {}).get("engine") == OURS)
    return tuple(Group.of(group, found.spec.get("broker", {})) for group in ours)


def _document(app: App) -> Document:
    """Return the app as if it had been read from a file. Raises InvalidInput for what could not be."""
    if nesting(app.text) > MAX_DEPTH:
        raise InvalidInput((Problem(str(app.ref), 0, ("spec",), f"is nested more than {MAX_DEPTH} levels deep"),))
    return Document(app.manifest, str(app.ref), {})


def _owned(child: Manifest, app: App) -> Manifest:
    """Return the child as it is applied: labelled as ours, and gone when the app is."""
    owner = {"apiVersion": app.ref.api_version, "kind": app.ref.kind, "name": app.ref.name, "uid": app.uid}
    metadata = child["metadata"] | {
        "namespace": app.ref.namespace,
        "labels": child["metadata"]["labels"] | {MANAGED_BY_LABEL: FIELD_MANAGER},
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    return child | {"metadata": metadata}
