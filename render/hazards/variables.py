"""Variables that Celery does not read, those that it takes for options, and one that only Celery reads."""

from collections.abc import Iterator, Mapping
from typing import Any

from render import naming
from render.errors import Path
from render.hazards.hazard import COMMON, Hazard, Part, blocks, parts
from render.hazards.settings import ALL
from render.model import CeleryApp

PREFIX = "CELERY_"
FIELDS = {
    "task_soft_time_limit": "softTimeLimitSeconds",
    "task_time_limit": "timeLimitSeconds",
    "worker_concurrency": "concurrency",
    "worker_pool": "pool",
    "worker_send_task_events": "taskEvents",
    "worker_soft_shutdown_timeout": "softShutdownSeconds",
}
"""Settings that are fields of a group. The first words of some are options, which Celery takes from a variable too, but
the command line has them already."""
READ = frozenset(
    {"broker_url", "broker_read_url", "broker_write_url", "result_backend", "beat_schedule", "beat_scheduler"}
    | {"worker_disable_prefetch", "worker_max_memory_per_child", "worker_max_tasks_per_child"}
    | {"worker_pool_start_method", "worker_prefetch_multiplier"}
)
"""Settings that Celery, or an option of its command line, takes from such a variable."""
OF_THE_APP = frozenset({"imports", "include", "timezone"})
"""Settings that only the app's own configuration may set."""

DAEMON = ("DETACH", "LOGFILE", "PIDFILE")
REMOVED = "remove it"
OPTIONS = {
    "CELERY_WORKER_AUTOSCALE": "write scaling, for pods in place of processes",
    "CELERY_WORKER_BEAT": "write spec.beat",
    "CELERY_WORKER_EXCLUDE_QUEUES": "write excludeQueues",
    "CELERY_WORKER_QUEUES": "write queues",
    **{f"CELERY_{command}_{option}": REMOVED for command in ("WORKER", "BEAT") for option in DAEMON},
    "CELERY_WORKER_PURGE": REMOVED,
}
"""Options of Celery's command line that are refused in args; Click takes them from these variables all the same."""
OFF = frozenset({"", "0", "f", "false", "n", "no", "off"})
"""What Click reads as no."""
CONNECTIONS = {"BROKER_URL": ("broker", "--broker"), "RESULT_BACKEND": ("resultBackend", "--result-backend")}
"""By a variable the field that it would come before, and the option of `celery` that is taken from it."""
BY_LOADER = ("tls", "sentinel")
"""What only a loader of ours can give to Celery: render/in_pod/celery_loader.py."""


def unread(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each variable with the name of a setting that Celery takes from no variable; a script might."""
    for path, block in blocks(app):
        for at, entry in enumerate(block.get("env", ())):
            name = str(entry["name"])
            setting = name.removeprefix(PREFIX).lower()
            is_setting = name.startswith(PREFIX) and setting in ALL - READ - OF_THE_APP
            if is_setting and "commandLine" not in block and "commandLine" not in app.spec:
                better = FIELDS.get(setting, f"settings: {{{setting}: …}}")
                message = f"Celery reads no such variable: write {better}, unless the app reads it"
                yield Hazard((*path, "env", at), message)


def options(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each variable by which Celery gets an option that its arguments may not hold."""
    for path, block in blocks(app):
        for at, entry in enumerate(block.get("env", ())):
            is_off = "valueFrom" not in entry and entry.get("value", "").lower() in OFF
            if (instead := OPTIONS.get(entry["name"])) and not is_off:
                _, command, option = entry["name"].lower().split("_", 2)
                message = f"celery {command} takes --{option.replace('_', '-')} from it: {instead}"
                yield Hazard((*path, "env", at), message)


def private_broker(app: CeleryApp) -> Iterator[Hazard]:
    """Yield the broker's URL where it is a variable of everybody's, and no field."""
    for at, entry in enumerate(app.spec.get("env", ())):
        if entry["name"] == naming.URL_ENV[naming.BROKER]:
            message = "scaling and checks know no broker by it: write spec.broker: urlFrom, or url and passwordFrom"
            yield Hazard((*COMMON, "env", at), message)


def connections(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each variable that Celery's command takes in place of what a field says of a connection."""
    given = {field: app.spec[field] for field, _ in CONNECTIONS.values() if field in app.spec}
    by_loader = next((f"spec.{field}.{name}" for field in given for name in BY_LOADER if name in given[field]), "")
    for path, entry in _taken(app):
        field, option = CONNECTIONS.get(entry["name"], ("", ""))
        if field in given and not _says(entry, given[field], naming.URL_ENV[field]):
            better = "remove it, or rename it if the app reads it"
            yield Hazard(path, f"celery takes {option} from it, in place of spec.{field}: {better}")
        elif entry["name"] == "LOADER" and by_loader:
            why = f"in place of ours, without which it knows no {by_loader}"
            yield Hazard(path, f"celery takes --loader from it, {why}: remove it")


def _taken(app: CeleryApp) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each variable of a component that is started as `celery`, but those that are empty: Click skips them."""
    users = [part for part in parts(app) if "commandLine" not in part.spec]
    for path, block in blocks(app):
        for at, entry in enumerate(block.get("env", ())):
            is_used = any(part.path == path or _is_common(part, path, entry) for part in users)
            if is_used and ("valueFrom" in entry or entry.get("value")):
                yield (*path, "env", at), entry


def _is_common(part: Part, path: Path, entry: Mapping[str, Any]) -> bool:
    """Say whether the component has the variable from `spec`, and does not give another value to it."""
    return path == COMMON and all(own["name"] != entry["name"] for own in part.own.get("env", ()))


def _says(entry: Mapping[str, Any], given: Mapping[str, Any], url: str) -> bool:
    """Say whether the variable says what the field does: the same URL, whole, or the variable that holds it."""
    if "passwordFrom" in given:  # which is joined to the URL in the pod
        return False
    if "valueFrom" in entry:
        return bool(entry["valueFrom"] == given.get("urlFrom"))
    return entry["value"] in (given.get("url"), f"$({url})")


RULES = (unread, options, private_broker, connections)
