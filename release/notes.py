"""What is new in a release, printed for the forge; or why the tag can be none.

Usage: notes.py TAG, at the root of the project.
"""

import re
import sys
import tomllib
from pathlib import Path


def notes(tag: str, version: str, changelog: str) -> str:
    """Return the newest section of the changelog. Raises ValueError unless it has this tag's version, and a date."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, and pyproject.toml says {version}: tag v{version}")
    _, newest, *_ = re.split(r"^## ", changelog, flags=re.MULTILINE)
    title, _, text = newest.partition("\n")
    if not re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", title):
        raise ValueError(f'CHANGELOG.md begins with "{title}": write "{version} - YYYY-MM-DD"')
    return text.strip()


if __name__ == "__main__":
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    try:
        sys.stdout.write(notes(sys.argv[1], project["version"], Path("CHANGELOG.md").read_text()) + "\n")
    except ValueError as reason:
        sys.exit(str(reason))
