"""Fields that came with a later release of Kubernetes than the API server is of: said in words, of that app alone."""

import json
from contextlib import contextmanager

import pytest
from fault_proxy import answer

from render import since

pytest_plugins = ("reconciling", "processes")

OLDEST, *_, NEWEST = since.table().releases
YOUNG = {
    "volumes": [{"name": "data", "emptyDir": {"mode": 448}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
}
FROM_A_FILE = {
    "volumes": [{"name": "data", "emptyDir": {}}],
    "env": [
        {"name": "TOKEN", "valueFrom": {"fileKeyRef": {"volumeName": "data", "path": "all.env", "key": "TOKEN"}}},
    ],
}
PLACE = "spec.volumes[0].emptyDir.mode"
GATED = "needs Kubernetes 1.37 with the feature gate EmptyDirVolumeMode"


@pytest.fixture
def another(cluster, shop):
    """Return an app that every release can run."""
    app = type(shop)(cluster, "another")
    app.take()
    return app


@pytest.fixture
def says(proxy):
    """Return a context in which the API server says that it is of this release."""

    @contextmanager
    def says(release):
        major, minor = release.split(".")
        body = json.dumps({"major": major, "minor": f"{minor}+", "gitVersion": f"v{release}.5-eks-1a2b3c"}).encode()
        with proxy.fault(lambda exchange: exchange.send(200, body, {}), on="GET /version"):
            yield

    return says


def test_an_app_with_a_younger_field_is_stalled_in_these_words_and_all_others_are_served(
    shop, another, reconciler, release
):
    shop.take(**YOUNG)
    reconciler.run()
    assert "Deployment another-worker" in another.names()
    if release == NEWEST:
        assert shop.conditions["Warned"] == "True"
        assert "Deployment shop-worker" in shop.names()
        return
    assert shop.conditions["Stalled"] == "True"
    assert shop.ready[1:] == ("InvalidSpec", f"{PLACE}: {GATED}, this is {release}: remove it")
    assert not [name for name in shop.names() if "shop-" in name]


def test_what_is_refused_where_its_gate_is_off_is_warned_of_and_refused_in_that_app_alone(
    shop, another, reconciler, release
):
    shop.take(**FROM_A_FILE)
    reconciler.run()
    assert "Deployment another-worker" in another.names()
    [came] = {found for place, found in since.table().fields.items() if place == ".spec.env[].valueFrom.fileKeyRef"}
    if since.number(came.release) > since.number(release):
        assert shop.ready[1] == "InvalidSpec"
    elif release in since.table().off(came):
        warned = [each["message"] for each in shop.live["status"]["conditions"] if each["type"] == "Warned"]
        assert "it is refused unless the feature gate EnvFiles is on" in str(warned)
        assert "must specify one of" in shop.ready[2]
    else:
        assert "Deployment shop-worker" in shop.names()


@pytest.mark.parametrize("younger", [OLDEST, "1.30"], ids=["the oldest", "one that is not supported"])
@pytest.mark.usefixtures("newest")
def test_once_the_cluster_is_upgraded_the_app_is_served(shop, another, says, running, cluster, younger):
    with running("--interval=1") as process:
        with says(younger):
            cluster.wait_until(lambda: f"Kubernetes {younger}" in process.log)
            shop.take(**YOUNG)
            cluster.wait_until(lambda: cluster.condition(shop.manifest(), "Stalled"))
            assert shop.ready[2] == f"{PLACE}: {GATED}, this is {younger}: remove it"
            assert ("was never tried" in process.log) is (younger != OLDEST)
        cluster.wait_until(lambda: "Deployment shop-worker" in shop.names())
        cluster.wait_until(lambda: shop.conditions.get("Stalled") != "True")
    assert another.conditions


def test_where_it_is_not_said_which_release_it_is_the_servers_own_words_are(
    shop, another, cluster, reconciler, proxied, proxy, release
):
    """A hardened cluster may show its version to nobody."""
    shop.take(**YOUNG)
    with proxy.fault(answer(403), on="GET /version"):
        type(reconciler)(cluster, proxied).run()
    assert "Deployment another-worker" in another.names()
    if release == NEWEST:
        assert "Deployment shop-worker" in shop.names()
    else:
        assert shop.conditions["Stalled"] == "True"
        assert "emptyDir.mode: field not declared in schema" in shop.ready[2]
