"""Data of beat and Flower: a PersistentVolumeClaim where one is asked for, else a volume that goes with the pod."""

from collections.abc import Mapping
from typing import Any

from render import naming, quantity
from render.children import pod
from render.children.pod import Volume
from render.model import CeleryApp, Component, Manifest

Storage = Mapping[str, Any]
"""`beat.storage` or `flower.persistence`."""


def of(app: CeleryApp, component: Component, path: str, storage: Storage | None) -> Volume:
    """Return the volume for the component's data."""
    if storage is None:
        return Volume("celery-data", path, {"emptyDir": {}})
    name = storage.get("existingClaim", naming.derived(app.name, component.name))
    return Volume("celery-data", path, {"persistentVolumeClaim": {"claimName": name}})


def claims(app: CeleryApp) -> list[Manifest]:
    """Return the claims to make: none for storage that names one that exists."""
    asked = [(app.beat, "storage"), (app.flower, "persistence")]
    return [
        _claim(app, component, component.spec[field])
        for component, field in asked
        if component and field in component.spec and "existingClaim" not in component.spec[field]
    ]


def _claim(app: CeleryApp, component: Component, storage: Storage) -> Manifest:
    storage_class = {"storageClassName": storage["storageClassName"]} if "storageClassName" in storage else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": pod.metadata(app, component.name),
        "spec": {
            "accessModes": [storage["accessMode"]],
            "resources": {"requests": {"storage": quantity.requested(storage["size"])}},
            **storage_class,
        },
    }
