"""reconcile: Apply, Scale and Off, and the ways between them."""

import json

import pytest

pytest_plugins = "reconciling"

GROUPS = [{"name": "worker", "queues": ["worker"], "replicas": 3}, {"name": "mail", "queues": ["mail"]}]
SCALED = {
    "maxReplicas": 9,
    "cpu": {"averageValue": "100m"},
    "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},  # on a slow machine the pods come to be measured: idle
}


@pytest.fixture
def settled(shop, reconciler):
    shop.take(workers=GROUPS, flower={})
    reconciler.until_ready()
    return shop


def pods(shop):
    """Return the pods there are, by UID: none of them may be another."""
    items = shop.cluster.request("GET", f"/api/v1/namespaces/{shop.cluster.namespace}/pods").body["items"]
    return {item["metadata"]["uid"] for item in items}


def replicas(shop, name="Deployment shop-worker"):
    return shop.get(name)["spec"]["replicas"]


@pytest.mark.parametrize("mode", ["Scale", "Off"])
def test_from_apply_to_another_mode_and_back_no_pod_is_lost(settled, reconciler, mode):
    before, children = pods(settled), settled.children()
    for reconcile in (mode, "Apply"):
        settled.take(workers=GROUPS, flower={}, reconcile=reconcile)
        for _ in range(2):
            assert reconciler.outcomes() == {}
            assert reconciler.written.keys() <= {"status", "create"}  # an Event, when it is Ready again
        assert settled.children() == children
    assert pods(settled) == before


@pytest.mark.parametrize("mode", ["Scale", "Off"])
def test_in_another_mode_nothing_is_healed_or_pruned(settled, reconciler, mode):
    settled.take(workers=GROUPS[:1], reconcile=mode)
    settled.cluster.kubectl("delete", "service", "shop-flower")
    settled.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    before = settled.children()
    reconciler.restart()
    assert reconciler.outcomes() == {}
    assert settled.children() == before


def test_off_is_said_once_and_then_not_even_the_status_is_touched(settled, reconciler):
    settled.take(workers=GROUPS, reconcile="Off")
    assert reconciler.outcomes() == {}
    assert reconciler.written == {"status": 1}
    assert settled.ready[:2] == ("Unknown", "Off")
    assert settled.conditions == {"Ready": "Unknown", "Reconciling": "False", "Stalled": "False"}
    assert settled.live["status"].keys() == {"observedGeneration", "reconciler", "conditions"}
    settled.cluster.kubectl("delete", "deployment", "shop-worker")
    reconciler.restart()
    before = settled.live["metadata"]["resourceVersion"]
    assert reconciler.outcomes() == {}
    assert reconciler.requests.keys() == {"list"}
    assert settled.live["metadata"]["resourceVersion"] == before


def test_the_mode_is_a_column(settled, reconciler):
    for mode, ready in (("Apply", "True"), ("Scale", "True"), ("Off", "Unknown")):
        settled.take(workers=GROUPS, reconcile=mode)
        reconciler.run()
        row = settled.cluster.kubectl("get", "celeryapp", "shop", "--no-headers").stdout.split()
        assert (row[1], row[-2]) == (ready, mode)


def test_an_app_that_begins_as_off_gets_nothing_but_a_status(shop, reconciler):
    shop.take(reconcile="Off")
    found = reconciler.serve()
    assert found.steps == ()
    assert found.conditions == {"Off": "True"}  # Prometheus is told: it is not that it is not ready
    assert reconciler.written == {"status": 1}
    assert shop.names() == set()


def rendered_with_a_prefix(cluster, folder, rendered, **spec):
    """Apply what celery-render prints as an overlay does: every name with a prefix, by kubectl."""
    resources = []
    for number, manifest in enumerate(rendered(**spec)):
        (folder / f"{number}.json").write_text(json.dumps(manifest))
        resources.append(f"{number}.json")
    overlay = {"resources": resources, "namePrefix": "prod-", "namespace": cluster.namespace}
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))
    cluster.kubectl("apply", "--server-side", "-k", folder)


