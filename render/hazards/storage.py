"""Volumes that nobody can write to, and volumes that nothing mounts."""

from collections.abc import Iterator

from render.hazards.hazard import COMMON, Hazard, Part, parts
from render.model import CeleryApp

CLAIMS = ("storage", "persistence")
ELSEWHERE = ", but not on OpenShift, which sets one of its own and refuses others"


def unwritable(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each new volume that belongs to root, in a pod that does not run as root."""
    for part in parts(app):
        for claim in CLAIMS:
            if "existingClaim" in part.own.get(claim, {"existingClaim": ""}) or not (user := _user(part)):
                continue
            who, group, but = (f"user {user}", user, "") if isinstance(user, int) else ("another user", 1000, ELSEWHERE)
            yield Hazard(
                part.at(claim),
                f"a new volume is root's, and {part.name} runs as {who}, so it cannot write there: "
                f"write podSecurityContext: {{fsGroup: {group}}}{but}",
            )


def unmounted(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each volume that stands there for nothing."""
    everything = list(parts(app))
    for path, block, users in ((COMMON, app.spec, everything), *((part.path, part.own, [part]) for part in everything)):
        used = {name for part in users for name in _mounted(part)}
        for number, volume in enumerate(block.get("volumes", ())):
            if volume["name"] not in used:
                yield Hazard((*path, "volumes", number), "nothing mounts it: add it to volumeMounts, or remove it")


def _user(part: Part) -> int | str:
    """Return as whom the container runs, if that is not root, and nothing makes the volume its own."""
    pod, container = part.given("podSecurityContext"), part.given("securityContext")
    if "fsGroup" in pod:
        return ""
    both = {**pod, **container}
    return int(both["runAsUser"]) if "runAsUser" in both else "another" if both.get("runAsNonRoot") else ""


def _mounted(part: Part) -> Iterator[str]:
    for container in (part.spec, *part.spec.get("initContainers", ())):
        yield from (mount["name"] for mount in container.get("volumeMounts") or ())
        for entry in container.get("env") or ():
            if key := (entry.get("valueFrom") or {}).get("fileKeyRef"):
                yield key["volumeName"]


RULES = (unwritable, unmounted)
