"""A group of workers: one Deployment."""

from collections.abc import Mapping
from typing import Any

from render import naming, quantity
from render.children import arguments, pod, probe, start
from render.children.pod import Volume
from render.model import CeleryApp, Component, Manifest

STATE = Volume("celery-state", naming.STATE_PATH, {"emptyDir": {}})


def deployment(app: CeleryApp, group: Component) -> Manifest:
    spec = group.spec
    container = {
        "name": naming.WORKER_CONTAINER,
        **start.of(app, spec, args(group), with_heartbeat=probe.kind(group) == "Heartbeat"),
        "env": _env(spec),
        **probe.of_worker(app, group),
    }
    template = pod.template(app, group, container, [STATE, *probe.volumes(app, group)])
    template["spec"]["terminationGracePeriodSeconds"] = spec["terminationGracePeriodSeconds"]
    return pod.deployment(
        app,
        group,
        template,
        # Whoever scales owns the number: with it in the manifest, every apply would undo the scaling.
        **({} if "scaling" in spec else {"replicas": spec.get("replicas", 1)}),
        strategy={"type": "RollingUpdate", "rollingUpdate": dict(spec["rollout"])},
        # Kubernetes' own 600 s, unless a pod may take longer to start: that is no stalled rollout.
        progressDeadlineSeconds=spec["probe"]["startupTimeoutSeconds"] + 300,
    )


def queues(group: Component) -> tuple[str, ...]:
    """Return the queues that the group is known to consume: what the app's own code names is not."""
    default = group.spec.get("settings", {}).get("task_default_queue")
    return tuple(group.spec.get("queues", [default] if default else ()))


def args(group: Component) -> list[str]:
    """Return the arguments of `celery`."""
    return [
        f"--app={group.spec['app']}",
        "worker",
        *arguments.options({"hostname": naming.nodename(group.name), **_options(group)}),
        *group.spec.get("args", ()),
        *arguments.last(_settings(group.spec)),
    ]


def _options(group: Component) -> Manifest:
    spec = group.spec
    memory = spec.get("maxMemoryPerChild")
    return {
        "loglevel": spec["logLevel"],
        "queues": ",".join(spec.get("queues", ())) or None,
        "exclude-queues": ",".join(spec.get("excludeQueues", ())) or None,
        "concurrency": spec["concurrency"],
        "pool": spec["pool"] if spec["pool"] != "prefork" else None,
        "optimization": spec.get("optimization"),
        "prefetch-multiplier": spec.get("prefetchMultiplier"),
        "disable-prefetch": spec.get("disablePrefetch"),
        "max-tasks-per-child": spec.get("maxTasksPerChild"),
        "max-memory-per-child": quantity.kibibytes(memory) if memory is not None else None,
        "time-limit": spec.get("timeLimitSeconds"),
        "soft-time-limit": spec.get("softTimeLimitSeconds"),
        "task-events": spec.get("taskEvents"),
        # Workers that greet and watch each other: nothing here needs it, and hundreds of them flood the broker.
        "without-gossip": True,
        "without-mingle": True,
        "include": naming.HEARTBEAT_MODULE if probe.kind(group) == "Heartbeat" else None,
    }


def _settings(spec: Mapping[str, Any]) -> Manifest:
    soft = {"worker_soft_shutdown_timeout": spec["softShutdownSeconds"]} if "softShutdownSeconds" in spec else {}
    return {**spec.get("settings", {}), **soft}


def _env(spec: Mapping[str, Any]) -> list[Manifest]:
    """Return what lets SIGTERM start a soft shutdown, without which Celery waits until it is killed, and the pool."""
    remap = [{"name": "REMAP_SIGTERM", "value": "SIGQUIT"}] if "softShutdownSeconds" in spec else []
    pool = [{"name": "CELERY_CUSTOM_WORKER_POOL", "value": spec["customPool"]}] if "customPool" in spec else []
    return [*remap, *pool]
