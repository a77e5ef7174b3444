"""A group of workers that the reconciler scales: by which policy, and where its messages wait. Pure values."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

from reconciler.cluster.live import App
from reconciler.model import SECRET
from reconciler.scaling.model import Policy
from render import pipeline
from render.children import connection, worker
from render.in_pod.celery_connection import FILES
from render.model import Component
from render.schema import Schema

ENGINE = "Reconciler"
"""The scaling engine that we are."""
GroupKey = tuple[str, str]
"""The UID of an app, and the name of its group."""


class SecretKey(NamedTuple):
    """Where a part of the way to a broker is kept, in the app's own namespace: a Secret, or a ConfigMap."""

    name: str
    key: str
    kind: str = SECRET.name

    @classmethod
    def of(cls, source: Mapping[str, Any] | None) -> "SecretKey | None":
        """Return the key that a field such as `passwordFrom` names, if there is one."""
        for field, kind in (("secretKeyRef", SECRET.name), ("configMapKeyRef", "ConfigMap")):
            if source and field in source:
                return cls(source[field]["name"], source[field]["key"], kind)
        return None


class Parts(NamedTuple):
    """What leads to a broker beside its URL."""

    username: SecretKey | str | None = None
    password: SecretKey | None = None
    sentinel_master: str | None = None
    sentinel_password: SecretKey | None = None
    verify: str | None = None
    """What is asked of its certificate; None if `spec.broker` says nothing of TLS."""
    files: tuple[tuple[str, SecretKey], ...] = ()
    """Certificates and a key, each with what it is: ca, cert or key."""

    @classmethod
    def of(cls, broker: Mapping[str, Any]) -> Self:
        tls, sentinel = broker.get("tls", {}), broker.get("sentinel", {})
        files = {kind: SecretKey.of(tls.get(f"{kind}From")) for kind in FILES}
        return cls(
            SecretKey.of(broker.get("usernameFrom")) or connection.user(broker),
            SecretKey.of(broker.get("passwordFrom")),
            sentinel.get("masterName"),
            SecretKey.of(sentinel.get("passwordFrom")),
            tls.get("verify"),
            tuple((kind, key) for kind, key in files.items() if key),
        )

    @property
    def keys(self) -> Iterator[SecretKey]:
        """Yield what is to be read."""
        yield from (part for part in (*self[:4], *(key for _, key in self.files)) if isinstance(part, SecretKey))


class Group(NamedTuple):
    name: str
    policy: Policy
    queues: frozenset[str]
    """Those that are counted; none if it is not scaled by them."""
    url: str | SecretKey | None
    """Of the broker; None if only the app itself knows."""
    settings: Mapping[str, Any]
    """Celery's, as the app gives them."""
    parts: Parts = Parts()

    @classmethod
    def of(cls, group: Component, broker: Mapping[str, Any]) -> Self:
        """Return the group, given `spec.broker` of its app."""
        return cls(
            name=group.name,
            policy=Policy.of(group.spec),
            queues=frozenset(worker.queues(group) if "queue" in group.spec["scaling"] else ()),
            url=SecretKey.of(broker.get("urlFrom")) or broker.get("url"),
            settings=group.spec.get("settings", {}),
            parts=Parts.of(broker),
        )


def scaled(app: App, schema: Schema) -> tuple[Group, ...]:
    """Return the groups of workers that are ours to scale. Raises InvalidInput with every problem."""
    found = pipeline.app(app.document(schema), schema)
    ours = (group for group in found.groups if group.spec.get("scaling", {}).get("engine") == ENGINE)
    return tuple(Group.of(group, found.spec.get("broker", {})) for group in ours)
