"""What starts a container: the command, with Celery's arguments behind it, or a command line of the user's own."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from render import naming
from render.children import connection
from render.model import CeleryApp, Manifest

COMMAND = ("celery",)
LAUNCHER = ("-I", "-S", f"{naming.PROBE_PATH}/{naming.START_FILE}")
"""What a Python is given to start Celery with our modules in reach: see render/in_pod/celery_start.py."""


def of(app: CeleryApp, spec: Mapping[str, Any], args: Sequence[str], *, with_heartbeat: bool = False) -> Manifest:
    """Return `command` and `args` of the container; never a shell: it would keep SIGTERM from Celery.

    Without `command` Kubernetes runs the image's ENTRYPOINT, and gives it the args.
    """
    given, rest = (spec["commandLine"], []) if "commandLine" in spec else (spec.get("command", COMMAND), list(args))
    command = [*((python(spec), *LAUNCHER) if with_heartbeat else launcher(app, spec)), *given]
    if spec.get("imageEntrypoint") == "Keep":
        return {"args": [*command, *rest]}
    return {"command": command, **({"args": rest} if rest else {})}


def launcher(app: CeleryApp, spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what stands before each command that may reach the broker; nothing where its URL says it all."""
    return (python(spec), *LAUNCHER) if connection.files(app) else ()


def python(spec: Mapping[str, Any]) -> str:
    """Return the Python that Celery runs with, as far as the command tells; else the one on the image's PATH."""
    for word in spec.get("commandLine", spec.get("command", COMMAND)):
        folder, name = posixpath.split(word)
        if re.fullmatch(r"python[0-9.]*", name):
            return str(word)
        if name == "celery" and folder.endswith("env/bin"):  # a virtual environment
            return f"{folder}/python3"
    return "python3"
