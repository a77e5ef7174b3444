"""Brokers that ask for everything, from real pods: every part of an app gets there, and so does the reconciler.

A password of every printable character; TLS with a private authority and a client certificate; sentinels, whose master
fails. Each broker serves the apps of all versions, with read-only root file systems.
"""

import json
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import images
import pytest
import secured

FLOWER_PORT = 5555
SEND = """
import sys
from shop.celery import app
for queue in ("orders", "celery"):
    assert app.send_task("nap", [0], queue=queue).get(timeout=60) is None
for _ in range(3):
    app.send_task("hold", sys.argv[1:], queue="orders")
"""


@pytest.fixture
def brokers(node, tmp_path, redis_program, celery_versions):
    """Return the brokers by name."""
    address = node.place.host
    certificates = secured.Certificates(made(tmp_path / "certificates"), address)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(manager)
            for name, manager in {
                "redis": secured.on_redis(redis_program, made(tmp_path / "on-redis"), certificates, address),
                "rabbitmq": secured.on_rabbitmq(
                    made(tmp_path / "on-rabbitmq"), certificates, address, len(celery_versions)
                ),
                "sentinel": secured.on_sentinel(redis_program, made(tmp_path / "on-sentinel"), address),
            }.items()
        }


def made(folder):
    folder.mkdir()
    return folder


class App:
    """One app on a broker: in the hands of the reconciler, and asked about every part."""

    def __init__(self, cluster, reconciler, records, name, spec):
        self.cluster, self.reconciler, self.records, self.name = cluster, reconciler, records, name
        self.manifest = {
            "apiVersion": "celeryproject.org/v1alpha1",
            "kind": "CeleryApp",
            "metadata": {"name": name},
            "spec": spec,
        }

    def is_ready(self):
        return self.cluster.condition(self.manifest, "Ready")

    def pods(self):
        """Return its pods by component."""
        pods = (pod for pod in self.cluster.pods() if self.label(pod, "app") == self.name)
        return {self.label(pod, "component"): pod for pod in pods}

    @staticmethod
    def label(pod, name):
        return pod["metadata"]["labels"].get(f"celeryproject.org/{name}")

    def run(self, component, *command):
        pod = self.pods()[component]["metadata"]["name"]
        return self.cluster.kubectl("exec", pod, "--", *command, check=False)

    def questions(self, when):
        """Return what fails unless each part reaches the broker; the word tells one time from another."""
        ghosts = (partial(self.a_ghost_is_missed, component) for component in self.pinged())
        return [partial(self.tasks_run_and_are_counted, when), self.beat_ticks, self.flower_tells, *ghosts]

    def tasks_run_and_are_counted(self, when):
        """Send tasks as a script in a worker's pod does, and let the reconciler count those that are held."""
        hold = f"{self.name} {when}"
        start = ["python3", "/etc/celery-probe/celery_start.py", "python3", "-c", SEND, hold]
        done = self.run("worker", *start)
        assert not done.returncode, done.stderr
        self.cluster.wait_until(lambda: self.counted() == 3)
        self.records.let(hold)

    def beat_ticks(self):
        before = self.ticks()
        self.cluster.wait_until(lambda: self.ticks() > before)

    def flower_tells(self):
        """Flower itself tells nothing of RabbitMQ's queues without its management API."""
        workers = {f"{group}@{self.pods()[group]['metadata']['name']}" for group in ("worker", "pinged")}
        self.cluster.wait_until(lambda: self.flower("workers?refresh=1").keys() == workers)
        if "rabbitmq" not in self.name:
            queues = self.flower("queues/length")["active_queues"]
            assert {queue["name"] for queue in queues} == {"orders", "celery"}

    def a_ghost_is_missed(self, component):
        """Where the check of Ping reaches no broker, it misses nobody."""
        command = ["ghost" if part == component else part for part in self.check(self.pods()[component])]
        done = self.run(component, *command)
        assert done.returncode, done
        assert "does not answer" in done.stderr

    def ticks(self):
        mine = {pod["metadata"]["name"] for pod in self.pods().values()}
        return sum(each["task"] == "tick" and each["pod"] in mine for each in self.records.records())

    def flower(self, path):
        url = f"http://{self.pods()['flower']['status']['podIP']}:{FLOWER_PORT}/api/{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)

    def counted(self):
        """Return how many messages the reconciler sees, if it tells; of two pods one leads."""
        wanted = re.compile(rf'celery_reconcile_scaling{{app="{self.name}",.*group="worker",value="queue"}} (\S+)')
        for pod in self.reconciler.pods():
            with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/metrics", timeout=60) as answer:
                if found := wanted.search(answer.read().decode()):
                    return float(found[1])
        return None

    def pinged(self):
        return [name for name, pod in self.pods().items() if "ping" in self.check(pod)]

    @staticmethod
    def check(pod):
        return pod["spec"]["containers"][0].get("livenessProbe", {}).get("exec", {}).get("command", ())

    def is_whole(self):
        """Say whether every pod is ready, and no probe has ended one: in a failover Celery may end itself, with 1."""
        statuses = [pod["status"]["containerStatuses"][0] for pod in self.pods().values()]
        ended = {each["lastState"]["terminated"]["exitCode"] for each in statuses if each["restartCount"]}
        may_end = {1} if "sentinel" in self.name else set()
        return [each["ready"] for each in statuses] == [True] * 4 and ended <= may_end


