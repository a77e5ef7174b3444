"""Queues to which the app sends, and from which nobody takes."""

from collections.abc import Iterator, Mapping
from typing import Any

from render.errors import Path
from render.hazards.hazard import Hazard, Part, blocks, groups
from render.model import CeleryApp


def unconsumed(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each setting that sends tasks to a queue of no group; an app without groups has its workers elsewhere."""
    if not (consumers := list(groups(app))):
        return
    for path, block in blocks(app):
        for place, queue in _sent_to(block.get("settings", {})):
            if not any(_consumes(group, queue) for group in consumers):
                message = f"no group takes from the queue {queue}: write it into queues of one of spec.workers"
                yield Hazard((*path, "settings", *place), message)


def _consumes(group: Part, queue: str) -> bool:
    """Say whether the group takes from the queue; one that names nothing may, for only the app knows its queues."""
    if "queues" in group.spec:
        return queue in group.spec["queues"]
    return queue not in group.spec.get("excludeQueues", ())


def _sent_to(settings: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each queue that settings name, and where."""
    if isinstance(default := settings.get("task_default_queue"), str):
        yield ("task_default_queue",), default
    for place, route in _routes(settings.get("task_routes")):
        queue = route.get("queue") if isinstance(route, dict) else route
        if isinstance(queue, str):
            yield ("task_routes", *place), queue


def _routes(given: Any) -> Iterator[tuple[Path, Any]]:
    """Yield the routes as Celery takes them: a map, or a list of maps and pairs; a name alone is a router's."""
    if isinstance(given, dict):
        yield from (((pattern,), route) for pattern, route in given.items())
    elif isinstance(given, list):
        for number, each in enumerate(given):
            if isinstance(each, dict):
                yield from (((number, *place), route) for place, route in _routes(each))
            elif isinstance(each, list) and len(each) == 2:  # noqa: PLR2004 (pattern and route)
                yield (number, 1), each[1]


RULES = (unconsumed,)
