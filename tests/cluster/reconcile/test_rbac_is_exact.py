"""The RBAC of kustomize/base against the API server's audit log: what is asked for is granted, and no more."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml

from reconciler.apply.fights import PEACEFUL
from reconciler.model import CELERY_APP, CHILD_KINDS, PERSISTENT_VOLUME_CLAIM

pytest_plugins = "reconciling"

ROOT = Path(__file__).parents[3]
ACCOUNT = "system:serviceaccount:celery-render-system:celery-reconcile"
SECRET = {"secretKeyRef": {"name": "shop-broker", "key": "url"}}
SCALING = {"maxReplicas": 2, "cpu": {"averageValue": "1"}}
WHOLE = {
    "broker": {"urlFrom": SECRET, "type": "RabbitMQ"},
    "workers": [
        {"name": "worker", "queues": ["celery"], "disruptionBudget": {"maxUnavailable": 1}},
        {"name": "mail", "queues": ["mail"], "scaling": SCALING | {"engine": "HPA"}},
        {"name": "jobs", "queues": ["jobs"], "scaling": SCALING | {"engine": "KEDA", "queue": {"averageLength": 4}}},
        {"name": "own", "queues": ["own"], "scaling": SCALING | {"minReplicas": 2, "queue": {"averageLength": 4}}},
    ],
    "beat": {"storage": {}},
    "flower": {"auth": {"basicAuth": SECRET}, "ingress": {"host": "shop.example.com"}, "networkPolicy": {"from": []}},
}
"""An app with a child of every kind."""
SECRETS = "components/queue-scaling/broker-secrets.yaml"
BARE = {"workers": [{"name": "worker", "queues": ["celery"], "probe": {"type": "None"}}]}
"""One with a single child."""
LONG_AGO = {"lastTransitionTime": "2020-01-01T00:00:00Z"}
ASKED_BY_THE_SERVER = {
    # No request of ours: admission looks whether we hold it, see the last test.
    ("update", "celeryproject.org", "celeryapps/finalizers"),
}


def granted():
    """Return what the roles grant: (verb, group, resource)."""
    texts = [(ROOT / "kustomize" / path).read_text() for path in ("base/rbac.yaml", SECRETS)]
    rules = [rule for text in texts for document in yaml.safe_load_all(text) for rule in document.get("rules", ())]
    return {each for rule in rules for each in product(rule["verbs"], rule["apiGroups"], rule["resources"])}


class Audit:
    """What the reconciler's ServiceAccount has asked for since the test began."""

    def __init__(self, log):
        self._log = log
        self._start = log.stat().st_size if log.exists() else 0

    def __iter__(self):
        with self._log.open() as lines:
            lines.seek(self._start)
            events = map(json.loads, lines)
            yield from (event for event in events if event["user"]["username"] == ACCOUNT)

    @property
    def refused(self):
        return [event["requestURI"] for event in self if event["responseStatus"]["code"] == 403]

    @property
    def used(self):
        return {permission for event in self if "objectRef" in event for permission in permissions(event)}

    @property
    def pages(self):
        """Return what is no resource: Kubernetes shows it to everybody who has logged in."""
        return {event["requestURI"].rstrip("?") for event in self if "objectRef" not in event}


def permissions(event):
    """Yield what the request needs. A server-side apply that creates needs two: 201 tells it."""
    resource = event["objectRef"]
    whole = "/".join(filter(None, [resource["resource"], resource.get("subresource")]))
    for verb in (event["verb"], *(["create"] if event["responseStatus"]["code"] == 201 else [])):
        yield verb, resource.get("apiGroup", ""), whole


@pytest.fixture
def audit(plane):
    return Audit(plane.folder / "audit.log")


@pytest.fixture
def process(cluster, installed, access, tmp_path):  # noqa: ARG001 (writes the token)
    """Return the reconciler as in its pod, running."""
    arguments = {"namespace": cluster.namespace, "lease-namespace": installed.namespace, "service-account": tmp_path}
    options = ["--leader-elect", *(f"--{name}={value}" for name, value in arguments.items())]
    server = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)}
    ours = {name: text for name, text in os.environ.items() if name != "KUBECONFIG"}
    command = [sys.executable, "-m", "reconciler", "run", *options]
    with subprocess.Popen(command, cwd=ROOT, env=ours | server) as process:
        yield process
        process.kill()


