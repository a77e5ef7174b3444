"""A plain deployment becomes a CeleryApp, step by step as docs/from-deployments.md says.

The old pods have a grace far shorter than their tasks, as most have. Nobody takes beat's messages: they stay on the
broker, in the order in which they were sent, and say who sent them.
"""

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import images
import pytest
from celery import Celery
from celery_versions import VERSIONS
from redis import Redis

NEWEST = VERSIONS[-1]
PODS, SLOTS = 2, 2
APP = """
from shop.celery import app
app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 1.0, "options": {"queue": "ticks"}}}
"""
ROLE = "example.com/role"
"""A label that the old pods and the new ones have, for the test to find them by."""


class Moving:
    """The deployment `old` and the CeleryApp `shop`, of the same image and with the same broker."""

    def __init__(self, cluster, folder, image, spec):
        self.cluster = cluster
        self.folder = folder
        self.image = image
        self.spec = spec

    def old(self, role, replicas, *args):
        """Return a Deployment as people write it."""
        container = {"name": "celery", "image": self.image, "command": ["celery", "--app=moving:app", role, *args]}
        container |= {"env": [*self.spec["env"], broker()], "volumeMounts": self.spec["volumeMounts"]}
        pod = {"terminationGracePeriodSeconds": 2, "containers": [container], "volumes": self.spec["volumes"]}
        labels = {"app": f"old-{role}", ROLE: role}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"old-{role}"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": f"old-{role}"}},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }

    def base(self, **spec):
        """Apply the app as a base."""
        self._write(spec)
        command = [Path(sys.executable).with_name("celery-render"), "app.yaml", "-o", "base"]
        subprocess.run(command, check=True, cwd=self.folder)
        self.cluster.kubectl("apply", "--kustomize", self.folder / "base")

    def app(self, **spec):
        """Apply the app itself: celery-reconcile makes the rest."""
        self._write(spec)
        self.cluster.kubectl("apply", "--filename", self.folder / "app.yaml")

    def _write(self, spec):
        worker = {"name": "worker", "queues": ["celery"], "replicas": PODS, "podLabels": {ROLE: "worker"}}
        common = {"image": self.image, "celeryVersion": NEWEST, "workers": [worker]}
        common |= {"broker": {"urlFrom": broker()["valueFrom"]}}
        app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
        (self.folder / "app.yaml").write_text(json.dumps(app | {"spec": common | self.spec | spec}))

    def pods(self, role):
        """Return the names of the pods that are there, the old ones and the new ones."""
        return {pod["metadata"]["name"]: pod for pod in self.cluster.pods() if pod["metadata"]["labels"][ROLE] == role}

    def ask(self, nodes, *command):
        """Return what old workers answer to Celery's remote control, by node."""
        celery = ("celery", "--app=moving:app", *command, f"--destination={','.join(nodes)}", "--json")
        answer = self.cluster.kubectl("exec", "deployment/old-worker", "--", *celery, check=False).stdout
        answers = json.loads(answer.splitlines()[0]) if answer else {}
        return answers if isinstance(answers, dict) else {node: said for each in answers for node, said in each.items()}


