"""How Kubernetes learns whether a worker is well: two files in a ConfigMap, and the probes that run them.

The worker loads the one and keeps a heartbeat; the kubelet runs the other to judge it. Both are in render/in_pod.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from math import ceil
from typing import Any

from render import naming
from render.children import arguments, connection, pod
from render.children.pod import Volume
from render.model import CeleryApp, Component, Manifest

FILES = (naming.HEARTBEAT_FILE, naming.CHECK_FILE)
CHECK = f"{naming.PROBE_PATH}/{naming.CHECK_FILE}"
QUICK = ("python3", "-I", "-S", CHECK)  # -I -S: neither the environment nor site-packages: see bench/bench_probe.py
STARTUP_SECONDS = LIVENESS_SECONDS = 300
"""What beat is given; a worker group says itself."""


def files(app: CeleryApp) -> tuple[str, ...]:
    """Return the names of the files in the ConfigMap; none if no pod needs any."""
    probed = any(kind(component) != "None" for component in (*app.groups, app.beat) if component)
    return (*(FILES if probed else ()), *connection.files(app))


def kind(component: Component) -> str:
    return str(component.spec["probe"]["type"])


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
    return pod.in_pod(app, {"Heartbeat": FILES, "Ping": (naming.CHECK_FILE,), "None": ()}[kind(component)])


def of_worker(group: Component) -> Manifest:
    """Return the probes of a worker."""
    if kind(group) == "None":
        return {}
    startup, limit = group.spec["probe"]["startupTimeoutSeconds"], _longest_silence(group.spec)
    if kind(group) == "Ping":
        return ping(group, startup, limit)
    liveness = {
        **_exec(*QUICK, "alive", str(limit), every=30, within=10),
        # Who stands still does not hear SIGTERM: a grace meant for tasks that take hours would only delay the restart.
        **({"terminationGracePeriodSeconds": 60} if group.spec["terminationGracePeriodSeconds"] > 60 else {}),  # noqa: PLR2004
    }
    return {
        "startupProbe": {**_exec(*QUICK, "startup", every=5, within=10), "failureThreshold": ceil(startup / 5)},
        "readinessProbe": _exec(*QUICK, "ready", every=10, within=10),
        **({"livenessProbe": liveness} if limit else {}),
    }


def _longest_silence(spec: Mapping[str, Any]) -> int | None:
    """Return the seconds the main loop may stand still; None when any time can be right.

    The solo pool runs tasks in the main loop, so there it stands still for as long as a task takes.
    """
    task = 0 if spec["pool"] != "solo" else spec.get("timeLimitSeconds")
    return None if task is None else spec["probe"]["livenessTimeoutSeconds"] + task


def ping(component: Component, startup: int = STARTUP_SECONDS, limit: int | None = LIVENESS_SECONDS) -> Manifest:
    """Return probes that ask through the broker; seldom, since each loads Celery, and never for readiness.

    The main loop answers, so what may stand still for any time is not probed for life.
    """
    broker = [
        argument
        for argument in arguments.settings(component.spec.get("settings", {}))
        if argument.startswith("broker_")
    ]
    command = ("python3", CHECK, "ping", component.name, *broker)
    alive = limit and {**_exec(*command, every=60, within=30), "failureThreshold": ceil(limit / 60)}
    return {
        "startupProbe": {**_exec(*command, every=10, within=30), "failureThreshold": ceil(startup / 10)},
        **({"livenessProbe": alive} if alive else {}),
    }


def _exec(*command: str, every: int, within: int) -> Manifest:
    return {"exec": {"command": list(command)}, "periodSeconds": every, "timeoutSeconds": within}
