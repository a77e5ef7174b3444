"""Settings that Celery does not know, or cannot read: it says nothing of them, since their values come as JSON."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from render import wording
from render.hazards.celery_settings import BOOLEANS, LISTS, MAPS, NUMBERS, SINCE
from render.hazards.hazard import COMMON, Hazard, blocks
from render.hazards.versions import minor
from render.model import CeleryApp

ALL = frozenset[str]().union(*SINCE.values())
READABLE = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)+")
OLD_PREFIX = re.compile("celery(d|beat)?_")
NAMESPACES = ("task", "worker", "beat", "result", "broker")
OF_OTHERS = ("redbeat_",)
"""Begin the settings of what extends Celery and reads them from its configuration."""
NEAR = 0.85
OF_ALL = ("broker_use_ssl", "control_exchange", "event_exchange")
BY_FIELD = {
    "broker_use_ssl": "write spec.broker.tls in place of it, which reaches all",
    "master_name": "write spec.broker.sentinel in place of it, which reaches all",
}
OF_BEAT = ("beat_", "redbeat_")
"""Begin the settings that only beat reads."""
OPTIONS_OF_ALL = ("fanout_patterns", "fanout_prefix", "global_keyprefix")
"""Settings by which components find each other; TLS and Sentinel of spec.broker reach Flower too."""
OF_SENTINELS = ("master_name",)
"""Needed where a URL in a Secret may be one of Sentinels; for one that is written here spec.broker.sentinel says it."""
FIELDS = {
    "broker_url": "spec.broker",
    "imports": "imports in the app itself",
    "include": "include in the app itself",
    "result_backend": "spec.resultBackend",
    "task_soft_time_limit": "workers[].softTimeLimitSeconds",
    "task_time_limit": "workers[].timeLimitSeconds",
    "timezone": "timezone in the app itself",
    "worker_concurrency": "workers[].concurrency",
    "worker_disable_prefetch": "workers[].disablePrefetch",
    "worker_max_memory_per_child": "workers[].maxMemoryPerChild",
    "worker_max_tasks_per_child": "workers[].maxTasksPerChild",
    "worker_pool": "workers[].pool",
    "worker_prefetch_multiplier": "workers[].prefetchMultiplier",
    "worker_send_task_events": "workers[].taskEvents",
    "worker_soft_shutdown_timeout": "workers[].softShutdownSeconds",
}
"""Settings that the CRD refuses, and what to write in place of them."""
OF_TRANSPORTS = ("broker_transport_options", "result_backend_transport_options")
TRANSPORT_OPTIONS = frozenset(
    {"fanout_patterns", "fanout_prefix", "global_keyprefix", "health_check_interval", "master_name", "max_connections"}
    | {"polling_interval", "predefined_queues", "priority_steps", "queue_name_prefix", "queue_order_strategy"}
    | {"reauth_check_interval", "retry_on_timeout", "sentinel_kwargs", "socket_connect_timeout", "socket_keepalive"}
    | {"socket_timeout", "visibility_timeout", "wait_time_seconds"}
)
"""What people write into `broker_transport_options`; kombu has more, and each transport others."""
VISIBILITY = "visibility_timeout"
NEARER = 0.9
ON = frozenset({"true", "yes", "on", "y", "t", "1"})
OFF = frozenset({"false", "no", "off", "n", "f", "0"})


def unknown(app: CeleryApp) -> Iterator[Hazard]:
    """Yield an error for each name that cannot be read or is nearly Celery's, and a warning for any other unknown."""
    known = frozenset[str]().union(*(names for version, names in SINCE.items() if version <= minor(app)))
    for path, block in blocks(app):
        for name in block.get("settings", {}):
            place = (*path, "settings", name)
            if name in known or name.startswith(OF_OTHERS):
                continue  # those that only the app's own configuration may set, the CRD refuses
            if not READABLE.fullmatch(name):
                better = (
                    meant(name)
                    or without_first_word(name)
                    or "a name of Celery's, such as task_acks_late, or remove it"
                )
                yield Hazard(place, f"is no setting that Celery can read: write {better}", is_error=True)
            elif name in ALL:
                [since] = (version for version, names in SINCE.items() if name in names)
                message = (
                    f"Celery {minor(app)} does not know it, {since} does: write what is in the image as celeryVersion"
                )
                yield Hazard(place, message)
            elif better := meant(name):
                yield Hazard(place, f"is no setting of Celery: write {better}", is_error=True)
            else:
                better = without_first_word(name) or "it right"
                yield Hazard(
                    place, f"is no setting of Celery's own: write {better}, or remove it unless the app reads it"
                )


