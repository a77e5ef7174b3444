"""How Kubernetes learns whether a worker is well: files in a ConfigMap, and the probes that run them.

The worker loads one and keeps a heartbeat; the kubelet runs another to judge it; a third starts the worker so that it
finds the first. All are in render/in_pod.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from math import ceil
from typing import Any

from render import naming
from render.children import arguments, connection, pod, start
from render.children.pod import Volume
from render.model import CeleryApp, Component, Manifest

FILES = (naming.HEARTBEAT_FILE, naming.CHECK_FILE, naming.START_FILE)
NEEDED = {"Heartbeat": FILES, "Ping": (naming.CHECK_FILE,)}
CHECK = f"{naming.PROBE_PATH}/{naming.CHECK_FILE}"
QUICK = ("-I", "-S", CHECK)  # -I -S: neither the environment nor site-packages: see bench/bench_probe.py
STARTUP_SECONDS = LIVENESS_SECONDS = 300
"""What beat is given; a worker group says itself."""
ASKING = ("accept_content=", "broker_", "control_")
"""Begin the settings by which a question and its answer find their way."""
GRACE_SECONDS = 60
"""Who stands still does not hear SIGTERM: a grace meant for tasks that take hours would only delay the restart."""


def files(app: CeleryApp) -> tuple[str, ...]:
    """Return the names of the files in the ConfigMap; none if no pod needs any."""
    probed = any(kind(component) in NEEDED for component in (*app.groups, app.beat) if component)
    return tuple(dict.fromkeys((*(FILES if probed else ()), *connection.files(app))))


def kind(component: Component) -> str:
    """Return the type of the component's probe, or Exec for one of the user's own."""
    probe = component.spec["probe"]
    return "Exec" if "exec" in probe else str(probe["type"])


def config_map(app: CeleryApp) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": pod.metadata(app, naming.PROBE),
        "data": {name: _text(name) for name in files(app)},
    }


@cache
def _text(name: str) -> str:
    return resources.files("render").joinpath("in_pod", name).read_text(encoding="utf-8")


def volumes(app: CeleryApp, component: Component) -> list[Volume]:
    """Return the files the component's probes need."""
    return pod.in_pod(app, NEEDED.get(kind(component), ()))


def of_worker(app: CeleryApp, group: Component) -> Manifest:
    """Return the probes of a worker."""
    startup, limit = group.spec["probe"]["startupTimeoutSeconds"], _longest_silence(group.spec)
    if kind(group) == "Exec":
        # Without a limit it stays: who has written it may know that it passes while a task runs.
        return _own(app, group, startup, limit or group.spec["probe"]["livenessTimeoutSeconds"])
    if kind(group) == "Ping":
        return _ping(app, group, startup, limit)
    if kind(group) == "None":
        return {}
    check = (start.python(group.spec), *QUICK)
    liveness = {**_exec(*check, "alive", str(limit), every=30, within=10), **_grace(group)}
    return {
        "startupProbe": {**_exec(*check, "startup", every=5, within=10), "failureThreshold": ceil(startup / 5)},
        "readinessProbe": _exec(*check, "ready", every=10, within=10),
        **({"livenessProbe": liveness} if limit else {}),
    }


def of_beat(app: CeleryApp, beat: Component) -> Manifest:
    """Return the probes of beat."""
    probes = {"Exec": _own, "Ping": _ping}.get(kind(beat))
    return probes(app, beat, STARTUP_SECONDS, LIVENESS_SECONDS) if probes else {}


def _longest_silence(spec: Mapping[str, Any]) -> int | None:
    """Return the seconds the main loop may stand still; None when any time can be right.

    The solo pool runs tasks in the main loop, so there it stands still for as long as a task takes.
    """
    task = 0 if spec["pool"] != "solo" else spec.get("timeLimitSeconds")
    return None if task is None else spec["probe"]["livenessTimeoutSeconds"] + task


def _own(app: CeleryApp, component: Component, startup: int, limit: int) -> Manifest:
    """Return probes that run the user's command; none for readiness, since nothing is routed to the pod."""
    command = (*start.launcher(app, component.spec), *component.spec["probe"]["exec"]["command"])
    alive = {**_exec(*command, every=30, within=30), "failureThreshold": ceil(limit / 30), **_grace(component)}
    return {
        "startupProbe": {**_exec(*command, every=10, within=30), "failureThreshold": ceil(startup / 10)},
        "livenessProbe": alive,
    }


def _grace(component: Component) -> Manifest:
    long = component.spec["terminationGracePeriodSeconds"] > GRACE_SECONDS
    return {"terminationGracePeriodSeconds": GRACE_SECONDS} if long else {}


def _ping(app: CeleryApp, component: Component, startup: int, limit: int | None) -> Manifest:
    """Return probes that ask through the broker; seldom, since each loads Celery, and never for readiness.

    The main loop answers, so what may stand still for any time is not probed for life.
    """
    broker = [
        argument for argument in arguments.settings(component.spec.get("settings", {})) if argument.startswith(ASKING)
    ]
    python = start.python(component.spec)
    command = (*start.launcher(app, component.spec), python, CHECK, "ping", component.name, *broker)
    alive = limit and {**_exec(*command, every=60, within=30), "failureThreshold": ceil(limit / 60)}
    return {
        "startupProbe": {**_exec(*command, every=10, within=30), "failureThreshold": ceil(startup / 10)},
        **({"livenessProbe": alive} if alive else {}),
    }


def _exec(*command: str, every: int, within: int) -> Manifest:
    return {"exec": {"command": list(command)}, "periodSeconds": every, "timeoutSeconds": within}
