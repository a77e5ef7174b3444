"""Defaulting, case by case as in the API server's own tests (apiserver/schema/defaulting)."""

import copy

import pytest

from render import default, schema

STRING = {"type": "string"}
NAMED = {"type": "string", "default": "a"}
NULLABLE = {"type": "string", "default": "a", "nullable": True}
INNER = {"type": "object", "properties": {"x": NAMED}}


def holding(field):
    return {"type": "object", "properties": {"field": field}}


@pytest.mark.parametrize(
    ("structural", "data", "filled"),
    [
        pytest.param(holding(NAMED), {}, {"field": "a"}, id="an absent field is filled in"),
        pytest.param(holding(NAMED), {"field": ""}, {"field": ""}, id="an empty text is a value"),
        pytest.param(holding({"type": "integer", "default": 2}), {"field": 0}, {"field": 0}, id="zero is a value"),
        pytest.param(
            holding({"type": "boolean", "default": True}), {"field": False}, {"field": False}, id="so is false"
        ),
        pytest.param(holding(STRING), {}, {}, id="without a default nothing is filled in"),
        pytest.param(holding(STRING), {"field": None}, {}, id="null where none is allowed is absent"),
        pytest.param(holding(NAMED), {"field": None}, {"field": "a"}, id="and then filled in"),
        pytest.param(
            {"type": "object", "additionalProperties": NAMED}, {"b": None}, {"b": "a"}, id="in a map as anywhere else"
        ),
        pytest.param(holding(NULLABLE), {"field": None}, {"field": None}, id="null where it is allowed stays"),
        pytest.param(holding(NULLABLE), {}, {"field": "a"}, id="but an absent field is still filled in"),
        pytest.param(holding(INNER), {}, {}, id="an absent object is not made for the defaults in it"),
        pytest.param(holding(INNER), {"field": {}}, {"field": {"x": "a"}}, id="an empty object is filled in"),
        pytest.param(
            holding(INNER | {"default": {}}),
            {},
            {"field": {"x": "a"}},
            id="a default is filled in with the defaults in it",
        ),
        pytest.param(
            holding(INNER | {"default": {"x": "b"}}),
            {"field": None},
            {"field": {"x": "b"}},
            id="unless it sets them itself",
        ),
        pytest.param(
            holding({"type": "array", "items": INNER}),
            {"field": [{}, {"x": "b"}]},
            {"field": [{"x": "a"}, {"x": "b"}]},
            id="in lists",
        ),
        pytest.param(
            holding({"type": "array", "items": NAMED}),
            {"field": [None, "b"]},
            {"field": ["a", "b"]},
            id="a null item is filled in",
        ),
        pytest.param(
            holding({"type": "array", "items": STRING}),
            {"field": [None]},
            {"field": [None]},
            id="or stays, to be refused later",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": INNER}, {"k": {}, "n": None}, {"k": {"x": "a"}}, id="in maps"
        ),
        pytest.param(
            {"type": "object", "additionalProperties": NAMED},
            {"n": None},
            {"n": "a"},
            id="a null in a map is filled in",
        ),
        pytest.param(
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"n": None},
            {"n": None},
            id="free fields stay",
        ),
        pytest.param(
            holding(NAMED),
            {"other": None},
            {"other": None, "field": "a"},
            id="unknown fields stay, to be refused later",
        ),
        pytest.param(holding(INNER), {"field": "text"}, {"field": "text"}, id="so do values of another type"),
        pytest.param(holding(INNER), {"field": [1]}, {"field": [1]}, id="and lists in place of objects"),
        pytest.param(holding(NAMED), "text", "text", id="even at the root"),
    ],
)
def test_filling(structural, data, filled):
    before = copy.deepcopy((structural, data))
    assert default.fill(data, structural) == filled
    assert (structural, data) == before


def test_filling_twice_changes_nothing_more():
    structural = schema.load().structural
    once = default.fill({"spec": {"beat": {}, "flower": {"persistence": {}}}}, structural)
    assert default.fill(once, structural) == once


def test_two_apps_share_no_default():
    structural = schema.load().structural
    first, second = (default.fill({"spec": {}}, structural)["spec"] for _ in range(2))
    first["workers"][0]["probe"]["type"] = "None"
    assert second["workers"][0]["probe"]["type"] == "Heartbeat"


def test_the_smallest_app_has_one_group_of_workers():
    filled = default.fill({"spec": {"image": "shop:1", "app": "shop"}}, schema.load().structural)
    assert [(group["name"], group["concurrency"], group["pool"]) for group in filled["spec"]["workers"]] == [
        ("worker", 2, "prefork")
    ]


def test_text_of_the_metadata_that_is_null_is_empty():
    metadata = {"labels": {"a": None}, "annotations": {"b": None}, "finalizers": [None]}
    filled = default.fill({"metadata": metadata}, schema.load().structural)
    assert filled["metadata"] == {"labels": {"a": ""}, "annotations": {"b": ""}, "finalizers": [""]}