def broker():
    return {"name": "CELERY_BROKER_URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}


@pytest.fixture
def moving(cluster, node, module, redis, records, tmp_path):
    secret = {"metadata": {"name": "broker"}, "stringData": {"url": redis.url}}
    cluster.apply({"apiVersion": "v1", "kind": "Secret"} | secret).accepted()
    spec = module("moving", APP)
    spec["env"].append({"name": "RECORDS_URL", "value": records.url})
    return Moving(cluster, tmp_path, node.load(images.celery(NEWEST)), spec)


@pytest.fixture
def client(redis):
    with Celery(broker=redis.url) as client:
        yield client


@pytest.mark.usefixtures("reconciler")
@pytest.mark.parametrize("way", ["base", "app"])
def test_no_task_is_lost_and_beat_is_never_twice_while_a_deployment_becomes_an_app(
    way, cluster, moving, client, redis, records
):
    become = getattr(moving, way)
    one_waits_for_each = ("--prefetch-multiplier=1", f"--concurrency={SLOTS}")
    deployments = moving.old("worker", PODS, *one_waits_for_each), moving.old("beat", 1, "--schedule=/tmp/schedule")
    for deployment in deployments:
        cluster.apply(deployment).accepted()
    cluster.wait_until(lambda: all(map(cluster.is_rolled_out, deployments)) and origins(redis), 120)
    old = {f"celery@{name}" for name in moving.pods("worker")}
    cluster.wait_until(lambda: moving.ask(old, "inspect", "ping").keys() == old, 120)
    sent = [client.send_task("hold", ["the old may go"]).id for _ in range(PODS * SLOTS * 2)]
    cluster.wait_until(lambda: len(events(records, "started")) == PODS * SLOTS)
    seen = {role: watched(cluster, role) for role in ("worker", "beat")}

    become()
    cluster.wait_until(lambda: is_ready(cluster, "shop-worker"))
    assert moving.ask(old, "control", "cancel_consumer", "celery").keys() == old
    records.let("the old may go")
    later = [client.send_task("nap", [0.5]).id for _ in range(8)]
    cluster.wait_until(lambda: all(have_nothing(moving, old, what) for what in ("active", "reserved")))
    cluster.kubectl("scale", "deployment", "old-worker", "--replicas=0")
    cluster.wait_until(lambda: len(moving.pods("worker")) == PODS)
    cluster.wait_until(lambda: len(events(records, "ended")) == len([*sent, *later]))

    cluster.kubectl("scale", "deployment", "old-beat", "--replicas=0")
    cluster.wait_until(lambda: not moving.pods("beat"))
    become(beat={"podLabels": {ROLE: "beat"}})
    cluster.wait_until(lambda: len(origins(redis)) > 1)

    assert events(records, "started") == events(records, "ended") == Counter([*sent, *later])
    assert not {f"celery@{each['pod']}" for each in records.records() if each["id"] in later} & old
    assert min(counts(cluster, *seen["worker"], has_started)) == PODS
    assert max(counts(cluster, *seen["beat"], has_not_ended)) == 1
    assert [name.startswith("old-beat") for name in origins(redis)] == [True, False]


def have_nothing(moving, nodes, what):
    """Say whether each worker answers, and has no such task."""
    answers = moving.ask(nodes, "inspect", what)
    return answers.keys() == nodes and not any(answers.values())


def events(records, event):
    """Return how often this happened, by task."""
    return Counter(each["id"] for each in records.records() if each["event"] == event)


def origins(redis):
    """Return the pods that sent ticks, in turn; a name comes twice when another one sent between."""
    with Redis.from_url(redis.url) as client:
        headers = [json.loads(each)["headers"] for each in reversed(client.lrange("ticks", 0, -1))]
    return [name for name, _ in itertools.groupby(each["origin"].partition("@")[2] for each in headers)]


def is_ready(cluster, name):
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}}
    there = cluster.request("GET", cluster.path(deployment)).status == 200
    return there and cluster.is_rolled_out(deployment)


def watched(cluster, role):
    """Return where to watch the pods of a role, and those that are there."""
    path, query = f"/api/v1/namespaces/{cluster.namespace}/pods", {"labelSelector": f"{ROLE}={role}"}
    body = cluster.request("GET", path, **query).accepted().body
    pods = {pod["metadata"]["name"]: pod for pod in body["items"]}
    return path, query | {"resourceVersion": body["metadata"]["resourceVersion"], "timeoutSeconds": 1}, pods


def counts(cluster, path, query, pods, counted):
    """Yield how many of the pods counted, before and after each change since."""
    yield sum(map(counted, pods.values()))
    for change in cluster.watch(path, **query):
        pod = change["object"]
        pods = {name: each for name, each in pods.items() if name != pod["metadata"]["name"]}
        if change["type"] != "DELETED":
            pods[pod["metadata"]["name"]] = pod
        yield sum(map(counted, pods.values()))


def has_started(pod):
    """Say whether the pod is ready, and not about to go."""
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
    return ready and "deletionTimestamp" not in pod["metadata"]


def has_not_ended(pod):
    return pod["status"]["phase"] not in {"Succeeded", "Failed"}
