"""Nobody's trouble is another's: the real process, two namespaces, and one of them in trouble."""

import base64
import contextlib
import socket
import threading
from contextlib import contextmanager

import fault_proxy
import pytest
from fault_proxy import answer

pytest_plugins = ("reconciling", "processes")

FOREVER = "--interval=3600"  # what happens within a test is not done by waiting
EVERYWHERE = ("--selector=test=tenants",)
LABELLED = {"labels": {"test": "tenants"}}


@pytest.fixture
def tenants(plane, installed):  # noqa: ARG001 (its kind)
    """Return a function: an app of this name in this namespace."""
    made = []

    def namespace():
        created = plane.request("POST", "/api/v1/namespaces", {"metadata": {"generateName": "tenant-"}}).accepted()
        made.append(created.body["metadata"]["name"])
        return plane.in_namespace(made[-1])

    yield namespace
    for name in made:
        plane.request("DELETE", f"/api/v1/namespaces/{name}").accepted()


@pytest.fixture
def create(shop):
    """Return a function: an app of this name in this namespace, for the reconciler of these tests."""

    def create(cluster, name="shop", **spec):
        created = type(shop)(cluster, name)
        manifest = created.manifest(**spec)
        cluster.apply(manifest | {"metadata": manifest["metadata"] | LABELLED}, force="true").accepted()
        return created

    return create


class Listener:
    """Accepts and never answers; knows who has not given up."""

    def __init__(self, server):
        self._server = server
        self.accepted = 0
        self.hanging = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self):
        return self._server.getsockname()[1]

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.accepted += 1
            self.hanging.add(self.accepted)
            threading.Thread(target=self._wait, args=[connection, self.accepted], daemon=True).start()

    def _wait(self, connection, number):
        with connection, contextlib.suppress(OSError):
            while connection.recv(1 << 16):
                pass
        self.hanging.remove(number)


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield Listener(server)


