"""A group of workers that the reconciler scales: by which policy, and where its messages wait. Pure values."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from reconciler.cluster.live import App
from reconciler.scaling.model import Policy
from render import pipeline
from render.children import worker
from render.model import Component
from render.schema import Schema

ENGINE = "Reconciler"
"""The scaling engine that we are."""
GroupKey = tuple[str, str]
"""The UID of an app, and the name of its group."""


class SecretKey(NamedTuple):
    """Where a broker's URL is kept, in the app's own namespace."""

    name: str
    key: str


class Group(NamedTuple):
    name: str
    policy: Policy
    queues: frozenset[str]
    """Those that are counted; none if it is not scaled by them."""
    url: str | SecretKey | None
    """Of the broker; None if only the app itself knows."""
    settings: Mapping[str, Any]
    """Celery's, as the app gives them."""

    @classmethod
    def of(cls, group: Component, broker: Mapping[str, Any]) -> Self:
        """Return the group, given `spec.broker` of its app."""
        secret = broker.get("urlFrom", {}).get("secretKeyRef")
        return cls(
            name=group.name,
            policy=Policy.of(group.spec),
            queues=frozenset(worker.queues(group) if "queue" in group.spec["scaling"] else ()),
            url=SecretKey(secret["name"], secret["key"]) if secret else broker.get("url"),
            settings=group.spec.get("settings", {}),
        )


def scaled(app: App, schema: Schema) -> tuple[Group, ...]:
    """Return the groups of workers that are ours to scale. Raises InvalidInput with every problem."""
    found = pipeline.app(app.document(schema), schema)
    ours = (group for group in found.groups if group.spec.get("scaling", {}).get("engine") == ENGINE)
    return tuple(Group.of(group, found.spec.get("broker", {})) for group in ours)
