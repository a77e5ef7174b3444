"""How the CRD is made of its source and the OpenAPI of Kubernetes, and what holds for the one in the repository."""

import runpy
from pathlib import Path

import pytest

from render import default, rules, schema, structure, wording

ROOT = Path(__file__).parents[2]
expand = runpy.run_path(str(ROOT / "crds/generate.py"))["expand"]

LAST_APPLIED_LIMIT = 262_144  # bytes of all annotations of an object, and client-side apply keeps the object in one
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
TYPES = {
    "v1.Pod": {
        "description": "A pod.",
        "type": "object",
        "required": ["name"],
        "x-kubernetes-group-version-kind": [{"kind": "Pod"}],
        "properties": {
            "name": {"type": "string", "default": "", "description": "Its name."},
            "nice": {"type": "string", "default": ""},
            "kind": {"type": "string", "enum": ["A"], "default": "A"},
            "port": {"$ref": "#/components/schemas/v1.Port"},
            "main": {"allOf": [{"$ref": "#/components/schemas/v1.Port"}], "default": {}, "description": "Main."},
            "ports": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/v1.Port"},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["number", "protocol"],
                "x-kubernetes-patch-merge-key": "number",
                "x-kubernetes-patch-strategy": "merge",
            },
            "labels": {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
        },
    },
    "v1.Port": {
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "number": {"type": "integer", "format": "int32", "default": 0},
            "protocol": {"type": "string", "default": "TCP"},
        },
    },
    "v1.Tree": {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/v1.Tree"}}},
    "v1.Odd": {"type": "object", "properties": {"odd": {"type": "string", "contentEncoding": "base64"}}},
    QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    INT_OR_STRING: {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
}
PORT = {
    "type": "object",
    "properties": {"number": {"type": "integer", "format": "int32"}, "protocol": {"type": "string", "default": "TCP"}},
    "x-kubernetes-map-type": "atomic",
}
PORTS = {
    "type": "array",
    "items": {**PORT, "required": ["number"]},
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["number", "protocol"],
}


def expanded(node, blocks=None, types=TYPES):
    return expand({"x-blocks": blocks or {}, "crd": node}, {"api/v1": {"components": {"schemas": types}}})["crd"]


@pytest.mark.parametrize(
    ("name", "node"),
    [
        pytest.param("v1.Port", PORT, id="a type: zero defaults and descriptions go, true defaults stay"),
        pytest.param("v1.Pod.port", PORT, id="a property that is a reference"),
        pytest.param("v1.Pod.main", PORT, id="one in an allOf of one"),
        pytest.param("v1.Pod.main.protocol", {"type": "string", "default": "TCP"}, id="a property of a property"),
        pytest.param("v1.Pod.name", {"type": "string"}, id="a required field has no default"),
        pytest.param("v1.Pod.kind", {"type": "string", "default": "A"}, id="values stay open for the next Kubernetes"),
        pytest.param("v1.Pod.ports", PORTS, id="map keys without a default are required"),
        pytest.param(
            "v1.Pod.labels", {"type": "object", "additionalProperties": {"type": "string"}}, id="maps have no defaults"
        ),
        pytest.param(
            INT_OR_STRING,
            {"x-kubernetes-int-or-string": True},
            id="an IntOrString",
        ),
    ],
)
def test_expanding(name, node):
    assert expanded({"x-expand": name}) == node


def test_what_stands_beside_an_expanded_type_is_laid_over_it():
    node = {
        "description": "Ports.",
        "x-expand": "v1.Pod.ports",
        "maxItems": 2,
        "items": {"properties": {"number": {"maximum": 9}}},
    }
    laid_over = expanded(node)
    number = {"type": "integer", "format": "int32", "maximum": 9}
    items = {**PORTS["items"], "properties": {**PORT["properties"], "number": number}}
    assert laid_over == {"description": "Ports.", **PORTS, "items": items, "maxItems": 2}
    assert [*laid_over] == ["description", *PORTS, "maxItems"]


def test_included_properties_stand_where_they_are_included():
    blocks = {"a": {"x": {"type": "string"}, "x-include": "c"}, "b": {"y": {"x-expand": "v1.Pod.nice"}}, "c": {"z": {}}}
    node = {"properties": {"first": {}, "x-include": ["a", "b"], "last": {"properties": {"x-include": "c"}}}}
    properties = expanded(node, blocks)["properties"]
    assert [*properties] == ["first", "x", "z", "y", "last"]
    assert properties["y"] == {"type": "string"}
    assert properties["last"] == {"properties": {"z": {}}}


def test_the_order_of_the_source_is_kept():
    assert [*expanded({"b": 1, "a": [{"d": 1, "c": 2}]})["a"][0]] == ["d", "c"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        pytest.param("v1.Tree", RecursionError, r"v1\.Tree > v1\.Tree: a CRD cannot hold", id="a type in itself"),
        pytest.param("v1.None", LookupError, r"v1\.None is not in the OpenAPI", id="a type that is not there"),
        pytest.param("v1.Pod.none", LookupError, "none", id="a property that is not there"),
        pytest.param("v1.Odd", ValueError, "v1.Odd: cannot take contentEncoding", id="a keyword nobody thought of"),
    ],
)
def test_what_cannot_be_expanded_is_named(name, error, message):
    with pytest.raises(error, match=message):
        expanded({"x-expand": name})


