"""The CeleryApp that `celery-render --init NAME` prints."""

import re
from importlib import resources

from render.errors import InvalidInput, Problem

MAX_NAME = 38
"""So that <name>-worker and <name>-flower are valid names of Deployments."""


def app(name: str) -> str:
    """Return a commented CeleryApp of that name. Raises InvalidInput when it cannot be a name."""
    if len(name) > MAX_NAME or not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name):
        wanted = f"write at most {MAX_NAME} lower-case letters, digits and dashes, a letter first, such as shop"
        raise InvalidInput((Problem("--init", 0, (), f'"{name}" cannot be the name of an app: {wanted}'),))
    template = resources.files("render").joinpath("starter.yaml").read_text(encoding="utf-8")
    module = name.replace("-", "_")
    return (
        template.replace("app: NAME", f"app: {module}")
        .replace("NAME.settings", f"{module}.settings")
        .replace("-A NAME", f"-A {module}")
        .replace("NAME", name)
    )
