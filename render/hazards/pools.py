"""Options that Celery takes with every pool, and does nothing with in some: docs/celery.md has the table."""

import re
from collections.abc import Iterator, Mapping

from render.hazards.hazard import Hazard, broker, groups
from render.model import CeleryApp

DEFAULT_CONCURRENCY = 2
OF_CHILDREN = ("maxTasksPerChild", "maxMemoryPerChild", "optimization", "softTimeLimitSeconds")
ASKS_ONE = re.compile(r"(?=.*\binspect\b.*\bping\b)(?=.* (-d|--destination)\b)[^|;\n]*", re.DOTALL)
"""A command that fails when one worker does not answer; what is behind ||, ; or a line's end may make it pass."""
IGNORED: Mapping[str, tuple[str, ...]] = {
    "threads": (*OF_CHILDREN, "timeLimitSeconds"),
    "eventlet": (*OF_CHILDREN, "timeLimitSeconds"),
    "gevent": OF_CHILDREN,
    "solo": OF_CHILDREN,
}


def ignored_by_pool(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each option that the pool of its group ignores."""
    for group in groups(app):
        pool = group.spec["pool"]
        for field in IGNORED.get(pool, ()):
            if field in group.spec:
                yield Hazard(group.at(field), f"does nothing with pool: {pool}: remove it, or write pool: prefork")
        concurrency = group.spec["concurrency"]
        if pool == "solo" and concurrency not in {1, DEFAULT_CONCURRENCY}:  # a default nobody has written
            message = "does nothing with pool: solo, which runs one task at a time: write 1, or pool: prefork"
            yield Hazard(group.at("concurrency"), message)


def unbounded_solo(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each time limit that nothing enforces: the pool does not, and there is no probe that would."""
    for group in groups(app):
        if group.spec["pool"] == "solo" and "timeLimitSeconds" in group.spec and group.spec["probe"]["type"] == "None":
            message = "nothing keeps it with pool: solo but a probe: write probe.type: Heartbeat, or pool: prefork"
            yield Hazard(group.at("timeLimitSeconds"), message)


def unanswering_solo(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each probe of life that asks a worker of its name, who does not answer while a task runs."""
    for group in groups(app):
        probe, words = group.spec["probe"], " ".join(group.spec["probe"].get("exec", {}).get("command", ()))
        if group.spec["pool"] == "solo" and "timeLimitSeconds" not in group.spec and ASKS_ONE.fullmatch(words):
            message = (
                f"pool: solo does not answer while a task runs, and one of more than {probe['livenessTimeoutSeconds']} "
                "s is killed: write the longest as timeLimitSeconds, or probe: {type: Heartbeat}"
            )
            yield Hazard(group.at("probe", "exec"), message)


def ignored_by_broker(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each disablePrefetch that Celery ignores; RabbitMQ's the CRD refuses."""
    kind = broker(app)
    for group in groups(app):
        if group.spec.get("disablePrefetch") and kind not in {"", "Redis", "RabbitMQ"}:
            message = "Celery ignores it with this broker, it is for Redis: write prefetchMultiplier: 1 in place of it"
            yield Hazard(group.at("disablePrefetch"), message)


RULES = (ignored_by_pool, unbounded_solo, unanswering_solo, ignored_by_broker)
