"""Objects as they are in the cluster: the apps, and what may be their children. Pure values.

There are thousands of them, so of a child only that is kept which is looked at again and again. The rest is packed,
and forgotten once it was looked into: its digest tells whether it has changed since.
"""

import json
import zlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple, Self

from reconciler.cluster.nesting import nesting
from reconciler.model import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    PERSISTENT_VOLUME_CLAIM,
    SCALED_OBJECT,
    Manifest,
    Ref,
)
from render import structure
from render.errors import InvalidInput, Problem
from render.load import MAX_DEPTH
from render.model import Document
from render.naming import APP_LABEL, BEAT, COMPONENT_LABEL, FLOWER
from render.schema import Schema

SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "selfLink")
"""What the API server writes into metadata whenever anything changes."""
AUTHORS_OWN = ("name", "namespace", "labels", "annotations")
"""What the author of an app says in its metadata."""
REVISION = "deployment.kubernetes.io/revision"
"""What the Deployment controller counts in; it comes a moment after the Deployment."""


TOLD = (DEPLOYMENT.name, PERSISTENT_VOLUME_CLAIM.name, HORIZONTAL_POD_AUTOSCALER.name, SCALED_OBJECT.name)
"""Kinds whose status is reported."""
COUNTS = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "phase")
WHOLE = ("type", "status", "reason", "message")
CONDITIONS = {
    "Progressing": ("type", "reason"),
    **dict.fromkeys(("ReplicaFailure", "ScalingActive", "ScalingLimited", "Ready", "Paused"), WHOLE),
}
"""What of a status is reported."""
OURS = "Reconciler"
"""The scaling engine that we are."""


class Mode(StrEnum):
    APPLY = "Apply"
    SCALE = "Scale"
    OFF = "Off"


class Controller(NamedTuple):
    """The one owner an object answers to."""

    api_version: str
    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def stable(manifest: Manifest) -> Manifest:
    """Return the object less what changes without anybody's doing: its status, and the server's book-keeping."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in SERVERS_OWN}
    if REVISION in (metadata.get("annotations") or ()):
        rest = {key: value for key, value in metadata.pop("annotations").items() if key != REVISION}
        metadata |= {"annotations": rest} if rest else {}
    return {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def text_of(manifest: Any) -> str:
    """Return equal text for equal values, whichever order their keys came in."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Live:
    """One object, labelled as the child of an app."""

    ref: Ref
    uid: str
    resource_version: str
    app: str
    """The name its label says; empty without."""
    component: str
    controller: Controller | None
    is_terminating: bool
    generation: int
    finalizers: tuple[str, ...]
    replicas: int | None
    storage: str
    """What a claim asks for."""
    status: Manifest
    """Of the kinds whose status is read."""
    digest: bytes
    """Of what is stable of it."""
    packed: bytes
    """What is stable of it and its managedFields, until it was looked into; then nothing."""

    @classmethod
    def of(cls, manifest: Manifest, old: "Live | None" = None) -> Self:
        """Return the object; of one that differs from what it was in nothing stable, only what is told."""
        metadata, labels = manifest["metadata"], manifest["metadata"].get("labels") or {}
        text, spec = text_of(stable(manifest)), manifest.get("spec") or {}
        found, owners = digest(text), metadata.get("managedFields") or []
        is_known = old is not None and old.digest == found and not old.packed
        return cls(
            ref=Ref.of(manifest),
            uid=metadata["uid"],
            resource_version=metadata.get("resourceVersion", ""),
            app=labels.get(APP_LABEL, ""),
            component=labels.get(COMPONENT_LABEL, ""),
            controller=controller_of(metadata),
            is_terminating="deletionTimestamp" in metadata,
            generation=metadata.get("generation", 0),
            finalizers=tuple(metadata.get("finalizers") or ()),
            replicas=spec.get("replicas"),
            storage=((spec.get("resources") or {}).get("requests") or {}).get("storage", ""),
            status=_told(manifest.get("status") or {}) if manifest["kind"] in TOLD else {},
            digest=found,
            packed=b"" if is_known else zlib.compress(f"{text}\n{text_of(owners)}".encode(), 1),
        )

    @property
    def manifest(self) -> Manifest:
        """The object, less what changes without anybody's doing. Only of one that was not looked into yet."""
        return dict(self._unpacked(0))

    @property
    def managed_fields(self) -> list[Manifest]:
        return list(self._unpacked(1))

    def changes_little_to(self, other: "Live") -> bool:
        """Say whether nothing but its status differs."""
        return (self.digest, self.is_terminating, self.uid) == (other.digest, other.is_terminating, other.uid)

    @property
    def looked_into(self) -> Self:
        return replace(self, packed=b"")

    def _unpacked(self, line: int) -> Any:
        return json.loads(zlib.decompress(self.packed).splitlines()[line])

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What it is looked up by: whose it says it is, and whose it is."""
        return (self.ref.namespace, self.app), *([self.controller.uid] if self.controller else [])


def _told(status: Manifest) -> Manifest:
    """Return what is reported of a status, and nothing that changes besides."""
    found = {key: status[key] for key in COUNTS if key in status}
    conditions = [each for each in status.get("conditions") or () if each["type"] in CONDITIONS]
    told = [{key: each[key] for key in CONDITIONS[each["type"]] if key in each} for each in conditions]
    return found | ({"conditions": told} if told else {})


def controller_of(metadata: Manifest) -> Controller | None:
    """Return the owner that an object answers to, if it has one."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return Controller(owner["apiVersion"], owner["kind"], owner["name"], owner["uid"])
    return None


