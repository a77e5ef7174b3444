"""Writes crds/celeryapps.yaml: celeryapps.source.yaml with Kubernetes' types in full, and what core.source.yaml asks.

What of that the CRD has no room for goes into crds/pods.yaml.

`python crds/generate.py OPENAPI_DIR`, where OPENAPI_DIR holds the API server's OpenAPI v3 documents as the source of
Kubernetes has them (api/openapi-spec/v3).
"""

import json
import sys
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from render import emit, schema

Json = dict[str, Any]

HERE = Path(__file__).parent
DOCUMENTS = ("api__v1", "apis__autoscaling__v2", "apis__networking.k8s.io__v1")

LABELS: Json = {"type": "object", "additionalProperties": {"type": "string"}}
INT_OR_STRING: Json = {"x-kubernetes-int-or-string": True}
# controller-gen's, but for the exponent, which it allows a fraction that no quantity has (1e1.5),
# and the sign: none of core/v1's quantities may be negative
QUANTITY = "^[+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"
WELL_KNOWN: dict[str, Json] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": INT_OR_STRING
    | {"minimum": 0, "maxLength": 64, "pattern": QUANTITY},
    # ObjectMeta inside a pod is that of a volumeClaimTemplate, where core/v1 takes only these two.
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {
        "type": "object",
        "properties": {"labels": LABELS, "annotations": LABELS},
    },
}