@pytest.fixture
def hanging(plane):
    """Return a function: a webhook over everything of a namespace's Deployments that never answers."""
    webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

    @contextmanager
    def hanging(namespace):
        with listening() as listener:
            authority = base64.b64encode((plane.folder / "tls.crt").read_bytes()).decode()
            rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
            webhook = {
                "name": "hangs.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 10,
                "failurePolicy": "Fail",
                "clientConfig": {"url": f"https://127.0.0.1:{listener.port}/", "caBundle": authority},
                "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            }
            plane.request("POST", webhooks, {"metadata": {"name": namespace}, "webhooks": [webhook]}).accepted()
            try:
                yield listener
            finally:
                plane.request("DELETE", f"{webhooks}/{namespace}").accepted()

    return hanging


def test_while_the_webhooks_of_24_apps_hang_another_tenant_is_served(running, create, tenants, hanging):
    theirs, ours = tenants(), tenants()
    with running(FOREVER, *EVERYWHERE, namespaces=()), hanging(theirs.namespace) as webhook:
        probe = ("create", "deployment", "probe", "--image=any", "--dry-run=server", "--request-timeout=1s")
        # The API server needs a moment to know of the webhook.
        theirs.wait_until(lambda: theirs.kubectl(*probe, check=False).returncode and webhook.accepted)
        theirs.wait_until(lambda: not webhook.hanging)
        for number in range(24):
            create(theirs, f"shop-{number}")
        theirs.wait_until(lambda: len(webhook.hanging) > 8)
        before = set(webhook.hanging)
        shop = create(ours)
        ours.wait_until(lambda: "Deployment shop-worker" in shop.names())
        assert before <= webhook.hanging, "somebody was waited for"


def test_while_a_broker_is_silent_another_tenant_is_served_and_scaled(running, create, tenants):
    theirs, ours = tenants(), tenants()
    scaling = {"maxReplicas": 9, "queue": {"averageLength": 2}}
    with (
        running(FOREVER, "--broker-timeout=30", "--broker-hosts=127.0.0.1", *EVERYWHERE, namespaces=()),
        listening() as broker,
    ):
        workers = [{"name": "worker", "queues": ["celery"], "scaling": scaling}]
        create(theirs, broker={"url": f"redis://127.0.0.1:{broker.port}/0"}, workers=workers)
        theirs.wait_until(lambda: broker.accepted)
        shop = create(
            ours,
            workers=[
                {
                    "name": "worker",
                    "queues": ["celery"],
                    "scaling": {"minReplicas": 3, "maxReplicas": 9, "cpu": {"averageValue": "1"}},
                }
            ],
        )
        ours.wait_until(lambda: "Deployment shop-worker" in shop.names())
        ours.wait_until(lambda: shop.get("Deployment shop-worker")["spec"]["replicas"] == 3)
        assert len(broker.hanging) == broker.accepted, "the broker was waited for"


FAULTS = [answer(500), answer(503), answer(400), answer(405), answer(406), answer(403), fault_proxy.half_the_json]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_kind_that_cannot_be_listed_holds_back_what_needs_it_and_nobody_else(running, create, tenants, proxy, fault):
    theirs, ours = tenants(), tenants()
    with proxy.fault(fault, "GET .*/poddisruptionbudgets"), running(FOREVER, *EVERYWHERE, namespaces=()):
        shop = create(ours)
        other = create(
            theirs, workers=[{"name": "worker", "queues": ["celery"], "disruptionBudget": {"maxUnavailable": 1}}]
        )
        ours.wait_until(lambda: shop.ready[0] == "True")
        theirs.wait_until(lambda: other.live.get("status"))
        assert other.names() == {"ConfigMap shop-probe", "Deployment shop-worker"}
        assert other.ready[1] == "ListFailed"


def test_a_list_that_hangs_holds_back_nobody_else(running, create, tenants, proxy):
    ours = tenants()
    silent = proxy.fault(fault_proxy.silence, "GET .*/scaledobjects")
    with silent, running(FOREVER, "--request-timeout=600", *EVERYWHERE, namespaces=()):
        shop = create(ours)
        ours.wait_until(lambda: shop.ready[0] == "True")


def test_a_kind_that_could_not_be_listed_is_served_when_it_can_be(running, create, tenants, proxy):
    ours = tenants()
    with running(FOREVER, *EVERYWHERE, namespaces=()):
        with proxy.fault(answer(503), "GET .*/poddisruptionbudgets"):
            pass
        shop = create(
            ours, workers=[{"name": "worker", "queues": ["celery"], "disruptionBudget": {"maxUnavailable": 1}}]
        )
        ours.wait_until(lambda: "PodDisruptionBudget shop-worker" in shop.names())


def test_a_claim_that_cannot_be_changed_holds_back_no_hotfix_of_the_workers(shop, reconciler):
    """Something has made it larger, as volume autoresizers do; and its access mode cannot be changed at all."""
    shop.provide("shop-beat")
    shop.take(beat={"storage": {"size": "1Gi"}})
    reconciler.run()
    grown = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    shop.cluster.wait_until(lambda: shop.get("PersistentVolumeClaim shop-beat")["status"]["phase"] == "Bound")
    hotfix = "registry.example.com/shop:2"
    answer = shop.cluster.request(
        "PATCH", shop.path("PersistentVolumeClaim shop-beat"), grown, content_type="application/merge-patch+json"
    )
    assert answer.status in (200, 403, 422)  # only a class that allows it lets a claim grow
    shop.take(beat={"storage": {"size": "1Gi", "accessMode": "ReadWriteMany"}}, image=hotfix)
    reconciler.run()
    images = {
        name: shop.get(name)["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in ("Deployment shop-worker", "Deployment shop-beat")
    }
    assert images == {"Deployment shop-worker": hotfix, "Deployment shop-beat": "registry.example.com/shop:1"}
    assert shop.ready[1] == "Invalid"


def test_a_fault_of_ours_is_published_as_that_apps_and_heals(shop, reconciler, proxied, proxy):
    other = type(shop)(shop.cluster, "other")
    shop.take()
    other.take()
    reconciler = type(reconciler)(shop.cluster, proxied)

    def nonsense(exchange):
        exchange.send(200, b'{"metadata": {}}', {})

    with proxy.fault(nonsense, "PATCH .*/deployments/shop-worker"):
        reconciler.run()
    assert shop.ready[1] == "InternalError"
    assert "Deployment other-worker" in other.names()
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()


def test_two_apps_of_one_label_scale_nothing_and_say_so(shop, reconciler):
    scaling = {"minReplicas": 2, "maxReplicas": 9, "cpu": {"averageValue": "1"}}
    shop.take(workers=[{"name": "worker", "queues": ["celery"], "scaling": scaling}])
    reconciler.run()
    label = {"celeryproject.org/app": "shop"}
    twins = [type(shop)(shop.cluster, name) for name in ("one", "two")]
    shop.delete()
    shop.cluster.wait_until(lambda: not shop.names())
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment"}
    labels = label | {"celeryproject.org/component": "worker"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "worker", "image": "any"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    shop.cluster.apply(deployment | {"metadata": {"name": "any", "labels": labels}, "spec": spec}).accepted()
    for twin, least in zip(twins, (1, 6), strict=True):
        manifest = twin.manifest(
            reconcile="Scale",
            workers=[
                {
                    "name": "worker",
                    "queues": ["celery"],
                    "scaling": scaling | {"minReplicas": least, "maxReplicas": least},
                }
            ],
        )
        shop.cluster.apply(manifest | {"metadata": manifest["metadata"] | {"labels": label}}).accepted()
    for _ in range(3):
        reconciler.run()
    assert shop.get("Deployment any")["spec"]["replicas"] == 3
    for twin in twins:
        [active] = [each for each in twin.live["status"]["conditions"] if each["type"] == "ScalingActive"]
        assert (active["status"], active["reason"]) == ("False", "AmbiguousSelector")
