"""What an app shall consist of: what celery-render renders, marked as the app's own. Pure.

The CeleryApp a base may hold is left out: here it is where everything begins.
"""

from reconciler.cluster.live import App
from reconciler.model import CELERY_APP, FIELD_MANAGER, RANK, Manifest
from render import pipeline
from render.naming import MANAGED_BY_LABEL
from render.schema import Schema


def children(app: App, schema: Schema) -> tuple[Manifest, ...]:
    """Return the app's children, in the order in which they are applied. Raises InvalidInput with every problem."""
    rendered = pipeline.base(app.document(schema), schema).children
    found = [_owned(child, app) for child in rendered if child["kind"] != CELERY_APP.name]
    return tuple(sorted(found, key=lambda child: RANK[child["kind"]]))


def _owned(child: Manifest, app: App) -> Manifest:
    """Return the child as it is applied: labelled as ours, and gone when the app is."""
    owner = {"apiVersion": app.ref.api_version, "kind": app.ref.kind, "name": app.ref.name, "uid": app.uid}
    metadata = child["metadata"] | {
        "namespace": app.ref.namespace,
        "labels": child["metadata"]["labels"] | {MANAGED_BY_LABEL: FIELD_MANAGER},
        "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
    }
    return child | {"metadata": metadata}
