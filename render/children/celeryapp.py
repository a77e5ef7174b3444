"""The app itself, for a reconciler that scales what something else applies."""

from copy import deepcopy

from render import naming
from render.model import CeleryApp, Manifest


def celery_app(app: CeleryApp) -> Manifest:
    """Return the document as written, with `reconcile: Scale` and the label that ties it to its children."""
    document = deepcopy(dict(app.written))
    document.pop("status", None)
    metadata = document["metadata"]
    labels = {**metadata.get("labels", {}), naming.APP_LABEL: app.name}
    return {
        **document,
        "metadata": {**metadata, "labels": labels},
        "spec": {**document["spec"], "reconcile": "Scale"},
    }
