"""A field that belongs elsewhere is an unknown one, whatever rules about its namesake would make of its value."""

import json

import pytest

from render import load, pipeline, schema
from render.errors import InvalidInput

SCHEMA = schema.load()
SPEC = SCHEMA.structural["properties"]["spec"]["properties"]
BLOCKS = {
    "spec": SPEC,
    "workers": SPEC["workers"]["items"]["properties"],
    "beat": SPEC["beat"]["properties"],
    "flower": SPEC["flower"]["properties"],
}
ELSEWHERE = [
    (block, name) for block, known in BLOCKS.items() for name in sorted(set().union(*BLOCKS.values()) - known.keys())
]


@pytest.mark.parametrize("value", [{}, {"enabled": True}, [], [{}], "x", 5, True, None], ids=json.dumps)
def test_of_a_field_that_belongs_elsewhere_only_that_is_said(value):
    for block, name in ELSEWHERE:
        own = {"name": "worker", name: value} if block == "workers" else {name: value}
        spec = {"image": "registry.example.com/shop:1", "app": "shop", "broker": {"url": "redis://redis/0"}}
        spec |= own if block == "spec" else {block: [own] if block == "workers" else own}
        app = {
            "apiVersion": "celeryproject.org/v1alpha1",
            "kind": "CeleryApp",
            "metadata": {"name": "shop"},
            "spec": spec,
        }
        [document] = load.documents(json.dumps(app).encode(), "app.yaml").documents
        with pytest.raises(InvalidInput) as invalid:
            pipeline.app(document, SCHEMA)
        at = {"spec": (), "workers": ("workers", 0)}.get(block, (block,))
        [problem] = [each for each in invalid.value.problems if not each.is_warning]
        assert problem.path == ("spec", *at, name)
        assert problem.message.startswith("unknown field")
