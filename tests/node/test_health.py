"""Health as a kubelet sees it: every kind of worker with every Celery of the run, and one outage of the broker for all.

Their images have no shell, and here their root file systems are read-only.
"""

import itertools
import subprocess
from pathlib import Path

import pytest
from celery import Celery

LIVENESS_TIMEOUT_SECONDS = 30
OUTAGE_SECONDS = 60
FOR_EVER_SECONDS = 3600
SOLO = {"pool": "solo", "timeLimitSeconds": 600}
LISTENING = {"idle": {}, "busy": {}, "threads": {"pool": "threads"}, "solo": SOLO}
WELL = LISTENING | {"late": SOLO}  # busy itself, it cannot notice that the broker is gone
WEDGED = {"stopped": {}, "hung": SOLO | {"timeLimitSeconds": 1}}  # a limit that this pool does not enforce
TELLTALE = """
import json, socket
from shop.celery import app, records
records.rpush("records", json.dumps({"event": "imported", "pod": socket.gethostname()}))
"""


class Workers:
    """The pods of all versions, one in each group, which has a queue of its own."""

    def __init__(self, cluster, node, versions):
        self.cluster, self.node, self.versions = cluster, node, versions

    def spec(self, version):
        given = {
            "concurrency": 1,
            "terminationGracePeriodSeconds": 1,
            "probe": {"livenessTimeoutSeconds": LIVENESS_TIMEOUT_SECONDS},
        }
        groups = (WELL | WEDGED).items()
        return {
            "securityContext": {"readOnlyRootFilesystem": True},
            "workers": [given | group | {"name": name, "queues": [f"{name}-{version}"]} for name, group in groups],
        }

    def queues(self, *groups):
        return [f"{group}-{version}" for version, group in itertools.product(self.versions, groups)]

    def names(self, groups):
        return {pod["metadata"]["name"] for pod in self.cluster.pods(*groups)}

    def containers(self, groups):
        """Return their statuses, of those that have one yet."""
        return [status for pod in self.cluster.pods(*groups) for status in pod["status"].get("containerStatuses", ())]

    def ready(self, groups):
        return [container["ready"] for container in self.containers(groups)]

    def all_ready(self, groups):
        return self.ready(groups) == [True] * len(groups) * len(self.versions)

    def restarts(self, groups):
        """Return how often each container was started again."""
        return [container["restartCount"] for container in self.containers(groups)]

    def stop(self, group):
        """Stop the main process, and no other of the container's."""
        for container in self.containers([group]):
            [_, _, name] = container["containerID"].partition("://")
            kill = ["ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGSTOP", name]
            subprocess.run(self.node.place.inside(*kill), check=True)

    def beat(self, groups):
        """Wait until each has shown two more signs of life."""
        kubelet = Path(self.node.place.folder) / "kubelet/pods"
        volumes = [
            kubelet / pod["metadata"]["uid"] / "volumes/kubernetes.io~empty-dir" for pod in self.cluster.pods(*groups)
        ]
        files = [volume / "celery-state/heartbeat" for volume in volumes]
        for _ in range(2):
            last = [file.stat().st_mtime_ns for file in files]
            self.cluster.wait_until(
                lambda last=last: all(file.stat().st_mtime_ns > old for file, old in zip(files, last, strict=True))
            )

    def found_dead(self):
        """Return the pods whose liveness probe has failed for want of a sign of life."""
        events = self.cluster.request("GET", f"/api/v1/namespaces/{self.cluster.namespace}/events").accepted()
        dead = (each for each in events.body["items"] if "without a sign of life" in each["message"])
        return {each["involvedObject"]["name"] for each in dead}


@pytest.fixture
def workers(cluster, node, module, applied, celery_versions, redis):
    """Return the workers, all ready; they tell of every import of the app."""
    workers, telltale = Workers(cluster, node, celery_versions), module("telltale", TELLTALE)
    for version in celery_versions:
        applied(f"celery-{version.replace('.', '-')}", version, redis.url, **telltale, **workers.spec(version))
    cluster.wait_until(lambda: workers.all_ready(WELL | WEDGED), 300)
    return workers


@pytest.fixture
def send(redis, workers):
    """Return a function that sends a task of so many seconds to each worker of some groups; it returns their ids."""

    def send(seconds, *groups):
        with Celery(broker=redis.url) as client:
            return {client.send_task("nap", [seconds], queue=queue).id for queue in workers.queues(*groups)}

    return send


def test_only_what_stands_still_is_restarted_and_no_outage_restarts_anyone(cluster, workers, send, redis, records):
    def ids(event):
        return {each["id"] for each in records.records() if each["event"] == event}

    tasks = send(FOR_EVER_SECONDS, "busy", "threads", "hung")
    naps = send(OUTAGE_SECONDS, "late")
    cluster.wait_until(lambda: tasks | naps <= ids("started"))
    workers.stop("stopped")
    workers.beat(["idle", "busy", "threads", "solo"])

    redis.stop()
    cluster.wait_until(lambda: naps <= ids("ended") and not any(workers.ready(LISTENING)))
    redis.start()
    cluster.wait_until(lambda: workers.all_ready(WELL))
    workers.beat(WELL)
    tasks = send(0, "idle", "solo", "late")
    cluster.wait_until(lambda: tasks <= ids("ended"))

    cluster.wait_until(lambda: all(workers.restarts(WEDGED)), 300)
    cluster.wait_until(lambda: workers.all_ready(WEDGED), 300)
    assert set(workers.restarts(WELL)) == {0}
    assert workers.found_dead() == workers.names(WEDGED)
    imports = [each["pod"] for each in records.records() if each["event"] == "imported"]
    assert sorted(imports) == sorted([*workers.names(WELL | WEDGED), *workers.names(WEDGED)])
