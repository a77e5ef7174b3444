"""Every app in rendered/ renders without a warning, and its children have what stands below it.

A file holds CeleryApps, each followed by parts of its children: of an object the fields that matter, `null` for one
that is not there; a list is always whole.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from render import load, pipeline, schema
from render.errors import dotted
from render.model import Document


class Situation(NamedTuple):
    app: Document
    expected: list[dict[str, Any]]


def situations() -> Iterator[Any]:
    for file in sorted((Path(__file__).parent / "rendered").glob("*.yaml")):
        found: list[Situation] = []
        for document in load.documents(file.read_bytes(), file.name).documents:
            if document.data["kind"] == "CeleryApp":
                found.append(Situation(document, []))
            else:
                found[-1].expected.append(document.data)
        for one in found:
            yield pytest.param(one, id=f"{file.stem}: {one.app.data['metadata']['name']}")


def differences(part: Any, whole: Any, path: tuple[str | int, ...] = ()) -> Iterator[str]:
    """Yield each place in which the whole is not what the part says of it."""
    if isinstance(part, dict) and isinstance(whole, dict):
        for key, inner in part.items():
            yield from differences(inner, whole.get(key), (*path, key))
    elif isinstance(part, list) and isinstance(whole, list) and len(part) == len(whole):
        for at, inner in enumerate(part):
            yield from differences(inner, whole[at], (*path, at))
    elif part != whole:
        yield f"{dotted(path)}: {whole!r}, not {part!r}"


@pytest.mark.parametrize("situation", list(situations()))
def test_an_app_is_rendered_as_its_situation_needs(situation):
    base = pipeline.base(situation.app, schema.load())
    children = {(child["kind"], child["metadata"]["name"]): child for child in base.children}
    assert base.warnings == ()
    assert situation.expected
    for part in situation.expected:
        name = (part["kind"], part["metadata"]["name"])
        assert list(differences(part, children[name])) == [], name
