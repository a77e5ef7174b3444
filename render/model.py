"""The nouns of the renderer. Pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from render import naming
from render.errors import Path, Problem

Manifest = dict[str, Any]
"""A Kubernetes object, or a part of one, as plain JSON values."""


@dataclass(frozen=True)
class Document:
    """One YAML document as the API server reads it, and where each part of it stands in the file."""

    data: dict[str, Any]
    source: str
    lines: Mapping[Path, int]
    plain: Mapping[Path, str] = field(default_factory=dict)
    """How the scalars that are not strings are written: `yes`, where the data says True."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the YAML itself; the data is then as far as it could be read."""

    def line(self, path: Path) -> int:
        """Return the line of the path, or of its nearest parent that is in the file."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass(frozen=True)
class Component:
    """A worker group, beat or Flower, with what `spec` says for all of them merged in."""

    name: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class CeleryApp:
    """A valid app with every default filled in, in the shape in which children are built from it."""

    name: str
    namespace: str | None
    spec: Mapping[str, Any]
    groups: tuple[Component, ...]
    beat: Component | None
    flower: Component | None
    written: Mapping[str, Any]
    """The document as its author wrote it, without the defaults."""

    @classmethod
    def from_document(cls, data: Mapping[str, Any], *, written: Mapping[str, Any] | None = None) -> Self:
        """Return the app of a valid document that `default.fill` has completed; nothing in it is changed."""
        metadata, spec = data["metadata"], data["spec"]
        return cls(
            name=metadata["name"],
            namespace=metadata.get("namespace"),
            spec=spec,
            groups=tuple(Component(group["name"], _with_common(group, spec)) for group in spec["workers"]),
            beat=Component(naming.BEAT, _with_common(spec["beat"], spec)) if "beat" in spec else None,
            flower=Component(naming.FLOWER, _with_common(spec["flower"], spec)) if "flower" in spec else None,
            written=data if written is None else written,
        )


LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "env": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Lists that are merged item by item, and the fields that tell which item is which. All others are replaced."""

COMMON = frozenset(LIST_KEYS) | {
    "affinity", "annotations", "app", "command", "commandLine", "dnsConfig", "dnsPolicy", "envFrom", "image",
    "imageEntrypoint", "imagePullPolicy", "labels", "lifecycle", "logLevel", "nodeSelector", "podAnnotations",
    "podLabels", "podSecurityContext", "ports", "priorityClassName", "resources", "runtimeClassName", "schedulerName",
    "securityContext", "serviceAccountName", "settings", "tolerations", "workingDir",
}  # fmt: skip
"""The fields of `spec` that hold for every component that does not say otherwise."""


def _with_common(own: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    replaced = {"command", "commandLine"} if "command" in own or "commandLine" in own else set()
    common = {field: spec[field] for field in COMMON - replaced if field in spec}
    if "initContainers" in common:  # of the image that stands beside them, also where the component has another
        common["initContainers"] = [
            {**each, "image": each.get("image", spec["image"])} for each in spec["initContainers"]
        ]
    merged = {field: _merged(field, common[field], own[field]) for field in COMMON if field in common and field in own}
    return {**common, **own, **merged}


def _merged(field: str, common: Any, own: Any) -> Any:
    """Return objects merged field by field, lists item by item where they have keys, and else what is the own."""
    if field == "resources":
        both = {
            kind: {**common[kind], **own[kind]} for kind in ("requests", "limits") if kind in common and kind in own
        }
        return {**common, **own, **both}
    if field in LIST_KEYS:
        return _merged_list(common, own, LIST_KEYS[field])
    return {**common, **own} if isinstance(own, dict) else own


def _merged_list(common: Sequence[Any], own: Sequence[Any], keys: tuple[str, ...]) -> list[Any]:
    """Return the common items, each replaced by the own item with the same keys, and then the rest of the own."""

    def key(item: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(item.get(field) for field in keys)

    replaced = {key(item): item for item in [*common, *own]}
    return list(replaced.values())
