"""The table that `make interop` prints stands in its page."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_claim_that_is_tried_is_in_the_page():
    tests = (ROOT / "tests/interop/test_gitops.py").read_text()
    claims = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)\(", tests, re.MULTILINE)]
    rows = re.findall(
        r"^\| (.+?) \| (?:passed)? ?\| ?(?:passed)? ?\|$", (ROOT / "docs/gitops.md").read_text(), re.MULTILINE
    )
    assert sorted(rows) == sorted(claims)