@pytest.fixture
def secret(cluster, installed):  # noqa: ARG001 (its ServiceAccount is granted something)
    """Let the broker's Secret be there, and the reconciler read it."""
    cluster.kubectl("create", "secret", "generic", "shop-broker", "--from-literal=url=redis://127.0.0.1:1/0")
    cluster.kubectl("apply", "--filename", ROOT / "kustomize" / SECRETS)
    yield
    cluster.kubectl("delete", "--filename", ROOT / "kustomize" / SECRETS)


@pytest.mark.usefixtures("keda_crds", "secret")
def test_all_that_is_granted_is_used_and_nothing_else_is_asked_for(audit, shop, cluster, process):
    shop.take(**WHOLE)
    cluster.wait_until(lambda: {name.split()[0] for name in shop.names()} == {kind.name for kind in CHILD_KINDS})
    cluster.wait_until(lambda: "status" in shop.live)
    own = ("pods", "--selector=celeryproject.org/component=own")
    cluster.wait_until(lambda: cluster.kubectl("get", *own, "--output=name").stdout.count("\n") == 2)
    cluster.kubectl("annotate", *own, "celeryproject.org/deletion-cost-before=")  # as if we were to take one back
    cluster.wait_until(lambda: ("patch", "", "pods") in audit.used)
    quiet = [
        {"type": kind, "status": status, **LONG_AGO} for kind, status in (("PodScheduled", "True"), ("Ready", "False"))
    ]
    status = json.dumps({"status": {"containerStatuses": [], "conditions": quiet}})
    [pod, _] = cluster.kubectl("get", *own, "--output=name").stdout.split()
    cluster.kubectl("patch", pod, "--subresource=status", "--type=merge", "--patch", status)
    cluster.wait_until(lambda: ("list", "events.k8s.io", "events") in audit.used)
    cluster.kubectl("scale", "deployment/shop-own", "--replicas=1")
    cluster.wait_until(lambda: shop.get("Deployment shop-own")["spec"]["replicas"] == 2)
    before = shop.children()
    for name in before:
        shop.patch(name, {"metadata": {"labels": None}})  # hidden from the lists, to be looked up by name
    cluster.wait_until(lambda: shop.children() == before)
    for _ in range(PEACEFUL + 1):
        shop.patch("ConfigMap shop-probe", {"data": None})
        cluster.wait_until(lambda: shop.children() == before)
    cluster.wait_until(lambda: ("patch", "events.k8s.io", "events") in audit.used)
    shop.take(**BARE)
    cluster.wait_until(lambda: shop.names() == {"Deployment shop-worker"} | claims(before))
    process.terminate()
    assert process.wait(60) == 0
    assert audit.refused == []
    assert audit.pages == {"/version"}
    assert granted() - audit.used == ASKED_BY_THE_SERVER


def claims(children):
    """Return those of the children that are never deleted."""
    return {name for name in children if name.startswith(PERSISTENT_VOLUME_CLAIM.name)}


def test_no_wildcard_is_granted_and_of_secrets_only_to_get_one():
    assert not {word for each in granted() for word in each} & {"*"}
    assert {each for each in granted() if "secrets" in each} == {("get", "", "secrets")}


def test_admission_asks_for_the_one_verb_that_no_request_names(shop, cluster, installed):  # noqa: ARG001 (grants it)
    shop.take()
    owner = {"apiVersion": CELERY_APP.api_version, "kind": CELERY_APP.name, "name": shop.name}
    owner |= {"blockOwnerDeletion": True}
    metadata = {"name": "child", "ownerReferences": [owner | {"uid": shop.live["metadata"]["uid"]}]}
    child = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    cluster.kubectl("create", "role", "another", "--verb=get,create,patch", "--resource=configmaps")
    cluster.kubectl("create", "rolebinding", "another", "--role=another", "--user=another")
    apply = ("apply", "--server-side", "--filename=-", "--as")
    assert "cannot set blockOwnerDeletion" in cluster.kubectl(*apply, "another", stdin=child, check=False).stderr
    cluster.kubectl(*apply, ACCOUNT, stdin=child)
