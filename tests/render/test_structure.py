"""Pruning, case by case as in the API server's own tests (apiserver/schema/pruning)."""

import copy

import pytest

from render import default, pipeline, schema, structure
from render.errors import InvalidInput
from render.model import Document

STRING = {"type": "string"}
INNER = {"type": "object", "properties": {"x": STRING}}
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SCHEMA = schema.load()


def holding(field):
    return {"type": "object", "properties": {"field": field}}


@pytest.mark.parametrize(
    ("structural", "data", "known"),
    [
        pytest.param(holding(STRING), {"field": "a", "other": 1}, {"field": "a"}, id="an unknown field goes"),
        pytest.param(holding(STRING), {"other": {"field": "a"}}, {}, id="with all that is in it"),
        pytest.param(holding(STRING), {"field": None, "other": None}, {"field": None}, id="null is a value"),
        pytest.param(holding({"type": "object"}), {"field": {"a": 1}}, {"field": {}}, id="an object has no field"),
        pytest.param(holding(INNER), {"field": {"x": "a", "y": "b"}}, {"field": {"x": "a"}}, id="in objects"),
        pytest.param(
            holding({"type": "array", "items": INNER}),
            {"field": [{"x": "a", "y": "b"}, {}, {"y": "b"}]},
            {"field": [{"x": "a"}, {}, {}]},
            id="in each item of a list",
        ),
        pytest.param(
            holding({"type": "array", "items": {"type": "array", "items": INNER}}),
            {"field": [[{"y": "b"}]]},
            {"field": [[{}]]},
            id="in lists of lists",
        ),
        pytest.param(
            holding({"type": "object", "additionalProperties": STRING}),
            {"field": {"any": "a", "key": "b"}},
            {"field": {"any": "a", "key": "b"}},
            id="a map has any key",
        ),
        pytest.param(
            holding({"type": "object", "additionalProperties": INNER}),
            {"field": {"any": {"x": "a", "y": "b"}}},
            {"field": {"any": {"x": "a"}}},
            id="but its values have fields",
        ),
        pytest.param(
            holding({"type": "object", "additionalProperties": True}),
            {"field": {"any": {"y": "b"}}},
            {"field": {"any": {"y": "b"}}},
            id="or are free",
        ),
        pytest.param(
            holding(FREE), {"field": {"any": {"y": [{}]}}}, {"field": {"any": {"y": [{}]}}}, id="free fields stay"
        ),
        pytest.param(
            holding(FREE | {"properties": {"inner": INNER}}),
            {"field": {"any": 1, "inner": {"x": "a", "y": "b"}}},
            {"field": {"any": 1, "inner": {"x": "a"}}},
            id="fields that are known among free ones have fields of their own",
        ),
        pytest.param(
            holding(STRING),
            {"metadata": {"name": "shop", "anything": {"y": "b"}}, "other": 1},
            {"metadata": {"name": "shop", "anything": {"y": "b"}}},
            id="metadata stays whole",
        ),
        pytest.param(
            holding(holding(STRING)),
            {"field": {"metadata": {}}},
            {"field": {}},
            id="that of the document, no other",
        ),
        pytest.param(holding(INNER), {"field": "text"}, {"field": "text"}, id="a text in place of an object stays"),
        pytest.param(
            holding(INNER), {"field": [{"y": "b"}]}, {"field": [{"y": "b"}]}, id="and a list in place of an object"
        ),
        pytest.param(
            holding({"type": "array", "items": INNER}),
            {"field": {"y": "b"}},
            {"field": {"y": "b"}},
            id="and an object in place of a list",
        ),
        pytest.param(holding(STRING), {"field": {"y": "b"}}, {"field": {"y": "b"}}, id="or of a text"),
        pytest.param(
            holding({"type": "array", "items": INNER}),
            {"field": [None, "text", {"y": "b"}]},
            {"field": [None, "text", {}]},
            id="or items of another type",
        ),
        pytest.param(holding(STRING), "text", "text", id="even at the root"),
    ],
)
def test_pruning(structural, data, known):
    before = copy.deepcopy((structural, data))
    assert structure.pruned(data, structural) == known
    assert (structural, data) == before


NEWER = {
    "apiVersion": "celeryproject.org/v1alpha1",
    "kind": "CeleryApp",
    "metadata": {"name": "shop", "uid": "u"},
    "spec": {
        "image": "shop:1",
        "app": "shop",
        "newField": "new",
        "settings": {"task_acks_late": True},
        "podAnnotations": {"any/key": "text"},
        "volumes": [{"name": "a", "emptyDir": {"newField": 1}}],
        "workers": [{"name": "a", "probe": {"type": "None", "newField": 5}}],
    },
    "status": {"workersReady": "1/1", "newField": []},
}
KNOWN = NEWER | {
    "spec": {
        "image": "shop:1",
        "app": "shop",
        "settings": {"task_acks_late": True},
        "podAnnotations": {"any/key": "text"},
        "volumes": [{"name": "a", "emptyDir": {}}],
        "workers": [{"name": "a", "probe": {"type": "None"}}],
    },
    "status": {"workersReady": "1/1"},
}


def children(data):
    return pipeline.base(Document(data, "app.yaml", {}), SCHEMA).children


def test_an_app_of_a_newer_crd_is_rendered_without_what_is_new():
    with pytest.raises(InvalidInput, match=r"spec\.newField: unknown field"):
        children(NEWER)
    assert structure.pruned(NEWER, SCHEMA.structural) == KNOWN
    assert children(structure.pruned(NEWER, SCHEMA.structural)) == children(KNOWN)


def test_what_is_wrong_but_not_unknown_stays_wrong():
    data = NEWER | {"spec": NEWER["spec"] | {"workers": [{"name": "A", "replicas": "3"}, {"name": "A"}]}}
    known = structure.pruned(data, SCHEMA.structural)
    places = {tuple(each.absolute_path) for each in structure.errors(known, SCHEMA.structural)}
    workers = ("spec", "workers")
    assert places == {(*workers, 0, "name"), (*workers, 0, "replicas"), (*workers, 1), (*workers, 1, "name")}


@pytest.mark.parametrize("app", [KNOWN, default.fill(KNOWN, SCHEMA.structural)], ids=["as written", "with defaults"])
def test_what_is_known_stays(app):
    assert structure.pruned(app, SCHEMA.structural) == app
