"""The scheduler: one pod, also while it is replaced."""

from render import naming
from render.children import arguments, pod, probe, volume
from render.model import CeleryApp, Component, Manifest


def deployment(app: CeleryApp, beat: Component) -> Manifest:
    container = {"name": naming.BEAT, "args": args(app, beat), **(probe.ping(beat) if _pinged(beat) else {})}
    volumes = [volume.of(app, beat, naming.BEAT_DATA_PATH, beat.spec.get("storage")), *probe.volumes(app, beat)]
    template = pod.template(app, beat, container, volumes)
    # Recreate: a rolling update runs the new beat beside the old, and whatever is due then is sent twice.
    return pod.deployment(app, beat, template, replicas=1, strategy={"type": "Recreate"})


def args(app: CeleryApp, beat: Component) -> list[str]:
    """Return the arguments of `celery`."""
    spec = beat.spec
    options = {
        "loglevel": spec["logLevel"],
        "schedule": f"{naming.BEAT_DATA_PATH}/beat-schedule",
        "scheduler": spec.get("schedulerClass"),
        "max-interval": spec.get("maxIntervalSeconds"),
        **({"hostname": naming.nodename(beat.name), "enable-remote-control": True} if _pinged(beat) else {}),
    }
    return [f"--app={app.spec['app']}", "beat", *arguments.options(options), *spec.get("args", ())]


def _pinged(beat: Component) -> bool:
    return probe.kind(beat) == "Ping"
