"""The whole story, for real: the reconciler installed as its users do, apps applied, and what became of every task."""

import base64
import json
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import images
import pytest
import yaml
from celery import Celery
from celery_versions import VERSIONS

ROOT = Path(__file__).parents[2]
FLOWER_USER = "admin:secret"
NEWEST = VERSIONS[-1]
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}


@pytest.mark.usefixtures("reconciler")
def test_an_app_that_is_applied_does_its_work(cluster, redis, records, celery_version, celery_image):
    secrets = {"shop-broker": {"url": redis.url}, "shop-flower": {"users": FLOWER_USER}}
    for name, content in secrets.items():
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}
        cluster.apply(secret).accepted()
    app = yaml.safe_load((ROOT / "examples/shop/app.yaml").read_text())
    app["spec"] |= {"image": celery_image, "celeryVersion": celery_version}
    app["spec"]["env"] = [{"name": "RECORDS_URL", "value": records.url}]

    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(app))
    cluster.wait_until(lambda: cluster.condition(app, "Ready"))

    with Celery(broker=redis.url) as client:
        sent = {client.send_task("nap", [0.1], queue=queue).id for queue in ("celery", "orders", "mail")}
    cluster.wait_until(lambda: sent <= {each["id"] for each in records.records() if each["event"] == "ended"})
    cluster.wait_until(lambda: "tick" in {each["task"] for each in records.records()})

    workers = set(pods(cluster, "celeryproject.org/component in (worker, mail)"))
    assert len(workers) == 4
    assert {each["pod"] for each in records.records()} <= workers
    cluster.wait_until(lambda: {name.partition("@")[2] for name in seen_by_flower(cluster)} == workers)


def test_workers_follow_their_queue_to_zero_and_back_and_idle_ones_go_first(cluster, shop, records, client):
    sent = [client.send_task("hold", ["the rush is over"]).id for _ in range(7)]
    last = client.send_task("hold", ["all is over"]).id  # for who comes last, else the first to go
    shop.apply(concurrency=2, disablePrefetch=True, scaling=scaling(minReplicas=0, queue={"averageLength": 2}))
    cluster.wait_until(lambda: len(records.records()) == 8)
    assert list(Counter(each["pod"] for each in records.records()).values()) == [2, 2, 2, 2]

    records.let("the rush is over")
    [busy] = [each["pod"] for each in records.records() if each["id"] == last]
    cluster.wait_until(lambda: list(pods(cluster)) == [busy])
    records.let("all is over")
    cluster.wait_until(lambda: not pods(cluster))

    one_more = client.send_task("nap", [0]).id
    cluster.wait_until(lambda: done(records, [*sent, last, one_more]))
    cluster.wait_until(lambda: not pods(cluster))


def test_workers_follow_their_load(cluster, shop, client):
    requests = {"requests": {"cpu": "100m"}}
    shop.apply(concurrency=2, resources=requests, scaling=scaling(maxReplicas=3, cpu={"averageUtilization": 100}))
    cluster.wait_until(lambda: shop.is_ready() and is_calm(cluster))  # its start is a load, too

    burning = [client.send_task("burn", [600]).id for _ in range(2)]
    cluster.wait_until(lambda: shop.replicas() == 3)
    client.control.revoke(burning, terminate=True, signal="SIGKILL")
    cluster.wait_until(lambda: shop.replicas() == 1 and len(pods(cluster)) == 1)


def test_no_task_is_lost_while_everything_around_it_is_replaced(node, cluster, shop, records, client, reconciler):
    one_at_a_time = {"concurrency": 1, "disablePrefetch": True}
    shop.apply(replicas=1, **one_at_a_time)
    cluster.wait_until(shop.is_ready)
    [old] = pods(cluster)
    sent = [client.send_task("hold", ["the old pod may go"]).id]
    cluster.wait_until(lambda: [each["pod"] for each in records.records()] == [old])

    new_image = images.celery(NEWEST)._replace(name="registry.example.com/shop:next")
    shop.apply(image=node.load(new_image), replicas=1, **one_at_a_time)
    cluster.wait_until(lambda: pods(cluster).get(old, {}).get("deletionTimestamp"))
    sent += [client.send_task("hold", ["all is over"]).id]
    [new] = pods(cluster).keys() - {old}
    cluster.wait_until(lambda: new in {each["pod"] for each in records.records()})
    records.let("the old pod may go")
    cluster.wait_until(lambda: list(pods(cluster)) == [new])

    leader = holder(reconciler)
    reconciler.kubectl("delete", "pod", leader, "--force")
    cluster.wait_until(lambda: holder(reconciler) not in {leader, ""})
    node.restart_kubelet()
    shop.apply(image=new_image.name, replicas=2, **one_at_a_time)
    cluster.wait_until(lambda: shop.is_ready() and len(pods(cluster)) == 2)
    records.let("all is over")
    cluster.wait_until(lambda: done(records, sent))

    cluster.kubectl("delete", "celeryapp", "shop")
    cluster.wait_until(lambda: not pods(cluster) and not children(cluster))


