"""Draws the README's badges, of what the project itself says: no reader's browser asks a service.

Usage: badges.py FOLDER, at the root of the project.
"""

import sys
import tomllib
from pathlib import Path

import anybadge

from render import since
from render.hazards import celery_settings

COLOR = "#3949ab"
"""The docs site's indigo."""


def badges() -> dict[str, str]:
    """Return each badge's SVG by its name."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    words = {
        "release": project["version"],
        "kubernetes": _from_to(since.table().releases),
        "celery": _from_to([*celery_settings.SINCE]),
        "python": project["requires-python"].removeprefix(">=") + " or newer",
        "license": project["license"],
    }
    return {name: _svg(name, word) for name, word in words.items()}


def _from_to(versions: tuple[str, ...] | list[str]) -> str:
    return f"{versions[0]} to {versions[-1]}"


def _svg(name: str, word: str) -> str:
    label = name if name in ("license", "release") else name.capitalize()
    badge = anybadge.Badge(label, word, default_color=COLOR)
    return badge.badge_svg_text + "\n"


if __name__ == "__main__":
    for name, svg in badges().items():
        (Path(sys.argv[1]) / f"{name}.svg").write_text(svg)
