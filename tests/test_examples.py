"""Every example renders to the base beside it, byte for byte."""

from pathlib import Path

import pytest

from render import pipeline, schema

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("**/app.yaml"))


@pytest.mark.parametrize("app", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_renders_to_its_base(app):
    rendered = pipeline.files(pipeline.bases([str(app)], schema.load()))
    base = app.parent / "base"
    golden = {str(path.relative_to(base)): path.read_text("utf-8") for path in base.rglob("*.yaml")}
    assert rendered == golden, "review, then: make golden"


@pytest.mark.parametrize("app", EXAMPLES, ids=lambda path: path.parent.name)
def test_rendering_twice_gives_the_same_bytes_and_leaves_the_children_as_they_were(app):
    [first] = pipeline.bases([str(app)], schema.load())
    before = pipeline.files([first])
    [second] = pipeline.bases([str(app)], schema.load())
    assert pipeline.files([second]) == before == pipeline.files([first])
