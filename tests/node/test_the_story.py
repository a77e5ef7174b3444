"""The whole story, for real: the reconciler installed as its users do, examples/shop applied, tasks done and seen."""

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from celery import Celery

ROOT = Path(__file__).parents[2]
INSTALLATION = ROOT / "kustomize/overlays/queue-scaling"  # it may read the Secret of the example's broker
FLOWER_USER = "admin:secret"


@pytest.fixture
def reconciler(node, project_image):
    """Return the installed reconciler's Deployment, as seen from its namespace."""
    cluster = node.cluster.in_namespace("celery-render-system")
    cluster.kubectl("apply", "--server-side", "--kustomize", INSTALLATION)
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}
    [container] = cluster.get(deployment)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == project_image
    cluster.wait_until(lambda: cluster.is_rolled_out(deployment))
    yield cluster
    cluster.kubectl("delete", "--kustomize", INSTALLATION)


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
    cluster.wait_until(lambda: cluster.condition(app, "Ready"), 120)

    with Celery(broker=redis.url) as client:
        sent = {client.send_task("nap", [0.1], queue=queue).id for queue in ("celery", "orders", "mail")}
    cluster.wait_until(lambda: sent <= {each["id"] for each in records.records() if each["event"] == "ended"})
    cluster.wait_until(lambda: "tick" in {each["task"] for each in records.records()})

    workers = cluster.kubectl("get", "pods", "--selector=celeryproject.org/component in (worker, mail)", "-o=name")
    names = {name.removeprefix("pod/") for name in workers.stdout.split()}
    assert len(names) == 4
    assert {each["pod"] for each in records.records()} <= names
    cluster.wait_until(lambda: {name.partition("@")[2] for name in seen_by_flower(cluster)} == names)


def seen_by_flower(cluster):
    """Return the workers' names that Flower tells who knows the password; nobody else is told anything."""
    get = ("get", "pods", "--selector=celeryproject.org/component=flower", "-o=jsonpath={.items[0].status.podIP}")
    url = f"http://{cluster.kubectl(*get).stdout}:5555/api/workers?refresh=1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)
    password = base64.b64encode(FLOWER_USER.encode()).decode()
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Basic {password}"})) as answer:
        return json.load(answer)
