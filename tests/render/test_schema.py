"""What is derived from the CRD, and that it is fresh."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from render import emit, schema

ROOT = Path(__file__).parents[2]
JSON_SCHEMA = schema.load().json_schema
MINIMAL = {
    "apiVersion": "celeryproject.org/v1alpha1",
    "kind": "CeleryApp",
    "metadata": {"name": "shop"},
    "spec": {"image": "shop:1", "app": "shop"},
}


def with_spec(**fields):
    return MINIMAL | {"spec": MINIMAL["spec"] | fields}


def accepts(app):
    return jsonschema.Draft7Validator(JSON_SCHEMA).is_valid(app)


def test_the_schema_in_the_package_is_the_crd_in_the_repository():
    text = (ROOT / "crds/celeryapps.yaml").read_text(encoding="utf-8")
    assert schema.load().crd == yaml.load(text, yaml.CSafeLoader)
    assert schema.NOTICE + emit.stream([schema.load().crd]) == text


def test_the_editor_schema_is_json_schema_draft_7():
    assert JSON_SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(JSON_SCHEMA)
    assert json.loads(schema.load().editor_schema()) == JSON_SCHEMA


def test_the_editor_schema_has_nothing_of_kubernetes_own():
    assert "x-kubernetes-" not in schema.load().editor_schema()


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/app.yaml")), ids=lambda path: path.parent.name)
def test_the_editor_schema_accepts_the_examples(path):
    for app in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        jsonschema.Draft7Validator(JSON_SCHEMA).validate(app)


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
    assert accepts(app)


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
    assert not accepts(app)


def test_a_nullable_field_may_be_null():
    crd = {
        "spec": {
            "group": "celeryproject.org",
            "names": {"kind": "CeleryApp"},
            "versions": [
                {
                    "name": "v1",
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "spec": {"type": "string", "nullable": True},
                            },
                        }
                    },
                }
            ],
        }
    }
    assert schema.Schema(crd).json_schema["properties"]["spec"] == {"type": ["string", "null"]}


def test_the_schema_is_loaded_once():
    assert schema.load() is schema.load()
