"""What starts all components, and is not there in one, or is not meant for it."""

import json
import posixpath
import re
from collections.abc import Iterator

from render import naming
from render.hazards.hazard import COMMON, Hazard, Part, blocks, parts
from render.model import CeleryApp

FLOWERS_OWN = re.compile(r"(.+/)?mher/flower([:@].*)?")
"""Images of which is known what they hold: Python on Alpine, with Flower and its Celery."""
OF_ALPINE = frozenset(
    {"celery", "chrt", "env", "ionice", "nice", "nohup", "setsid", "sh", "taskset", "time", "timeout"}
)
OF_SYSTEM = ("/bin/", "/sbin/", "/usr/")
SEEN = ("env", "envFrom", "image", "imageEntrypoint", "volumeMounts", "workingDir")
"""Fields by which one program can tell in which component it runs."""


def missing_commands(app: CeleryApp) -> Iterator[Hazard]:
    """Yield what starts all components, and Flower's own image does not have."""
    for part in parts(app):
        if part.name != naming.FLOWER or {"command", "commandLine"} & part.own.keys():
            continue
        for field in ("command", "commandLine"):
            if field in part.spec and _is_missing(first := part.spec[field][0], part):
                message = f"starts Flower too, whose image has no {first}: write flower.command: [celery]"
                yield Hazard((*COMMON, field), message)


def _is_missing(first: str, flower: Part) -> bool:
    """Say whether a program is neither in Flower's own image nor mounted into it."""
    spec = flower.spec
    if not FLOWERS_OWN.fullmatch(spec["image"]):
        return False
    if "/" not in first:
        is_led_elsewhere = any(entry["name"] == "PATH" for entry in spec.get("env", ()))
        return not (is_led_elsewhere or first in OF_ALPINE or first.startswith("python"))
    folders = (*OF_SYSTEM, *(f"{mount['mountPath'].rstrip('/')}/" for mount in spec.get("volumeMounts", ())))
    return not posixpath.join(spec.get("workingDir", "/data"), first).startswith(folders)


def one_program(app: CeleryApp) -> Iterator[Hazard]:
    """Yield the commandLine that is beat's or Flower's and another's alike, with nothing to tell them apart by."""
    alike: dict[str, list[Part]] = {}
    for part in parts(app):
        if "commandLine" in part.spec and "commandLine" not in part.own:
            seen = json.dumps([part.spec.get(field) for field in SEEN], sort_keys=True)
            alike.setdefault(seen, []).append(part)
    for same in alike.values():
        singles = [part.name for part in same if len(part.path) == 2]  # noqa: PLR2004 (not one of spec.workers)
        if singles and len(same) > 1:
            *others, last = (part.name for part in same)
            own = " and ".join(f"{name}.commandLine" for name in singles)
            message = f"starts the same program in the pods of {', '.join(others)} and {last}: write {own}"
            yield Hazard((*COMMON, "commandLine"), message)


def files(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each application that is a file's name: a module has none, but for its folders'."""
    for path, block in blocks(app):
        module, suffix, attribute = block.get("app", "").partition(".py")
        if suffix and attribute[:1] in ("", ":"):
            yield Hazard((*path, "app"), f"is the name of a file, and Celery takes a module: write {module}{attribute}")


def idle_containers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each init container of the app's image that is not told what to run: what the image runs never ends."""
    for path, block in blocks(app):
        for at, one in enumerate(block.get("initContainers", ())):
            if not {"image", "command", "args", "restartPolicy"} & one.keys():
                message = "runs what the app's image runs by itself, and Celery waits until that ends: write command"
                yield Hazard((*path, "initContainers", at), message)


RULES = (missing_commands, one_program, files, idle_containers)