def test_in_scale_mode_children_are_found_under_any_name(shop, reconciler, rendered, tmp_path):
    groups = [
        {"name": "worker", "queues": ["worker"], "scaling": SCALED},
        {"name": "mail", "queues": ["mail"], "replicas": 2},
    ]
    rendered_with_a_prefix(shop.cluster, tmp_path, rendered, workers=groups, flower={})
    app = type(shop)(shop.cluster, "prod-shop")
    reconciler.cluster.wait_until(lambda: reconciler.serve().conditions["Ready"] == "True")
    status = app.live["status"]
    assert status["workersReady"] == "3/3"
    assert [group["readyReplicas"] for group in status["workers"]] == [1, 2]
    assert {f"{each['kind']} {each['name']}" for each in status["children"]} == {
        "ConfigMap prod-shop-probe",
        "Service prod-shop-flower",
        "Deployment prod-shop-worker",
        "Deployment prod-shop-mail",
        "Deployment prod-shop-flower",
    }
    assert reconciler.requests["apply"] == reconciler.requests["patch"] == 0


def test_in_scale_mode_children_that_are_not_there_are_missed(shop, reconciler):
    shop.take(reconcile="Scale", flower={})
    reconciler.run()
    absent = "worker: there is no Deployment; flower: there is no Deployment"
    message = f"{absent}. Something else applies them: reconcile is Scale"
    assert shop.ready == ("False", "ChildrenMissing", message)
    assert reconciler.written == {"status": 1}


def test_what_kubectl_applied_is_taken_over_without_a_restart_of_pods(shop, reconciler, rendered):
    """From `kubectl apply -f` (or Flux, or Argo CD) to the reconciler: the children are adopted as they are."""
    for manifest in rendered(workers=GROUPS, flower={}):
        shop.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    shop.take(workers=GROUPS, flower={}, reconcile="Scale")
    reconciler.until_ready()
    before = pods(shop)
    shop.take(workers=GROUPS, flower={}, reconcile="Apply")
    assert set(reconciler.outcomes().values()) == {"configured"}
    reconciler.until_ready()
    assert pods(shop) == before
    uid = shop.live["metadata"]["uid"]
    assert {shop.get(name)["metadata"]["ownerReferences"][0]["uid"] for name in shop.names()} == {uid}


def test_turning_scaling_on_keeps_the_replicas_there_are(settled, reconciler):
    """Left out of an apply after they were in one, the API server would reset them to 1."""
    scaled = [{"name": "worker", "queues": ["worker"], "scaling": SCALED}, {"name": "mail", "queues": ["mail"]}]
    before = pods(settled)
    settled.take(workers=scaled, flower={}, image="registry.example.com/shop:2")
    assert reconciler.outcomes()["Deployment shop-worker"] == "configured"
    assert replicas(settled) == 3
    reconciler.until_ready()
    assert replicas(settled) == 3
    assert len(pods(settled)) >= len(before)


def test_the_replicas_of_a_scaled_group_are_left_to_whoever_scales_it(settled, reconciler):
    settled.take(
        workers=[{"name": "worker", "queues": ["worker"], "scaling": SCALED}, {"name": "mail", "queues": ["mail"]}],
        flower={},
    )
    reconciler.run()
    settled.cluster.kubectl("scale", "deployment/shop-worker", "--replicas=5")
    assert reconciler.outcomes() == {}
    settled.cluster.kubectl("patch", "deployment/shop-worker", "-p", '{"spec": {"replicas": 6}}')
    settled.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    assert reconciler.outcomes() == {"Deployment shop-worker": "configured"}
    assert replicas(settled) == 6
    reconciler.restart()
    assert reconciler.outcomes() == {}
    assert replicas(settled) == 6


def test_turning_scaling_off_gives_the_replicas_of_the_spec(settled, reconciler):
    settled.take(
        workers=[{"name": "worker", "queues": ["worker"], "scaling": SCALED}, {"name": "mail", "queues": ["mail"]}],
        flower={},
    )
    reconciler.run()
    settled.cluster.kubectl("scale", "deployment/shop-worker", "--replicas=5")
    settled.take(workers=GROUPS, flower={})
    assert reconciler.outcomes() == {"Deployment shop-worker": "configured"}
    assert replicas(settled) == 3
