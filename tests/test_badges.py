"""README's badges say what the project says of itself, as images of its own."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_badges_are_as_they_would_be_drawn_now(tmp_path):
    subprocess.run([sys.executable, ROOT / "release/badges.py", tmp_path], cwd=ROOT, check=True)
    drawn, kept = (
        {path.name: path.read_text() for path in folder.glob("*.svg")} for folder in (tmp_path, ROOT / "docs/badges")
    )
    assert kept == drawn, "make badges"


def test_each_badge_is_in_the_readme_with_its_words():
    shown = re.findall(
        r"^\[!\[(.+)\]\(docs/badges/(\w+)\.svg\)\]\(.+\)$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(name for _, name in shown) == sorted(path.stem for path in (ROOT / "docs/badges").glob("*.svg"))
    for words, name in shown:
        label, value = re.findall(r'y="14">(.*)</text>', (ROOT / f"docs/badges/{name}.svg").read_text())
        assert words == f"{label} {value}"
