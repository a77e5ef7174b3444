"""Tasks that are killed, or run twice, since a pod or a message is given less time than they may take."""

import re
from collections.abc import Iterator
from typing import Any

from render.hazards.hazard import FORKING, Hazard, Part, broker, groups, parts
from render.model import CeleryApp
from render.wording import SECONDS

OWN_END_SECONDS = 15
"""What a worker takes itself to end."""
LIMITING = FORKING | {"gevent", "solo"}
"""Pools that end a task at its time limit; with solo the probe does."""
VISIBILITY_SECONDS = {"Redis": 3600, "SQS": 1800}
"""What kombu takes where nothing is set."""
SLEEP = re.compile(r"\bsleep\s+(\d+)(?:\.\d+)?([smh]?)\b")


def short_grace(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each grace in which a task that keeps its time limit may not end."""
    for group in groups(app):
        limit, grace, hook = _time_limit(group), _grace(group), _pre_stop(group)
        if limit and limit > grace - hook and "softShutdownSeconds" not in group.spec:
            less = f", less the {hook} s of preStop," if hook else ""
            yield Hazard(
                group.at("terminationGracePeriodSeconds"),
                f"{grace} s{less} are less than a task may take (timeLimitSeconds: {limit}): "
                f"it would be killed with its pod: write {limit + hook + OWN_END_SECONDS}, or softShutdownSeconds and "
                "task_acks_late: true",
            )


def early_acknowledgement(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each soft shutdown that would lose the tasks it puts back."""
    for group in groups(app):
        if "softShutdownSeconds" in group.spec and group.given("settings").get("task_acks_late") is False:
            message = "a soft shutdown then loses the tasks that it stops: write true, or remove softShutdownSeconds"
            yield Hazard(group.at("settings", "task_acks_late"), message)


def long_pre_stop(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each hook that sleeps until the pod is killed: SIGTERM comes after it, and the grace counts from before."""
    for part in parts(app):
        action = ("sleep", "seconds") if "sleep" in _hook(part) else ("exec", "command")
        seconds, grace = _pre_stop(part), _grace(part)
        if 0 < seconds == grace or (seconds > grace and "exec" in action):  # a longer action the API server refuses
            yield Hazard(
                part.at("lifecycle", "preStop", *action),
                f"sleeps {seconds} s of {grace} s of grace, so Celery is killed before it is told to end: write less",
            )


def visibility_timeout(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each visibility timeout after which a message comes back although its task still runs."""
    for group in groups(app):
        options = group.given("settings").get("broker_transport_options") or {}
        given, usual = options.get("visibility_timeout"), VISIBILITY_SECONDS.get(broker(app))
        limit, timeout = _time_limit(group), usual if given is None else given
        field, longest = ("timeLimitSeconds", limit) if limit else ("terminationGracePeriodSeconds", _grace(group))
        if not isinstance(timeout, int | float) or timeout >= longest:
            continue
        written = ("settings", "broker_transport_options", "visibility_timeout")
        yield Hazard(
            group.at(field) if given is None else group.at(*written),
            f"the visibility timeout, {timeout:g} s, is less than a task may take ({field}: {longest}), so its message "
            f"comes back and it runs twice: write {'.'.join(written)}: {longest * 2}, more than any countdown too",
        )


def _time_limit(group: Part) -> int:
    """Return the seconds that a task may take, 0 where nothing ends it."""
    return int(group.spec.get("timeLimitSeconds", 0)) if group.spec["pool"] in LIMITING else 0


def _grace(part: Part) -> int:
    return int(part.spec["terminationGracePeriodSeconds"])


def _pre_stop(part: Part) -> int:
    """Return the seconds that a hook sleeps, as far as its command tells."""
    hook = _hook(part)
    command = " ".join((hook.get("exec") or {}).get("command") or ())
    slept = sum(int(number) * SECONDS[unit or "s"] for number, unit in SLEEP.findall(command))
    return slept + int((hook.get("sleep") or {}).get("seconds") or 0)


def _hook(part: Part) -> dict[str, Any]:
    hook: dict[str, Any] = part.given("lifecycle").get("preStop") or {}
    return hook


RULES = (short_grace, early_acknowledgement, long_pre_stop, visibility_timeout)
