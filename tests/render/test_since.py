"""What a release of Kubernetes makes of younger fields, and that the editor's schema leaves them out."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from render import pipeline, schema, since
from render.errors import InvalidInput
from render.model import Document

OLDEST, *_, NEWEST = since.table().releases
KEY = ("spec", "env", 0, "valueFrom", "fileKeyRef")
IMAGE = ("spec", "volumes", 0, "image")
NEEDS_KEY = "needs Kubernetes 1.35, or 1.34 with the feature gate EnvFiles"


@pytest.fixture
def said(document):
    """Return a function: what is said of an app of this spec on a release, as paths and words."""

    def said(release, **spec):
        given = Document(document(**spec), "app.yaml", {})
        try:
            problems = pipeline.base(given, schema.load(release)).warnings
        except InvalidInput as invalid:
            problems = invalid.problems
        return [(each.path, each.message, each.is_warning) for each in problems]

    return said


def reading_a_file():
    key = {"volumeName": "data", "path": "all.env", "key": "TOKEN"}
    return {"volumes": [{"name": "data", "emptyDir": {}}], "env": [{"name": "TOKEN", "valueFrom": {"fileKeyRef": key}}]}


def mounting_an_image():
    return {
        "volumes": [{"name": "model", "image": {"reference": "registry.example.com/model:1"}}],
        "volumeMounts": [{"name": "model", "mountPath": "/model"}],
    }


@pytest.mark.parametrize(
    ("release", "words"),
    [
        pytest.param("1.33", f"{NEEDS_KEY}, this is 1.33: remove it", id="unknown"),
        pytest.param(
            "1.34", "is alpha in Kubernetes 1.34: it is refused unless the feature gate EnvFiles is on", id="alpha"
        ),
        pytest.param("1.37", "", id="there"),
        pytest.param("1.38", "", id="a release that is newer than any known here"),
        pytest.param("1.9", f"{NEEDS_KEY}, this is 1.9: remove it", id="one that is older"),
        pytest.param("", f"{NEEDS_KEY}: say with --kubernetes which release yours is", id="any that is supported"),
    ],
)
def test_a_younger_field_is_told_by_what_the_release_does_with_it(said, release, words):
    is_warning = "remove it" not in words
    assert said(release, **reading_a_file()) == ([(KEY, words, is_warning)] if words else [])


def test_a_field_that_is_beta_may_be_off(said):
    words = "is beta in Kubernetes 1.34: it is dropped unless the feature gate ImageVolume is on"
    assert said("1.34", **mounting_an_image()) == [(IMAGE, words, True)]
    assert said("1.35", **mounting_an_image()) == []


def test_what_is_null_is_not_set(said):
    volumes = [{"name": "data", "emptyDir": {"mode": None}}]
    assert said(OLDEST, volumes=volumes, volumeMounts=[{"name": "data", "mountPath": "/data"}]) == []


def test_names_that_users_choose_are_no_fields(said):
    """As far as their places go: a field is told by all of its own."""
    assert said(OLDEST, podAnnotations={"emptyDir.mode": "1"}, podLabels={"lifecycle.stopSignal": "a"}) == []


@pytest.mark.parametrize(("release", "is_known"), [("1.33", False), ("1.36", False), ("1.37", True), ("", True)])
def test_the_editor_schema_has_what_the_release_knows(document, release, is_known):
    editor = jsonschema_rs.Draft7Validator(json.loads(schema.load(release).editor_schema()))
    assert editor.is_valid(document(volumes=[{"name": "data", "emptyDir": {"medium": "Memory"}}]))
    assert editor.is_valid(document(volumes=[{"name": "data", "emptyDir": {"mode": 448}}])) is is_known


def test_the_editor_schema_of_no_release_in_particular_is_that_of_the_newest():
    assert schema.load("").editor_schema() == schema.load(NEWEST).editor_schema()


def test_the_editor_schema_of_the_oldest_has_no_field_of_the_table_that_is_younger():
    table = since.table()
    left = since.less(schema.load().structural, OLDEST)
    younger = {place for place, each in table.fields.items() if each.release != OLDEST}
    there = {place for place in table.fields if _has(left, place)}
    assert there == table.fields.keys() - younger


def test_the_page_says_of_each_gate_since_when_it_is_on():
    page = (Path(__file__).parents[2] / "docs/kubernetes.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    table = since.table()
    kept = {gate: [each for each in table.releases if each > max(off)] for gate, off in table.gates.items()}
    assert told == {gate: on[0] if on else "not yet" for gate, on in kept.items()}


def _has(node, place):
    for step in place.removeprefix(".").replace("[]", ".[]").split("."):
        node = node.get("items") if step == "[]" else node.get("properties", {}).get(step)
        if node is None:
            return False
    return True
