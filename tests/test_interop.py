"""The tables that `make interop` prints stand in their pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "page", "tools"), [("test_gitops.py", "docs/gitops.md", 2), ("test_keda.py", "docs/scaling.md", 1)]
)
def test_each_claim_that_is_tried_is_in_the_page(name, page, tools):
    tests = (ROOT / "tests/interop" / name).read_text()
    claims = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)\(", tests, re.MULTILINE)]
    rows = re.findall(rf"^\| (.+?) (?:\| (?:passed)? ?){{{tools}}}\|$", (ROOT / page).read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(claims)