def without_first_word(name: str) -> str:
    """Return what is called so but for its first word, or is an option within another setting."""
    if name in TRANSPORT_OPTIONS:
        return f"broker_transport_options: {{{name}: …}}"
    found = (f"{namespace}_{name}" for namespace in NAMESPACES)
    return " or ".join(FIELDS.get(setting, setting) for setting in found if setting in ALL)


def meant(name: str) -> str:
    """Return the setting that was probably meant, or its field: another spelling, an old name, or a letter off."""
    plain = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    rest = OLD_PREFIX.sub("", plain)
    candidates = [plain, rest, *(f"{namespace}_{rest}" for namespace in NAMESPACES)]
    exact = [candidate for candidate in candidates if candidate in ALL and (rest != plain or candidate == plain)]
    found = next(iter(exact or get_close_matches(plain, sorted(ALL), 1, NEAR)), "")
    return FIELDS.get(found, found)


def mistyped(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each value that Celery takes for something else: any text is a yes to it, or a list of letters."""
    for path, block in blocks(app):
        given: dict[str, Any] = block.get("settings", {})
        plain = (((name,), value) for name, value in given.items() if name in ALL - FIELDS.keys())
        options = ((name, given[name]) for name in OF_TRANSPORTS if isinstance(given.get(name), Mapping))
        inner = (((name, VISIBILITY), each.get(VISIBILITY)) for name, each in options)
        for place, value in (*plain, *inner):
            if message := _mistyped(place[-1], value):
                yield Hazard((*path, "settings", *place), message, is_error=True)


def _mistyped(name: str, value: Any) -> str:
    if isinstance(value, str) and name in BOOLEANS:
        return _yes_or_no(value)
    if isinstance(value, str) and name in (*NUMBERS, VISIBILITY):
        return _number(value)
    if isinstance(value, (str, Mapping)) and name in LISTS:
        better = f"[{value}]" if isinstance(value, str) else "[…, …]"
        return f"Celery takes a list here: write {better}"
    if isinstance(value, (str, list)) and name in MAPS:
        return "Celery takes an object here: write {KEY: VALUE, …}"
    return ""


def _yes_or_no(text: str) -> str:
    better = "true" if text.lower() in ON else "false" if text.lower() in OFF else "true or false"
    taken = ", and a text for true" if text else ""
    return f"Celery takes true or false here{taken}: write {better}, without quotes"


def _number(text: str) -> str:
    is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)
    better = f"{text} without quotes" if is_number else wording.seconds(text) or "a number"
    return f"Celery takes a number here, and this is a text: write {better}"


def unknown_options(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each option of the broker's transport that is nearly another: kombu says nothing of the unknown."""
    for path, block in blocks(app):
        for name in block.get("settings", {}).get("broker_transport_options") or ():
            if (better := meant_option(name)) not in ("", name):
                place = (*path, "settings", "broker_transport_options", name)
                yield Hazard(place, f"is no option of a broker's: write {better}", is_error=True)


def meant_option(name: str) -> str:
    """Return the option of a transport that this is, or nearly is."""
    return next(iter(get_close_matches(name, sorted(TRANSPORT_OPTIONS), 1, NEARER)), "")


def beyond_flower(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each setting without which Flower looks elsewhere than the workers are: its command line takes none."""
    if app.flower is None or "commandLine" in app.flower.spec:
        return
    given = app.spec.get("settings", {})
    options = given.get("broker_transport_options") or {}
    is_told = {"url", "sentinel"} & app.spec.get("broker", {}).keys()
    names = OPTIONS_OF_ALL if is_told else (*OPTIONS_OF_ALL, *OF_SENTINELS)
    fields = ((name,) for name in OF_ALL if name in given)
    inner = (("broker_transport_options", name) for name in names if name in options)
    for place in (*fields, *inner):
        better = BY_FIELD.get(place[-1], "set it in the app itself, for all alike")
        yield Hazard((*COMMON, "settings", *place), f"does not reach Flower: {better}")


def beyond_beat(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each setting of beat's own that others would need to know too."""
    for path, block in blocks(app):
        for name in block.get("settings", {}) if path == ("spec", "beat") else ():
            if not name.startswith(OF_BEAT) and name in ALL:  # of all others `unknown` says what is wrong
                yield Hazard(
                    (*path, "settings", name), "is not beat's alone: write it into spec.settings", is_error=True
                )


RULES = (unknown, mistyped, unknown_options, beyond_flower, beyond_beat)
