"""A tag becomes a release only with the version that the project has, and what is new in it under a date."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from notes import notes

ROOT = Path(__file__).parents[1]
CHANGELOG = (
    "# Changelog\n\nFormat.\n\n## 0.2.0 - 2026-11-29\n\n### Added\n\n- This.\n\n## 0.1.0 - 2026-01-01\n\n- That.\n"
)


def test_the_notes_are_the_newest_section():
    assert notes("v0.2.0", "0.2.0", CHANGELOG) == "### Added\n\n- This."


@pytest.mark.parametrize(
    ("tag", "version", "title", "reason"),
    [
        ("v0.3.0", "0.2.0", "0.2.0 - 2026-11-29", "the tag is v0.3.0, and pyproject.toml says 0.2.0: tag v0.2.0"),
        ("0.2.0", "0.2.0", "0.2.0 - 2026-11-29", "the tag is 0.2.0, and pyproject.toml says 0.2.0: tag v0.2.0"),
        ("v0.2.0", "0.2.0", "Unreleased", 'CHANGELOG.md begins with "Unreleased": write "0.2.0 - YYYY-MM-DD"'),
        (
            "v0.2.0",
            "0.2.0",
            "0.2.0 (unreleased)",
            'CHANGELOG.md begins with "0.2.0 (unreleased)": write "0.2.0 - YYYY-MM-DD"',
        ),
        (
            "v0.2.0",
            "0.2.0",
            "0.1.9 - 2026-11-29",
            'CHANGELOG.md begins with "0.1.9 - 2026-11-29": write "0.2.0 - YYYY-MM-DD"',
        ),
    ],
)
def test_what_does_not_agree_is_no_release(tag, version, title, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        notes(tag, version, CHANGELOG.replace("0.2.0 - 2026-11-29", title))


def test_the_newest_section_is_of_this_version_or_of_none_yet():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    [title] = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:1]
    assert title.split(" ")[0] in {version, "Unreleased"}
    tagged = subprocess.run(
        [sys.executable, "release/notes.py", f"v{version}"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert tagged.returncode == (0 if re.fullmatch(rf"{re.escape(version)} - [\d-]{{10}}", title) else 1)
