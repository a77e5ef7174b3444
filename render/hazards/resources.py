"""CPU and memory that are not what was meant, or that do not go together."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from render import quantity
from render.errors import Path
from render.hazards.hazard import FORKING, Hazard, Part, blocks, groups
from render.model import CeleryApp

MI = 2**20
LEAST = MI * 1000
"""Thousandths of a byte: no container lives on less than 1Mi."""
MOST_CPUS = 256
AMOUNT = re.compile(r"\d+")


def odd_quantities(app: CeleryApp) -> Iterator[Hazard]:
    """Yield memory of a few bytes (`512m`, `512`), and CPUs by the hundred (`500`)."""
    for path, block in blocks(app):
        for place, value in _memory(block):
            if 0 < quantity.milli(value) < LEAST:
                what = "thousandths of a byte" if str(value).endswith("m") else "less than a mebibyte"
                yield Hazard((*path, *place), f"{value} is {what}: write {_amount(value)}Mi")
        for place, value in _named(block, "cpu"):
            if quantity.milli(value) > MOST_CPUS * 1000:
                yield Hazard((*path, *place), f"{value} is that many whole CPUs: write {_amount(value)}m")


def unlimited_auto(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each group that has as many processes as the node has CPUs."""
    for group in groups(app):
        if group.spec["concurrency"] == "auto" and "cpu" not in _limits(group):
            message = "takes every CPU of the node where there is no limit: write resources.limits.cpu, or a number"
            yield Hazard(group.at("concurrency"), message)


def children_above_limit(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each maxMemoryPerChild that the pod is killed before: the children together take more than the limit."""
    for group in groups(app):
        given, limits, count = group.spec.get("maxMemoryPerChild"), _limits(group), _processes(group)
        if given is None or "memory" not in limits or not count or group.spec["pool"] not in FORKING:
            continue
        limit, child = (quantity.milli(value) // 1000 for value in (limits["memory"], given))
        if child * count > limit:
            yield Hazard(
                group.at("maxMemoryPerChild"),
                f"{count} of {given} are more than the limit of {limits['memory']}, so the pod is killed before one is "
                f"replaced: write {max(limit // count // MI, 1)}Mi or less, or more into resources.limits.memory",
            )


def _processes(group: Part) -> int:
    """Return how many children there are, 0 where only the node knows."""
    if group.spec["concurrency"] != "auto":
        return int(group.spec["concurrency"])
    return -(-quantity.milli(_limits(group).get("cpu", 0)) // 1000)


def _limits(group: Part) -> Mapping[str, Any]:
    return group.given("resources").get("limits") or {}


def _memory(block: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield each amount of memory, or of space, that is written in a block."""
    yield from _named(block, "memory", "ephemeral-storage")
    for number, volume in enumerate(block.get("volumes", ())):
        if "sizeLimit" in (empty := volume.get("emptyDir") or {}):
            yield ("volumes", number, "emptyDir", "sizeLimit"), empty["sizeLimit"]
    for claim in ("storage", "persistence"):
        if claim in block and "existingClaim" not in block[claim]:
            yield (claim, "size"), block[claim]["size"]
    if "averageValue" in (target := block.get("scaling", {}).get("memory", {})):
        yield ("scaling", "memory", "averageValue"), target["averageValue"]


def _named(block: Mapping[str, Any], *names: str) -> Iterator[tuple[Path, Any]]:
    """Yield the requests and limits of these names, of the Celery container and of init containers."""
    init = ((("initContainers", number), each) for number, each in enumerate(block.get("initContainers", ())))
    for path, container in [((), block), *init]:
        for kind in ("requests", "limits"):
            given = (container.get("resources") or {}).get(kind) or {}
            yield from (((*path, "resources", kind, name), given[name]) for name in names if name in given)


def _amount(value: str | int) -> str:
    found = AMOUNT.search(str(value))
    return found[0] if found else str(value)


RULES = (odd_quantities, unlimited_auto, children_above_limit)