def nodes(node, path=()):
    """Yield every schema node below this one, by its path; `[]` is the item of a list, `*` the value of a map."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, (*path, name))
    for key, step in (("items", "[]"), ("additionalProperties", "*")):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], (*path, step))


CRD = schema.load().crd
ROOT_NODE = schema.load().version["schema"]["openAPIV3Schema"]
NODES = dict(nodes(ROOT_NODE))
DEFAULTED = {path: node for path, node in NODES.items() if "default" in node}


def test_client_side_apply_can_keep_the_crd_in_an_annotation():
    from_package = Path(schema.__file__).with_name("celeryapps.json").read_bytes()
    assert len(from_package) < LAST_APPLIED_LIMIT - 4096


def test_nothing_of_the_source_language_is_left():
    assert [
        path for path, node in NODES.items() if {"x-expand", "x-include"} & {*node, *node.get("properties", {})}
    ] == []
    assert "x-blocks" not in CRD


def test_no_field_is_both_required_and_defaulted():
    assert [
        (*path, name)
        for path, node in NODES.items()
        for name in node.get("required", ())
        if "default" in node.get("properties", {}).get(name, {})
    ] == []


def test_every_required_field_is_there():
    assert [
        (*path, name)
        for path, node in NODES.items()
        for name in node.get("required", ())
        if name not in node.get("properties", {}) and "additionalProperties" not in node
    ] == []


@pytest.mark.parametrize("path", DEFAULTED, ids=".".join)
def test_a_default_satisfies_its_own_schema(path):
    node = DEFAULTED[path]
    filled = default.fill(node["default"], node)
    assert [error.message for error in structure.errors(filled, node)] == []
    assert [*rules.broken(filled, node, ())] == []


@pytest.mark.parametrize("path", DEFAULTED, ids=".".join)
def test_a_default_satisfies_its_rules_before_the_defaults_in_it_are_filled_in(path):
    """The API server asks them when the CRD is installed, and refuses it otherwise."""
    assert [*rules.broken(DEFAULTED[path]["default"], DEFAULTED[path], ())] == []


def test_no_list_says_that_it_is_replaced_whole_as_all_are_that_say_nothing():
    assert [path for path, node in NODES.items() if node.get("x-kubernetes-list-type") == "atomic"] == []


def test_every_map_key_is_required_or_defaulted():
    lists = [(path, node) for path, node in NODES.items() if node.get("x-kubernetes-list-type") == "map"]
    assert lists
    assert [
        (*path, key)
        for path, node in lists
        for key in node["x-kubernetes-list-map-keys"]
        if key not in node["items"].get("required", ()) and "default" not in node["items"]["properties"][key]
    ] == []


def test_the_renderer_judges_by_every_keyword_of_the_crd():
    no_judgement = {
        *("description", "example", "default", "nullable", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"),
        "x-kubernetes-preserve-unknown-fields",  # by way of type
        "x-kubernetes-validations",  # in rules.py
    }
    assert {key for node in NODES.values() for key in node} - no_judgement - {*structure.KEYWORDS} == set()


def test_every_pattern_is_said_in_words():
    patterns = {node["pattern"] for _, node in nodes(schema.load().structural) if "pattern" in node}
    assert [pattern for pattern in patterns if wording.wanted(pattern).startswith("must match")] == []


def test_every_rule_compiles_and_says_what_to_write():
    written = [rule for node in NODES.values() for rule in node.get("x-kubernetes-validations", ())]
    assert written
    for rule in written:
        assert rules.compiled(rule["rule"])
        assert rule.keys() & {"message", "messageExpression"}