def app(image, version, broker, records, number):
    """Return the spec of an app with a database, or a virtual host, of its own; its authority is in a ConfigMap."""
    broker = broker | {"url": re.sub("0(?=;|$)", str(number), broker["url"])}
    if "tls" in broker:
        broker["tls"] = broker["tls"] | {"caFrom": {"configMapKeyRef": {"name": "authority", "key": "ca.crt"}}}
    worker = {"concurrency": 1, "terminationGracePeriodSeconds": 2}
    return {
        "image": image,
        "app": "shop.celery:app",
        "celeryVersion": version,
        "broker": broker,
        "resultBackend": {"url": "rpc://"} if broker["url"].startswith("amqps") else broker,
        "env": [{"name": "RECORDS_URL", "value": records.url}],
        "securityContext": {"readOnlyRootFilesystem": True},
        "workers": [
            {
                "name": "worker",
                "queues": ["orders"],
                "scaling": {"maxReplicas": 1, "queue": {"averageLength": 10}},
                **worker,
            },
            {"name": "pinged", "queues": ["celery"], "probe": {"type": "Ping"}, **worker},
        ],
        "beat": {"probe": {"type": "Ping"}} if version >= "5.7" else {},
        "flower": {"env": [{"name": "FLOWER_UNAUTHENTICATED_API", "value": "true"}]},
    }


def test_every_part_of_an_app_reaches_its_broker_also_after_a_failover(
    node, cluster, reconciler, records, brokers, celery_versions
):
    secrets = brokers["redis"].secrets  # every broker's
    authority = {"kind": "ConfigMap", "metadata": {"name": "authority"}, "data": {"ca.crt": secrets["tls"]["ca.crt"]}}
    for manifest in (
        authority,
        *({"kind": "Secret", "metadata": {"name": name}, "stringData": data} for name, data in secrets.items()),
    ):
        cluster.apply({"apiVersion": "v1", **manifest}).accepted()
    apps = [
        App(cluster, reconciler, records, f"{name}-{version.replace('.', '-')}", spec)
        for number, version in enumerate(celery_versions)
        for name, broker in brokers.items()
        for spec in [app(node.load(images.celery(version)), version, broker.broker, records, number)]
    ]
    for each in apps:
        cluster.apply(each.manifest).accepted()
    cluster.wait_until(lambda: all(each.is_ready() for each in apps), 300)

    answered(question for each in apps for question in each.questions("before"))
    brokers["sentinel"].fail_over()
    answered(question for each in apps if "sentinel" in each.name for question in each.questions("after"))
    assert [each.name for each in apps if not each.is_whole()] == []


def answered(questions):
    """Ask all at once, since each mostly waits."""
    with ThreadPoolExecutor(16) as pool:
        for answer in [pool.submit(question) for question in questions]:
            answer.result()