class Shop:
    """The CeleryApp `shop` with one group of workers, in the hands of the reconciler."""

    def __init__(self, cluster, **spec):
        self.cluster = cluster
        self.app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
        self.spec = {"app": "shop.celery:app", "celeryVersion": NEWEST, **spec}

    def apply(self, image=None, **worker):
        """Let the app be this."""
        spec = (
            self.spec
            | {"workers": [{"name": "worker", "queues": ["celery"], **worker}]}
            | ({"image": image} if image else {})
        )
        self.cluster.apply(self.app | {"spec": spec}).accepted()

    def is_ready(self):
        """Say whether the app is Ready as it was last applied."""
        condition = self.cluster.condition(self.app, "Ready")
        generation = self.cluster.get(self.app)["metadata"]["generation"]
        return condition and condition["observedGeneration"] == generation

    def replicas(self):
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop-worker"}}
        return self.cluster.get(deployment)["spec"]["replicas"]


@pytest.fixture
def shop(node, cluster, redis, records, reconciler):  # noqa: ARG001 (applies it)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-broker"}}
    cluster.apply(secret | {"stringData": {"url": redis.url}}).accepted()
    return Shop(
        cluster,
        image=node.load(images.celery(NEWEST)),
        broker={"urlFrom": {"secretKeyRef": {"name": "shop-broker", "key": "url"}}},
        env=[{"name": "RECORDS_URL", "value": records.url}],
    )


@pytest.fixture
def client(redis):
    with Celery(broker=redis.url) as client:
        yield client


def scaling(**how):
    return {"maxReplicas": 4, "cooldownSeconds": 1, "behavior": AT_ONCE} | how


def pods(cluster, selector="celeryproject.org/app"):
    """Return the metadata of each pod of the namespace, by its name, those that are about to go included."""
    path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    items = cluster.request("GET", path, labelSelector=selector).accepted().body["items"]
    return {item["metadata"]["name"]: item["metadata"] for item in items}


def is_calm(cluster):
    """Say whether there is one pod, and it uses hardly any CPU."""
    usage = cluster.kubectl("top", "pods", "--no-headers", check=False).stdout.split()[1::3]
    return len(usage) == len(pods(cluster)) == 1 and int(usage[0].removesuffix("m")) < 50


def children(cluster):
    kinds = "deployments,replicasets,services,configmaps,poddisruptionbudgets,networkpolicies"
    return cluster.kubectl("get", kinds, "--selector=celeryproject.org/app", "--output=name").stdout


def done(records, sent):
    """Say whether these tasks, and no others, were each started once and ended once."""
    events = Counter((each["id"], each["event"]) for each in records.records())
    return events == Counter((each, event) for each in sent for event in ("started", "ended"))


def holder(reconciler):
    """Return the pod that leads, if any does."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "celery-reconcile"}}
    return reconciler.get(lease)["spec"].get("holderIdentity", "")


def seen_by_flower(cluster):
    """Return the workers' names that Flower tells who knows the password; nobody else is told anything."""
    get = ("get", "pods", "--selector=celeryproject.org/component=flower", "-o=jsonpath={.items[0].status.podIP}")
    url = f"http://{cluster.kubectl(*get).stdout}:5555/api/workers?refresh=1"
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(url)
    refused.value.close()
    password = base64.b64encode(FLOWER_USER.encode()).decode()
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Basic {password}"})) as answer:
        return json.load(answer)
