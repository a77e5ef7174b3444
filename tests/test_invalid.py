"""Every file in invalid/ is refused with exactly the lines of the .txt beside it."""

import re
from pathlib import Path

import pytest

from render import pipeline, schema
from render.errors import InvalidInput

CASES = sorted((Path(__file__).parent / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_an_invalid_file_is_refused_with_every_problem(case, monkeypatch):
    monkeypatch.chdir(case.parent)
    with pytest.raises(InvalidInput) as refusal:
        list(pipeline.bases([case.name], schema.load()))
    assert str(refusal.value) + "\n" == case.with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", sorted(Path(__file__).parent.glob("*/*.txt")), ids=lambda path: path.stem)
def test_no_password_is_printed(text):
    assert not re.search(r"hun\s?ter", text.read_text(encoding="utf-8"))
