"""Why pods do not run, as a real kubelet and a real scheduler say it: one app with everything that can be wrong."""

import images
import pytest
from celery_versions import VERSIONS

PYTHON = ("python3", "-c")
ASLEEP = [*PYTHON, "import time; time.sleep(3600)"]
NOWHERE = "registry.example.com/shop:none"
VOLUME = {"volumeMounts": [{"name": "any", "mountPath": "/any"}]}


def volume(**source):
    return VOLUME | {"volumes": [{"name": "any", **source}]}


BROKEN = {
    "image": {"image": NOWHERE},
    "crash": {"commandLine": [*PYTHON, "raise SystemExit(3)"]},
    "memory": {"commandLine": [*PYTHON, "b'x' * (1 << 30)"], "resources": {"limits": {"memory": "32Mi"}}},
    "program": {"commandLine": ["no-such-program"]},
    "place": {"nodeSelector": {"example.com/no": "such-node"}},
    "claim": volume(persistentVolumeClaim={"claimName": "no-such-claim"}),
    "secret": {"env": [{"name": "ANY", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "any"}}}]},
    "mount": volume(configMap={"name": "no-such-map"}),
    "probe": {"probe": {"exec": {"command": [*PYTHON, "raise SystemExit('not yet')"]}}},
}
WHY = {
    "image": f"ImagePullBackOff: the image {NOWHERE} cannot be pulled",
    "crash": "CrashLoopBackOff: container worker ends with exit code 3 (Error)",
    "memory": "CrashLoopBackOff: container worker ends with exit code 137 (OOMKilled)",
    "program": "executable file not found in $PATH",
    "place": "Unschedulable: no node takes it: node(s) didn't match Pod's node affinity/selector",
    "claim": 'persistentvolumeclaim "no-such-claim" not found',
    "secret": 'CreateContainerConfigError: container worker: secret "no-such-secret" not found',
    "mount": 'FailedMount: MountVolume.SetUp failed for volume "any" : configmap "no-such-map" not found',
    "probe": "Unhealthy: Startup probe failed: not yet",
    "beat": 'CreateContainerConfigError: container beat: secret "no-such-secret" not found',
    "flower": f"ImagePullBackOff: the image {NOWHERE} cannot be pulled",
}


@pytest.fixture
def app(node):
    """Return an app of which nothing runs, with all its reasons."""
    groups = [{"name": name, "commandLine": ASLEEP, "probe": {"type": "None"}} | it for name, it in BROKEN.items()]
    spec = {"image": node.load(images.celery(VERSIONS[-1])), "app": "shop.celery:app", "workers": groups}
    singles = {"broker": {"url": "redis://127.0.0.1/0"}, "beat": BROKEN["secret"], "flower": {"image": NOWHERE}}
    identity = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "broken"}}
    return identity | {"spec": spec | singles}


def ready(cluster, app):
    conditions = cluster.get(app).get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "Ready"), {"message": "", "reason": ""})


@pytest.mark.usefixtures("reconciler")
def test_each_reason_is_in_ready_once(cluster, app):
    cluster.apply(app).accepted()
    cluster.wait_until(lambda: all(why in ready(cluster, app)["message"] for why in WHY.values()))
    assert ready(cluster, app)["reason"] in {why.partition(":")[0] for why in WHY.values()}
    cluster.wait_until(lambda: restarts_unsaid(cluster, app))  # back-off counters are no news


def restarts_unsaid(cluster, app):
    """Wait for a container to be started again, and say whether nothing was written of it: some reasons come late."""
    version, restarts = cluster.get(app)["metadata"]["resourceVersion"], restarted(cluster)
    cluster.wait_until(lambda: restarted(cluster) > restarts)
    return cluster.get(app)["metadata"]["resourceVersion"] == version


def restarted(cluster):
    """Return how often containers were started again."""
    statuses = (each for pod in cluster.pods(*BROKEN) for each in pod["status"].get("containerStatuses", ()))
    return sum(each["restartCount"] for each in statuses)
