"""The tables that `make interop` prints stand in their pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("name", "page"), [("test_gitops.py", "docs/gitops.md"), ("test_keda.py", "docs/scaling.md")])
def test_each_claim_that_is_tried_is_in_the_page(name, page):
    tests = (ROOT / "tests/interop" / name).read_text()
    claims = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)\(", tests, re.MULTILINE)]
    rows = re.findall(r"^\| (.+?) (?:\| (?:passed)? ?){1,2}\|$", (ROOT / page).read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(claims)