@dataclass(frozen=True, slots=True)
class App:
    """One CeleryApp. It may have been stored under an older CRD: nothing in its spec is sure."""

    ref: Ref
    uid: str
    resource_version: str
    generation: int
    mode: Mode
    label: str
    """What its children's label says: its name. In Scale mode its own label, since overlays rename objects."""
    is_terminating: bool
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    """Its components: the worker groups, then beat and Flower if it has them. Each is a Deployment."""
    scales: bool
    """Whether the reconciler is to scale any of its groups."""
    said: str
    """Its status, as JSON."""
    text: str
    """What is stable of it, as JSON."""

    @classmethod
    def of(cls, manifest: Manifest, _old: "App | None" = None) -> Self:
        metadata, spec = manifest["metadata"], _mapping(manifest.get("spec"))
        mode = spec.get("reconcile")
        mode = Mode(mode) if mode in tuple(Mode) else Mode.APPLY
        groups = tuple(_names(spec.get("workers")))
        own_label = (metadata.get("labels") or {}).get(APP_LABEL) if mode is Mode.SCALE else None
        return cls(
            ref=Ref.of(manifest),
            uid=metadata["uid"],
            resource_version=metadata.get("resourceVersion", ""),
            generation=metadata["generation"],
            mode=mode,
            label=own_label or metadata["name"],
            is_terminating="deletionTimestamp" in metadata,
            groups=groups,
            parts=(*groups, *(part for part in (BEAT, FLOWER) if spec.get(part) is not None)),
            scales=any(map(_is_scaled, _groups(spec.get("workers")))),
            said=text_of(_mapping(manifest.get("status"))),
            text=_text(stable(manifest)),
        )

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What it is looked up by: what its children's label says."""
        return ((self.ref.namespace, self.label),)

    @property
    def manifest(self) -> Manifest:
        return dict(json.loads(self.text))

    @property
    def status(self) -> Manifest:
        return dict(json.loads(self.said))

    def document(self, schema: Schema) -> Document:
        """Return the app as if it had been read from a file. Raises InvalidInput for what could not be.

        What the schema does not know is left out: a newer CRD may have fields with defaults.
        """
        if nesting(self.text) > MAX_DEPTH:
            message = f"is nested more than {MAX_DEPTH} levels deep"
            raise InvalidInput((Problem(str(self.ref), 0, ("spec",), message),))
        manifest = self.manifest
        metadata = {key: value for key, value in manifest["metadata"].items() if key in AUTHORS_OWN}
        return Document(structure.pruned(manifest | {"metadata": metadata}, schema.structural), str(self.ref), {})

    @property
    def bare(self) -> Manifest:
        """Which object it is, and nothing else; its UID is a precondition to what is applied to it."""
        metadata = {"namespace": self.ref.namespace, "name": self.ref.name, "uid": self.uid}
        return {"apiVersion": self.ref.api_version, "kind": self.ref.kind, "metadata": metadata}


def _text(manifest: Manifest) -> str:
    """Return the app as JSON; without a spec if that is nested too deep for Python: it must not stop the others."""
    try:
        return text_of(manifest)
    except RecursionError:
        return text_of(manifest | {"spec": None})


def _mapping(value: Any) -> Manifest:
    return value if isinstance(value, dict) else {}


def _groups(workers: Any) -> Iterator[Manifest]:
    return map(_mapping, workers if isinstance(workers, list) else ())


def _names(workers: Any) -> Iterator[str]:
    return (group["name"] for group in _groups(workers) if isinstance(group.get("name"), str))


def _is_scaled(group: Manifest) -> bool:
    return "scaling" in group and _mapping(group["scaling"]).get("engine", OURS) == OURS
