"""What is derived from the CRD, and that it is fresh."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from render import default, emit, load, schema, structure

ROOT = Path(__file__).parents[2]
STRUCTURAL = schema.load().structural
JSON_SCHEMA = schema.load().json_schema
EDITOR = jsonschema_rs.Draft7Validator(JSON_SCHEMA)
MINIMAL = {
    "apiVersion": "celeryproject.org/v1alpha1",
    "kind": "CeleryApp",
    "metadata": {"name": "shop"},
    "spec": {"image": "shop:1", "app": "shop"},
}


def with_spec(**fields):
    return MINIMAL | {"spec": MINIMAL["spec"] | fields}


def below(node):
    """Yield a JSON Schema and all within it."""
    yield node
    for inner in (
        *node.get("properties", {}).values(),
        *map(node.get, ("items", "additionalProperties", "propertyNames")),
    ):
        if isinstance(inner, dict):
            yield from below(inner)


def test_the_schema_in_the_package_is_the_crd_in_the_repository():
    text = (ROOT / "crds/celeryapps.yaml").read_text(encoding="utf-8")
    assert schema.load().crd == yaml.load(text, yaml.CSafeLoader)
    assert schema.NOTICE + emit.stream([schema.load().crd]) == text


def test_the_editor_schema_is_json_schema_draft_7():
    assert JSON_SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema_rs.meta.validate(JSON_SCHEMA)
    assert json.loads(schema.load().editor_schema()) == JSON_SCHEMA


def test_the_editor_schema_has_nothing_of_kubernetes_own():
    assert "x-kubernetes-" not in schema.load().editor_schema()


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/app.yaml")), ids=lambda path: path.parent.name)
def test_the_editor_schema_accepts_the_examples(path):
    for app in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        EDITOR.validate(app)


@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/invalid/*.yaml")), ids=lambda path: path.stem)
def test_the_editor_underlines_what_breaks_the_structure(path):
    """All but two items of a list with the same key, which JSON Schema cannot say."""
    for document in load.documents(path.read_bytes(), path.name).documents:
        errors = structure.errors(default.fill(document.data, STRUCTURAL), STRUCTURAL)
        wrong = {tuple(each.absolute_path) for each in errors if each.validator_value != "map"}
        underlined = {tuple(each.instance_path) for each in EDITOR.iter_errors(document.data)}
        assert [place for place in wrong if not underlined & {place, place[:-1]}] == []
        assert bool(wrong) == bool(underlined)


@pytest.mark.parametrize("pattern", sorted({node["pattern"] for node in below(JSON_SCHEMA) if "pattern" in node}))
def test_a_pattern_means_in_an_editor_what_it_means_to_the_api_server(pattern):
    """Editors have the regular expressions of ECMAScript, in its Unicode mode."""
    editor = jsonschema_rs.Draft7Validator({"pattern": pattern})

    @settings(max_examples=20)
    @given(st.from_regex(pattern) | st.text(max_size=9))
    def agree(text):
        assert editor.is_valid(text) == (not [*structure.errors(text, {"type": "string", "pattern": pattern})])

    agree()
    assert {*re.findall(r"\\(.)", pattern)} <= {*"^$\\.*+?()[]{}|/x"}, "Unicode mode refuses any other escape"
    assert "(?" not in pattern.replace("(?=", "")


def test_an_editor_shows_what_the_crd_says_of_a_field():
    queues = JSON_SCHEMA["properties"]["spec"]["properties"]["workers"]["items"]["properties"]["queues"]
    assert queues["markdownDescription"] == queues["description"]
    assert queues["examples"] == [["mail", "newsletter"]]


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(MINIMAL, id="the smallest app"),
        pytest.param(
            with_spec(resources={"limits": {"cpu": 1, "memory": "1Gi"}}), id="a quantity is a number or a text"
        ),
        pytest.param(with_spec(workers=[{"name": "a", "concurrency": "auto"}]), id="an integer or a word"),
        pytest.param(with_spec(settings={"task_acks_late": True, "x": {"y": [1]}}), id="settings are free"),
        pytest.param(with_spec(podAnnotations={"any/key": "text"}), id="keys of a map are free"),
        pytest.param(
            MINIMAL | {"metadata": {"name": "shop", "annotations": {"a": "b"}, "uid": "u"}}, id="all of metadata"
        ),
    ],
)
def test_the_editor_schema_accepts(app):
    assert EDITOR.is_valid(app)


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(with_spec(imagePullPolice="Always"), id="an unknown field"),
        pytest.param(with_spec(env=[{"name": "A", "valeu": "b"}]), id="an unknown field of core/v1"),
        pytest.param(with_spec(resources={"limits": {"cpu": 0.5}}), id="a quantity that is a float"),
        pytest.param(with_spec(workers=[{"name": "a", "queues": ["q", "q"]}]), id="a queue twice"),
        pytest.param(MINIMAL | {"kind": "CeleryApps"}, id="another kind"),
        pytest.param(MINIMAL | {"apiVersion": "celeryproject.org/v1"}, id="another version"),
        pytest.param(MINIMAL | {"metadata": {}}, id="no name"),
        pytest.param(MINIMAL | {"metadata": {"name": "shop", "lables": {}}}, id="an unknown field of metadata"),
        pytest.param(MINIMAL | {"metadata": {"name": "shop", "labels": {"a": True}}}, id="a label that is no text"),
    ],
)
def test_the_editor_schema_refuses(app):
    assert not EDITOR.is_valid(app)


def version(name, *, storage, **spec):
    root = {
        "type": "object",
        "required": ["spec"],
        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "spec": spec},
    }
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": root}}


def crd_of(*versions):
    return schema.Schema(
        {"spec": {"group": "celeryproject.org", "names": {"kind": "CeleryApp"}, "versions": [*versions]}}
    )


def test_a_nullable_field_may_be_null():
    one = crd_of(version("v1", storage=True, type="string", nullable=True))
    assert one.json_schema["properties"]["spec"] == {"type": ["string", "null"]}


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_versions_the_one_that_is_stored_is_meant(order):
    older = version("v1alpha1", storage=False, type="string")
    newer = version("v1beta1", storage=True, type="integer")
    both = crd_of(*(older, newer)[::order])
    assert both.group_version == "celeryproject.org/v1beta1"
    assert both.structural["properties"]["spec"] == {"type": "integer"}
    assert both.json_schema["title"] == "CeleryApp (celeryproject.org/v1beta1)"
    assert both.json_schema["properties"]["apiVersion"] == {"type": "string", "const": "celeryproject.org/v1beta1"}


def test_the_schema_is_loaded_once():
    assert schema.load() is schema.load()
