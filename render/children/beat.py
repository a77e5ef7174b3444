"""The scheduler: one pod, also while it is replaced."""

from render import naming
from render.children import arguments, pod, probe, start, volume
from render.model import CeleryApp, Component, Manifest


def deployment(app: CeleryApp, beat: Component) -> Manifest:
    container = {"name": naming.BEAT, **start.of(app, beat.spec, args(beat)), **probe.of_beat(app, beat)}
    volumes = [volume.of(app, beat, naming.BEAT_DATA_PATH, beat.spec.get("storage")), *probe.volumes(app, beat)]
    template = pod.template(app, beat, container, volumes)
    template["spec"]["terminationGracePeriodSeconds"] = beat.spec["terminationGracePeriodSeconds"]
    # Recreate: a rolling update runs the new beat beside the old, and whatever is due then is sent twice.
    return pod.deployment(app, beat, template, replicas=1, strategy={"type": "Recreate"})


def args(beat: Component) -> list[str]:
    """Return the arguments of `celery`."""
    spec, pinged = beat.spec, probe.kind(beat) == "Ping"
    options = {
        "loglevel": spec["logLevel"],
        "schedule": f"{naming.BEAT_DATA_PATH}/beat-schedule",
        "scheduler": spec.get("schedulerClass"),
        "max-interval": spec.get("maxIntervalSeconds"),
        **({"hostname": naming.nodename(beat.name), "enable-remote-control": True} if pinged else {}),
    }
    return [
        f"--app={spec['app']}",
        "beat",
        *arguments.options(options),
        *spec.get("args", ()),
        *arguments.last(spec.get("settings", {})),
    ]
