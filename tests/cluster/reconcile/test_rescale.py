"""Groups that scale, on the real API server with the real metrics API: how many pods there are, and what is said."""

from datetime import timedelta

import fault_proxy
import pytest
from fault_proxy import answer

pytest_plugins = "reconciling"

CPU = {"averageValue": "100m"}
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}
REQUEST = {"requests": {"cpu": "100m", "memory": "100Mi"}}
WORKER = "Deployment shop-worker"


def group(name="worker", usage="100m", **scaling):
    """Return a group whose pods use so much CPU from their beginning."""
    annotations = {"kwok.x-k8s.io/usage-cpu": usage, "kwok.x-k8s.io/usage-memory": "50Mi"}
    silent = {} if "engine" in scaling else {"whenSilent": "ScaleIn"}  # there is no Celery that could say what it runs
    scaling = {"maxReplicas": 9, "cpu": CPU, "behavior": AT_ONCE} | silent | scaling
    return {"name": name, "podAnnotations": annotations, "resources": REQUEST, "scaling": scaling}


@pytest.fixture
def access(proxied):
    return proxied


@pytest.fixture
def load(cluster):
    """Return a function that lets every pod there is use so much CPU, and waits until it is measured."""

    def load(cpu):
        pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
        patch = {"metadata": {"annotations": {"kwok.x-k8s.io/usage-cpu": cpu}}}
        names = [pod["metadata"]["name"] for pod in cluster.request("GET", pods).accepted().body["items"]]
        for name in names:
            query = {"content_type": "application/merge-patch+json"}
            cluster.request("PATCH", f"{pods}/{name}", patch, **query).accepted()
        cluster.wait_until(lambda: {name: measured(cluster).get(name) for name in names} == dict.fromkeys(names, cpu))

    return load


def measured(cluster):
    """Return the CPU that each pod uses, by the metrics API, to the nearest ten millicores: it trembles by one."""
    answer = cluster.request("GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/{cluster.namespace}/pods").accepted().body
    used = {item["metadata"]["name"]: item["containers"][0]["usage"]["cpu"] for item in answer["items"]}
    return {name: f"{round(int(text.rstrip('num')) / UNITS[text[-1]] / 10) * 10}m" for name, text in used.items()}


UNITS = {"n": 1e6, "u": 1e3, "m": 1}


def replicas(shop, name=WORKER):
    return shop.get(name)["spec"]["replicas"]


def condition(shop, kind):
    [found] = [each for each in shop.live["status"]["conditions"] if each["type"] == kind]
    return found["status"], found["reason"]


def test_who_else_scales_a_group_is_named_and_not_fought(shop, reconciler, cluster):
    shop.take(workers=[group(minReplicas=2)])
    cluster.wait_until(lambda: reconciler.run() and len(measured(cluster)) == 2)
    foreign = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "by-hand"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-worker"},
            "minReplicas": 4,
            "maxReplicas": 4,
        },
    }
    cluster.apply(foreign).accepted()
    cluster.wait_until(lambda: reconciler.run() and replicas(shop) == 4)
    assert reconciler.outcomes() == {}
    assert condition(shop, "ScalingActive") == ("False", "ForeignAutoscaler")
    assert replicas(shop) == 4
    cluster.request("DELETE", cluster.path(foreign)).accepted()
    shop.cluster.wait_until(lambda: reconciler.run() and condition(shop, "ScalingActive")[0] == "True")


def test_of_what_is_not_scaled_any_more_no_deletion_cost_stays(shop, reconciler, cluster):
    shop.take(workers=[group(minReplicas=2)])
    cluster.wait_until(lambda: reconciler.run() and len(measured(cluster)) == 2)
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"

    def costs():
        items = cluster.request("GET", pods).accepted().body["items"]
        return {each["metadata"]["annotations"].get("controller.kubernetes.io/pod-deletion-cost") for each in items}

    ours = {"controller.kubernetes.io/pod-deletion-cost": "5", "celeryproject.org/deletion-cost-before": "7"}
    cluster.kubectl("annotate", "pods", "--all", *(f"{name}={text}" for name, text in ours.items()))
    reconciler.looks.ticks.pods.refresh()  # as a watch would tell
    shop.take(workers=[{key: value for key, value in group().items() if key != "scaling"} | {"replicas": 2}])
    cluster.wait_until(lambda: reconciler.run() and costs() == {"7"})


@pytest.fixture
def settled(shop, reconciler, cluster):
    """Return a function: the shop of this group, its pods measured, in five minutes: they are no longer new then."""
    reconciler.ahead = timedelta(minutes=10)

    def settled(**scaling):
        shop.take(workers=[group(**scaling)])
        least = scaling.get("minReplicas", 1)
        cluster.wait_until(lambda: reconciler.run() and len(measured(cluster)) == replicas(shop) == least)
        return shop

    return settled


def test_a_group_begins_with_the_fewest_pods(settled):
    settled(minReplicas=3)


