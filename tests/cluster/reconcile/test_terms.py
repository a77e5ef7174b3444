"""Nothing that was planned under an earlier term of the Lease is written; a new release rolls gently."""

import shutil
import sys

import fault_proxy
import pytest
from fault_proxy import answer

pytest_plugins = ("reconciling", "processes")

FOREVER = "--interval=3600"  # what happens within a test is not done by waiting
IMAGES = [f"registry.example.com/shop:{number}" for number in range(1, 4)]
APPS = 30
ROLLOUTS = 3


def images(cluster):
    """Return every image that any pod template of the namespace ever had."""
    path = f"/apis/apps/v1/namespaces/{cluster.namespace}/replicasets"
    items = cluster.request("GET", path).accepted().body["items"]
    return {item["spec"]["template"]["spec"]["containers"][0]["image"] for item in items}


def test_a_plan_of_an_earlier_term_is_not_written_though_the_lease_has_come_back(
    running, election, shop, cluster, proxy
):
    def robbed(exchange):
        election.give_to("another")
        cluster.wait_until(lambda: "lost by one" in one.log)
        shop.take(image=IMAGES[2])
        election.give_to("")
        cluster.wait_until(lambda: one.log.count("held by one") == 2)
        fault_proxy.forward(exchange)

    shop.take(image=IMAGES[0])
    with running(FOREVER, *election.arguments, "--identity=one") as one:
        cluster.wait_until(lambda: images(cluster) == {IMAGES[0]})
        with proxy.fault(robbed, on="^PATCH .*/deployments/.*dryRun", times=1):
            shop.take(image=IMAGES[1])
            cluster.wait_until(lambda: IMAGES[2] in images(cluster))
    assert images(cluster) == {IMAGES[0], IMAGES[2]}


def test_in_a_new_term_nothing_is_done_before_it_is_known_what_is_wanted(running, election, shop, cluster, proxy):
    """Whoever wrote in between may have applied a newer spec than the one that is known."""
    path = "/spec/template/spec/containers/0/image"
    shop.take(image=IMAGES[0])
    with running(FOREVER, "--no-watch", *election.arguments, "--identity=one") as one:
        cluster.wait_until(lambda: images(cluster) == {IMAGES[0]})
        election.give_to("another")
        cluster.wait_until(lambda: "lost by one" in one.log)
        shop.take(image=IMAGES[1])
        shop.patch("Deployment shop-worker", [{"op": "replace", "path": path, "value": IMAGES[1]}])
        generation = shop.get("Deployment shop-worker")["metadata"]["generation"]
        with proxy.fault(answer(500), on="GET .*/celeryapps"):
            election.give_to("")
            cluster.wait_until(lambda: "CeleryApp list" in one.log)
        cluster.wait_until(lambda: shop.live["status"]["observedGeneration"] == shop.live["metadata"]["generation"])
    assert shop.get("Deployment shop-worker")["metadata"]["generation"] == generation


@pytest.fixture
def next_release(tmp_path):
    """Return a folder with another build of the project, which mounts the probe elsewhere."""
    root = tmp_path / "next"
    for package in ("reconciler", "render"):
        shutil.copytree(sys.modules[package].__path__[0], root / package)
    naming = root / "render/naming.py"
    text = naming.read_text()
    naming.write_text(text.replace('"/etc/celery-probe"', '"/etc/celery-probe-2"'))
    assert naming.read_text() != text
    return root


class Fleet:
    """The Deployments of many apps."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.most = 0

    def look(self):
        """Return the names of those that are of the next release; remember how many rolled at most."""
        path = f"/apis/apps/v1/namespaces/{self._cluster.namespace}/deployments"
        items = self._cluster.request("GET", path).accepted().body["items"]
        self.most = max(self.most, sum(map(rolls, items)))
        return {item["metadata"]["name"] for item in items if "/etc/celery-probe-2" in str(item["spec"])}


def rolls(deployment):
    status, generation = deployment.get("status", {}), deployment["metadata"]["generation"]
    return status.get("observedGeneration", 0) < generation or status.get("updatedReplicas", 0) < status.get(
        "replicas", 0
    )


def test_a_new_release_rolls_few_apps_at_a_time_and_all_in_the_end(running, shop, cluster, next_release):
    shops = [type(shop)(cluster, f"shop-{number}") for number in range(APPS)]
    for each in shops:
        each.take()
    with running(FOREVER, "--once") as old:
        assert old.process.wait(120) == 0
    with running(FOREVER):
        cluster.wait_until(lambda: all(each.live.get("status") and each.ready[0] == "True" for each in shops))
    fleet, edited = Fleet(cluster), shops[-1]
    with running(FOREVER, f"--rollouts={ROLLOUTS}", folder=next_release):
        cluster.wait_until(fleet.look)
        edited.take(image=IMAGES[1])
        cluster.wait_until(lambda: IMAGES[1] in images(cluster))
        assert len(fleet.look()) < APPS, "an edit waits for nobody"
        cluster.wait_until(lambda: len(fleet.look()) == APPS, timeout_seconds=180)
    assert 0 < fleet.most <= ROLLOUTS + 1  # the edited one besides