RULES = "x-kubernetes-validations"
ASKED = "x-asked"
"""Beside a type's schema: what is asked of it beyond that."""
KEPT = (
    *("type", "format", "default", "required", "properties", "items", "additionalProperties"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
)
DROPPED = {
    "description",  # with them the CRD passes 256 KiB, all that kubectl apply can keep in its annotation
    # published by a running server only; the next Kubernetes adds values, and core/v1 judges them anyway; those that
    # nothing else judges stand in the source
    "enum",
    *("x-kubernetes-group-version-kind", "x-kubernetes-unions"),  # no part of a CRD
    *("x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"),
    ASKED,
}
USUAL = ("x-kubernetes-list-type", "atomic")
"""What a list is that says nothing; 400 of them would take 14 kB."""
LEFT_OUT = {
    "Container": (
        *("volumeDevices", "resizePolicy", "restartPolicyRules", "readinessProbe", "stdin", "stdinOnce", "tty"),
    ),
    "ContainerPort": ("hostIP", "hostPort"),
    "PersistentVolumeClaimSpec": ("dataSource", "selector", "volumeMode", "volumeName"),
    "PodSecurityContext": ("windowsOptions",),
    "ResourceRequirements": ("claims",),
    "SecurityContext": ("procMount", "windowsOptions"),
    "Volume": (
        *("awsElasticBlockStore", "azureDisk", "cephfs", "cinder", "flexVolume", "flocker", "gcePersistentDisk"),
        *("gitRepo", "glusterfs", "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos"),
        *("vsphereVolume", "fc", "iscsi"),
    ),
    "VolumeProjection": ("clusterTrustBundle", "podCertificate"),
    "VolumeResourceRequirements": ("limits",),
}
"""Fields of core/v1 that no Celery pod uses: of Windows, of raw devices, of terminals, of ports of the node; what needs
more of a pod than an app can say (`claims`, `procMount`); volume plugins that Kubernetes has no more or calls
deprecated, and disks on a network (a claim has them too); what makes a claim one volume's; what tells whether a sidecar
takes traffic. They would take 40 kB of the 256 KiB.
"""


def expand(source: Json, openapi: Mapping[str, Json], asked: Json | None = None) -> Json:
    """Return the CRD: the source with every x-include and x-expand replaced by what it names.

    What is asked of a type, by its last name, is laid over it.
    """
    crd = {key: value for key, value in source.items() if key != "x-blocks"}
    return dict(_expanded(included(crd, source.get("x-blocks", {})), types_of(openapi, asked)))


def pods(source: Json, openapi: Mapping[str, Json], asked: Mapping[str, Json]) -> Json:
    """Return what is asked beyond the CRD of a pod's fields, and of who may reach Flower.

    Each is a part of a schema that says nothing else.
    """
    parts = {
        "pod": {"properties": included(source["x-blocks"]["pod"], source["x-blocks"])},
        "peer": {"x-expand": "io.k8s.api.networking.v1.NetworkPolicyPeer"},
    }
    more = _expanded(parts, types_of(openapi, _merged(asked["crd"], asked["pods"])))
    return _beyond(more, _expanded(parts, types_of(openapi, asked["crd"])))


def _beyond(more: Json, said: Json) -> Json:
    """Return what the one schema has and the other has not, or has otherwise."""
    rules = more.get(RULES, [])[len(said.get(RULES, ())) :]
    below = {key: _beyond(value, said.get(key, {})) for key, value in more.items() if isinstance(value, dict)}
    other = {key: value for key, value in more.items() if key not in {RULES, *below} and value != said.get(key)}
    return other | {key: value for key, value in below.items() if value} | ({RULES: rules} if rules else {})


def types_of(openapi: Mapping[str, Json], asked: Json | None = None) -> Json:
    """Return the schemas of all types of the OpenAPI documents, by name, without what is left out."""
    types = {
        name: _without(node, LEFT_OUT.get(name.removeprefix("io.k8s.api.core.v1."), ()))
        for document in openapi.values()
        for name, node in document["components"]["schemas"].items()
    }
    return {name: node | {ASKED: (asked or {}).get(name.rpartition(".")[2], {})} for name, node in types.items()}


def _without(node: Json, names: Iterable[str]) -> Json:
    if not names:
        return node
    return node | {"properties": {name: field for name, field in node["properties"].items() if name not in names}}


def included(node: Any, blocks: Json) -> Any:
    """Return a node of the source with every x-include replaced by the properties of what it names."""
    if isinstance(node, list):
        return [included(item, blocks) for item in node]
    if not isinstance(node, dict):
        return node
    result: Json = {}
    for key, value in node.items():
        if key == "x-include":
            for block in [value] if isinstance(value, str) else value:
                result |= included(blocks[block], blocks)
        else:
            result[key] = included(value, blocks)
    return result


def _expanded(node: Any, types: Json) -> Any:
    if isinstance(node, list):
        return [_expanded(item, types) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: _expanded(value, types) for key, value in node.items() if key != "x-expand"}
    result: Json = {}
    for key in node:
        if key == "x-expand":
            result |= _merged(_named(node[key], types), own)
        else:
            result.setdefault(key, own[key])
    return result


def _merged(base: Json, over: Json) -> Json:
    """Return the base with the other laid over it: objects field by field, and what is required beside what was."""
    deep = {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else [*dict.fromkeys([*base.get(key, ()), *value])]
        if key == "required"
        else [*base.get(key, ()), *value]
        if key == RULES
        else value
        for key, value in over.items()
    }
    return base | deep


def _named(name: str, types: Json) -> Json:
    """Return the schema of a type (`io.k8s.api.core.v1.Affinity`) or of its property (`….PodSpec.tolerations`)."""
    words = name.split(".")
    cut = next((cut for cut in range(len(words), 0, -1) if ".".join(words[:cut]) in types), None)
    if cut is None:
        raise LookupError(f"x-expand: {name} is not in the OpenAPI")
    start = _embedded({"$ref": ".".join(words[:cut])}, types)
    return reduce(lambda node, word: node["properties"][word], words[cut:], start)


def _embedded(node: Json, types: Json, within: tuple[str, ...] = ()) -> Json:
    """Return an OpenAPI schema as a CRD takes it: in one piece, without what a CRD may not have or need not say."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name in within:
            raise RecursionError(f"{' > '.join((*within, name))}: a CRD cannot hold a type that contains itself")
        return _merged(WELL_KNOWN.get(name) or _embedded(types[name], types, (*within, name)), types[name][ASKED])
    if "allOf" in node:
        [only] = node["allOf"]
        beside = {key: value for key, value in node.items() if key != "allOf"}
        return _embedded(only, types, within) | _embedded(beside, types, within)
    if unknown := node.keys() - DROPPED - set(KEPT):
        raise ValueError(f"{' > '.join(within)}: cannot take {', '.join(sorted(unknown))} into a CRD")
    return {key: _kept(key, node, types, within) for key in KEPT if key in node and (key, node[key]) != USUAL}


def _kept(key: str, node: Json, types: Json, within: tuple[str, ...]) -> Any:
    value = node[key]
    if key == "properties":
        fields = {name: _embedded(field, types, within) for name, field in value.items()}
        return {name: _field(field, required=name in node.get("required", ())) for name, field in fields.items()}
    if key not in ("items", "additionalProperties"):
        return value
    inner = _field(_embedded(value, types, within), required=False)
    return _keyed(inner, node.get("x-kubernetes-list-map-keys", ()))


def _field(field: Json, *, required: bool) -> Json:
    """Return the field, with its default only when that says something: Go's zero values do not."""
    says_nothing = required or field.get("default") in ("", 0, {})
    return {key: value for key, value in field.items() if not (key == "default" and says_nothing)}


def _keyed(items: Json, keys: Iterable[str]) -> Json:
    """Return the items of a list with each of its map keys defaulted or required, as the API server demands."""
    undefaulted = (key for key in keys if "default" not in items["properties"][key])
    required = [*dict.fromkeys([*items.get("required", ()), *undefaulted])]
    return items | {"required": required} if required else items


def source() -> Json:
    """Return what is written by hand."""
    return dict(YAML(typ="safe", pure=True).load(HERE / "celeryapps.source.yaml"))


def core() -> Json:
    """Return what is asked of Kubernetes' own types beyond their OpenAPI."""
    return dict(YAML(typ="safe", pure=True).load(HERE / "core.source.yaml"))


def documents(folder: Path) -> Json:
    """Return the OpenAPI documents with the types that the source names."""
    return {name: json.loads((folder / f"{name}_openapi.json").read_text()) for name in DOCUMENTS}


if __name__ == "__main__":
    openapi, asked = documents(Path(sys.argv[1])), core()
    text = schema.NOTICE + emit.stream([expand(source(), openapi, asked["crd"])])
    (HERE / "celeryapps.yaml").write_text(text, encoding="utf-8")
    text = schema.NOTICE + emit.stream([pods(source(), openapi, asked)])
    (HERE / "pods.yaml").write_text(text, encoding="utf-8")
