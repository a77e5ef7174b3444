"""docs/reference.md beside the CRD. Whether it is fresh, cluster/test_crd.py asks with the server's own OpenAPI."""

import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from render import default, rules, schema

TEXT = (Path(__file__).parents[2] / "docs/reference.md").read_text(encoding="utf-8")
CRD = schema.load()
COMPONENTS = ("spec", "spec.workers[]", "spec.beat", "spec.flower")
POD = "The fields of a pod"
CHAPTERS = dict(re.findall(r"^## `?([^`\n]+)`?\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
ENTRIES = dict(re.findall(r"^##+ `([^`\n]+)`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
EXAMPLES = {
    path: found[1] for path, body in ENTRIES.items() if (found := re.search(r"```yaml\n(.*?)```", body, re.DOTALL))
}
TABLES = [frozenset(re.findall(r"^\| \**`(\w+)`", each, re.MULTILINE)) for each in TEXT.split("\n### ")]
POD_FIELDS = {path for path in ENTRIES if f"### `{path}`\n" in CHAPTERS[POD]}


def nodes(node, path=""):
    """Yield the fields below a node of the CRD, or of the JSON Schema; nothing in what holds anything."""
    for name, field in node.get("properties", {}).items():
        here = f"{path}.{name}".removeprefix(".")
        yield here, field
        if "x-kubernetes-preserve-unknown-fields" not in field:
            yield from nodes(field, here)
            yield from nodes(field.get("items", {}), f"{here}[]")


def told_as(path):
    """Return the heading of a field: what many places have is told once."""
    above, _, name = path.rpartition(".")
    if above in COMPONENTS and name in POD_FIELDS:
        return name
    return re.sub(r".*\.(?=secretKeyRef)", "", path)


OURS = {told_as(path): node for path, node in nodes(CRD.structural) if "description" in node}
IN_AN_EDITOR = {told_as(path): node for path, node in nodes(CRD.json_schema)}


def anchors():
    for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_field_of_ours_has_its_place():
    assert ENTRIES.keys() == OURS.keys()
    for path in POD_FIELDS:
        assert {f"{place}.{path}" for place in COMPONENTS} <= dict(nodes(CRD.structural)).keys()


def test_every_field_of_kubernetes_has_its_place():
    embedded = {
        frozenset(inner["properties"])
        for _, node in nodes(CRD.structural["properties"]["spec"])
        for inner in (node, node.get("items", {}))
        if "properties" in inner and not any("description" in field for field in inner["properties"].values())
    }
    assert embedded
    assert [*filter(None, (fields for fields in embedded if fields not in TABLES))] == []


def test_every_field_that_is_written_has_an_example():
    objects = {"metadata", "spec"}
    reported = {path for path in OURS if path.partition(".")[0] == "status"}
    assert EXAMPLES.keys() == OURS.keys() - reported - objects


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_is_valid(path):
    name = path.rpartition(".")[2]
    [value] = [each for key, each in yaml.safe_load(EXAMPLES[path]).items() if key == name]
    jsonschema_rs.Draft7Validator(IN_AN_EDITOR[path]).validate(value)
    assert [*rules.broken(default.fill(value, OURS[path]), OURS[path], ())] == []


def test_every_link_leads_somewhere():
    found = [*anchors()]
    assert len(found) == len({*found})
    assert {*re.findall(r"\]\(#(.+?)\)", TEXT)} <= {*found}


@pytest.mark.parametrize("path", OURS)
def test_a_description_is_a_sentence(path):
    description = OURS[path]["description"]
    assert description.rstrip("….") != description
    assert "<" not in re.sub("`.*?`", "", description), "Markdown would take it for HTML"
