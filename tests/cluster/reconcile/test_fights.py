"""Who else writes what we write: set back less and less often, and said with a name (another process, kubectl)."""

from dataclasses import replace
from datetime import timedelta

import pytest

pytest_plugins = "reconciling"

WORKER = "Deployment shop-worker"
IMAGE = "/spec/template/spec/containers/0/image"
THEIRS = [{"op": "replace", "path": IMAGE, "value": "registry.example.com/theirs:1"}]


def image(shop):
    return shop.get(WORKER)["spec"]["template"]["spec"]["containers"][0]["image"]


def condition(shop, kind="Contradicted"):
    found = [each for each in shop.live["status"]["conditions"] if each["type"] == kind]
    return found[0] if found else None


def events(shop, reason="Contradicted"):
    """Return those of the app: an Event of events.k8s.io, with the series that `kubectl get events` counts."""
    path = f"/apis/events.k8s.io/v1/namespaces/{shop.cluster.namespace}/events"
    items = shop.cluster.request("GET", path).accepted().body["items"]
    return [each for each in items if each["reason"] == reason]


@pytest.fixture
def fight(shop, reconciler):
    """Return a function: another writes an image again and again, we look every ten seconds; how often it is ours."""

    def fight(times):
        ours = 0
        for _ in range(times):
            shop.patch(WORKER, THEIRS, fieldManager="image-updater")
            reconciler.run()
            ours += image(shop) == "registry.example.com/shop:1"
            reconciler.ahead += timedelta(seconds=10)
        return ours

    shop.take()
    reconciler.run()
    return fight


def test_an_edit_or_two_by_hand_is_set_back_at_once(fight, shop):
    assert fight(2) == 2
    assert condition(shop) is None


def test_who_writes_again_and_again_is_set_back_less_and_less_often(fight, shop):
    generation = shop.get(WORKER)["metadata"]["generation"]
    assert fight(40) <= 10  # 400 s: at 0, 10, 20, 30, 40, 60, 100, 180, 340 s
    assert shop.get(WORKER)["metadata"]["generation"] - generation <= 50  # 40 of them the other's


def test_it_is_said_who_else_writes_and_what(fight, shop):
    fight(6)
    found = condition(shop)
    assert (found["status"], found["reason"]) == ("True", "SetBackAgain")
    path = "spec.template.spec.containers[0].image"
    assert found["message"] == f"{WORKER}: {path} is set back again and again, image-updater writes it too"
    [event] = events(shop)
    assert (event["type"], event["note"], event["series"]["count"]) == ("Warning", found["message"], 5)


def test_when_peace_has_returned_it_is_said_and_the_child_is_as_it_shall_be(fight, shop, reconciler):
    fight(6)
    reconciler.ahead += timedelta(seconds=900)
    reconciler.run()
    assert image(shop) == "registry.example.com/shop:1"
    reconciler.ahead += timedelta(seconds=901)
    reconciler.run()
    assert condition(shop)["status"] == "False"


def test_an_edit_of_the_app_waits_for_no_fight(fight, shop, reconciler):
    fight(8)
    shop.take(image="registry.example.com/shop:2")
    reconciler.run()
    assert image(shop) == "registry.example.com/shop:2"


def test_a_fight_over_one_child_leaves_the_others_alone(fight, shop, reconciler):
    fight(8)
    shop.cluster.kubectl("delete", "configmap", "shop-probe")
    reconciler.run()
    assert "ConfigMap shop-probe" in shop.names()


def test_who_deletes_a_child_again_and_again_is_told_too(shop, reconciler):
    shop.take(flower={})
    reconciler.run()
    for _ in range(4):
        shop.cluster.kubectl("delete", "service", "shop-flower")
        reconciler.run()
    assert condition(shop)["message"] == (
        "Service shop-flower: all of it is set back again and again, something else removes it"
    )


def test_two_installations_notice_each_other(shop, reconciler, cluster, access):
    other = type(reconciler)(cluster, access)
    lease = {"leader_elect": True, "lease_namespace": "elsewhere", "lease_name": "celery-reconcile"}
    other.settings = replace(other.settings, **lease)
    other.restart()
    shop.take()
    for _ in range(4):
        for each in (reconciler, other):
            each.run()
            each.ahead += timedelta(seconds=1)
    found = condition(shop)
    assert found["status"] == "True"
    assert "CeleryApp shop: status is set back again and again, the reconciler " in found["message"]
    writes = 0
    for _ in range(20):
        for each in (reconciler, other):
            each.run()
            writes += each.written["status"]
            each.ahead += timedelta(seconds=1)
    assert writes <= 8
