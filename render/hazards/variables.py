"""Variables that Celery does not read, those that it takes for options, and one that only Celery reads."""

from collections.abc import Iterator, Mapping
from typing import Any

from render import naming
from render.errors import Path
from render.hazards.hazard import COMMON, Hazard, Part, blocks, parts
from render.hazards.settings import ALL, FIELDS
from render.model import CeleryApp

PREFIX = "CELERY_"
READ = frozenset(
    {"broker_url", "broker_read_url", "broker_write_url", "result_backend", "beat_schedule", "beat_scheduler"}
    | {"worker_concurrency", "worker_disable_prefetch", "worker_max_memory_per_child", "worker_max_tasks_per_child"}
    | {"worker_pool", "worker_pool_start_method", "worker_prefetch_multiplier"}
)
"""Settings that Celery, or an option of its command line, takes from such a variable."""
OF_THE_APP = frozenset({"imports", "include", "timezone"})
"""Settings that only the app's own configuration may set."""

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "worker": {
        "concurrency": "concurrency",
        "exclude_queues": "excludeQueues",
        "loglevel": "logLevel",
        "max_memory_per_child": "maxMemoryPerChild",
        "max_tasks_per_child": "maxTasksPerChild",
        "optimization": "optimization",
        "pool": "pool",
        "prefetch_multiplier": "prefetchMultiplier",
        "queues": "queues",
        "soft_time_limit": "softTimeLimitSeconds",
        "task_events": "taskEvents",
        "time_limit": "timeLimitSeconds",
    },
    "beat": {"loglevel": "logLevel", "max_interval": "maxIntervalSeconds", "scheduler": "schedulerClass"},
}
"""Options of Celery's commands by the fields they are: Click takes from CELERY_WORKER_POOL what no argument says."""
COMPONENTS = {"worker": "workers", "beat": "beat"}
"""By the command of Celery, where in `spec` stands what it is started for."""
REMOVED = "remove it"
DAEMON = dict.fromkeys(("detach", "logfile", "pidfile"), REMOVED)
REFUSED: Mapping[str, Mapping[str, str]] = {
    "worker": {
        "autoscale": "write scaling, for pods in place of processes",
        "beat": "write spec.beat",
        "purge": REMOVED,
        **DAEMON,
    },
    "beat": DAEMON,
}
"""Options that are refused in args, and what to write; Click takes them from variables all the same."""
NO_ARGUMENT: tuple[Any, ...] = (None, False, [], "prefork")
"""Values of a field that is left out of the arguments."""
OFF = frozenset({"0", "f", "false", "n", "no", "off"})
"""What Click reads as no."""
CONNECTIONS = {
    "BROKER_URL": ("broker", "--broker"),
    "CELERY_BROKER": ("broker", "--broker"),
    "RESULT_BACKEND": ("resultBackend", "--result-backend"),
}
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
    """Yield each variable by which Celery gets an option that its arguments may not hold, or does not get it."""
    for path, entry, users in _taken(app):
        command, _, option = entry["name"].removeprefix(PREFIX).lower().partition("_")
        is_option = entry["name"] == f"{PREFIX}{command}_{option}".upper() and entry.get("value", "").lower() not in OFF
        started = [part for part in users if is_option and part.path[1] == COMPONENTS.get(command)]
        field, better = OPTIONS.get(command, {}).get(option), REFUSED.get(command, {}).get(option)
        name = f"--{option.replace('_', '-')}"
        if started and better:
            yield Hazard(path, f"celery {command} takes {name} from it: {better}")
        elif started and field and any(part.spec.get(field) in NO_ARGUMENT for part in started):
            yield Hazard(path, f"celery {command} takes {name} from it, unknown to all else: write {field} instead")
        elif started and field:
            message = (
                f"celery {command} has {name} as an argument, which counts: write {field}, unless the app reads it"
            )
            yield Hazard(path, message)


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
    for path, entry, _ in _taken(app):
        field, option = CONNECTIONS.get(entry["name"], ("", ""))
        if field in given and not _says(entry, given[field], naming.URL_ENV[field]):
            better = "remove it, or rename it if the app reads it"
            yield Hazard(path, f"celery takes {option} from it, in place of spec.{field}: {better}")
        elif entry["name"] == "LOADER" and by_loader:
            why = f"in place of ours, without which it knows no {by_loader}"
            yield Hazard(path, f"celery takes --loader from it, {why}: remove it")


def _taken(app: CeleryApp) -> Iterator[tuple[Path, Mapping[str, Any], list[Part]]]:
    """Yield each variable that Click does not skip as empty, and the components started as `celery` that have it."""
    started = [part for part in parts(app) if "commandLine" not in part.spec]
    for path, block in blocks(app):
        for at, entry in enumerate(block.get("env", ())):
            users = [part for part in started if part.path == path or _is_common(part, path, entry)]
            if users and ("valueFrom" in entry or entry.get("value")):
                yield (*path, "env", at), entry, users


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