def test_more_cpu_means_more_pods_and_less_means_fewer(settled, reconciler, load):
    shop = settled()
    template = shop.get(WORKER)["spec"]["template"]
    load("350m")
    assert reconciler.outcomes() == {WORKER: "scaled"}
    assert condition(shop, "ScalingActive") == ("True", "ValidMetricFound")
    events = shop.cluster.kubectl("get", "events", "-o", "jsonpath={.items[*].message}").stdout
    assert "Deployment shop-worker from 1 to 4: cpu usage above target" in events
    shop.cluster.wait_until(lambda: reconciler.run() and shop.live["status"]["workersReady"] == "4/4")
    shop.cluster.wait_until(lambda: len(measured(shop.cluster)) == 4)
    load("10m")
    assert reconciler.outcomes() == {WORKER: "scaled"}
    assert replicas(shop) == 1
    assert shop.get(WORKER)["spec"]["template"] == template


def test_a_steady_group_asks_for_lists_alone_and_writes_nothing(settled, reconciler):
    shop = settled()
    shop.cluster.wait_until(lambda: reconciler.run() and reconciler.requests.keys() == {"list"})
    assert reconciler.outcomes() == {}
    assert reconciler.requests.keys() == {"list"}


def test_a_copy_of_the_deployment_is_not_taken_for_it(settled, reconciler, load):
    shop = settled()
    original = shop.get(WORKER)
    copy = {"name": "shop-copy", "labels": original["metadata"]["labels"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"of": "copy"}}}
    template = {"metadata": {"labels": {"of": "copy"}}, "spec": original["spec"]["template"]["spec"]}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": copy, "spec": spec | {"template": template}}
    shop.cluster.apply(manifest).accepted()
    load("350m")
    assert reconciler.outcomes() == {WORKER: "scaled"}
    assert (replicas(shop), replicas(shop, "Deployment shop-copy")) == (4, 1)


def test_no_more_than_the_most_and_no_fewer_than_the_fewest(settled, reconciler, load):
    shop = settled(maxReplicas=2)
    load("900m")
    reconciler.run()
    assert replicas(shop) == 2
    assert condition(shop, "ScalingLimited") == ("True", "TooManyReplicas")
    shop.cluster.kubectl("scale", "deployment/shop-worker", "--replicas=7")
    reconciler.run()
    assert replicas(shop) == 2


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"workers": [group(paused=True)]}, id="paused"),
        pytest.param({"workers": [group()], "reconcile": "Off"}, id="of an app that is off"),
        pytest.param({"workers": [group()], "image": 7}, id="of an invalid app"),
    ],
)
def test_a_group_that_is_not_to_be_scaled_is_left_alone(settled, reconciler, load, laxer, more):
    shop = settled()
    load("350m")
    with laxer():
        shop.take(**more)
        reconciler.run()
        assert replicas(shop) == 1
        shop.take(workers=[group()])


def test_a_group_that_is_at_zero_by_hand_stays_there(settled, reconciler):
    shop = settled()
    shop.cluster.kubectl("scale", "deployment/shop-worker", "--replicas=0")
    reconciler.run()
    assert replicas(shop) == 0
    assert condition(shop, "ScalingActive") == ("False", "ScalingDisabled")


def test_between_engines_and_plain_replicas_no_pod_is_lost(settled, reconciler):
    shop = settled(minReplicas=2)
    pods = f"/api/v1/namespaces/{shop.cluster.namespace}/pods"

    def uids():
        return {pod["metadata"]["uid"] for pod in shop.cluster.request("GET", pods).accepted().body["items"]}

    before = uids()
    plain = {key: value for key, value in group().items() if key != "scaling"} | {"replicas": 2}
    for workers in (
        [group(minReplicas=2, engine="HPA")],
        [group(minReplicas=2)],
        [plain],
        [group(minReplicas=2)],
        [plain],
        [group(minReplicas=2, engine="HPA")],
        [plain],
    ):
        shop.take(workers=workers)
        reconciler.run()
        reconciler.run()
        assert replicas(shop) == 2
    assert uids() == before


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        pytest.param(answer(503), "/metrics.k8s.io/", id="no metrics-server"),
        pytest.param(answer(404), "/metrics.k8s.io/", id="no metrics API"),
        pytest.param(answer(403), "/metrics.k8s.io/", id="no permission"),
        pytest.param(fault_proxy.reset, "/api/v1/.*pods", id="no list of pods"),
    ],
)
def test_what_cannot_be_read_is_not_zero(settled, reconciler, load, proxy, fault, where):
    shop = settled(minReplicas=2)
    load("900m")
    with proxy.fault(fault, where):
        reconciler.run()
        assert replicas(shop) == 2
        assert condition(shop, "ScalingActive") == ("False", "FailedGetContainerResourceMetric")
    reconciler.run()
    assert replicas(shop) > 2
