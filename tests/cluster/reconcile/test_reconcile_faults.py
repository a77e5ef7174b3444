"""Answers that do not come, come wrong or are no: one app's trouble stays its own, and all ends well when it is over.

What the client makes of each fault is in test_client.py.
"""

import json
import threading

import fault_proxy
import pytest
from fault_proxy import answer

pytest_plugins = "reconciling"

FAULTS = {
    "a conflict": answer(409),
    "too many requests": answer(429, Retry_After="1"),
    "an internal error": answer(500),
    "unavailable": answer(503),
    "a reset": fault_proxy.reset,
    "half an answer": fault_proxy.half_an_answer,
    "half the JSON": fault_proxy.half_the_json,
    "no permission": answer(403),
    "an expired token": answer(401),
}
PLACES = {"a child": "PATCH .*/deployments/shop-worker", "the status": "PATCH .*/celeryapps/shop/status"}


@pytest.fixture
def access(proxied):
    return proxied


@pytest.fixture
def other(cluster, shop):
    """Return an app that has no part in the trouble."""
    return type(shop)(cluster, "other")


@pytest.fixture
def apps(shop, other):
    return shop, other


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("place", PLACES)
def test_trouble_with_one_app_is_its_own_and_ends(apps, reconciler, proxy, fault, place):
    shop, other = apps
    shop.take(flower={})
    other.take()
    with proxy.fault(fault, PLACES[place]):
        results = {result.app.name: result for result in reconciler.run().apps}
        assert results["shop"].problem
        assert not results["other"].problem
        assert other.names() >= {"Deployment other-worker"}
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()
    names = {"ConfigMap shop-probe", "Service shop-flower", "Deployment shop-worker", "Deployment shop-flower"}
    assert names <= shop.names()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_trouble_with_one_child_holds_back_that_child_and_deletions(shop, reconciler, proxy, fault):
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}, {"name": "old", "queues": ["old"]}], flower={})
    reconciler.run()
    before = shop.children()
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}], flower={}, image="registry.example.com/shop:2")
    with proxy.fault(fault, "PATCH .*/deployments/shop-worker.*dryRun"):
        reconciler.run()
    during = shop.children()
    assert during.keys() == before.keys()
    assert {name for name in during if during[name] != before[name]} == {"Deployment shop-flower"}
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()
    assert shop.names() == before.keys() - {"Deployment shop-old"}
    assert all("registry.example.com/shop:2" in str(shop.get(name)) for name in shop.names() if "Deployment" in name)


UNREADABLE = [FAULTS["unavailable"], FAULTS["half an answer"], FAULTS["an expired token"]]


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize(("kind", "plural"), [("Deployment", "deployments"), ("ConfigMap", "configmaps")])
def test_a_list_that_failed_is_not_an_empty_list(shop, reconciler, proxy, fault, kind, plural):
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}, {"name": "old", "queues": ["old"]}], flower={})
    reconciler.until_ready()
    shop.take(workers=[{"name": "worker", "disruptionBudget": {"maxUnavailable": 1}}], flower={})
    before = shop.children()
    with proxy.fault(fault, f"GET .*/{plural}\\?"):
        reconciler.run()
        assert reconciler.looks.cache.unreadable.keys() == {kind}
    during = shop.children()
    assert during == before | {"PodDisruptionBudget shop-worker": during["PodDisruptionBudget shop-worker"]}
    assert shop.ready[:2] == ("Unknown", "ListFailed")
    assert shop.ready[2].startswith(f"{kind} list: ")
    reconciler.run()
    assert shop.names() == during.keys() - {"Deployment shop-old"}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_while_the_apps_cannot_be_listed_nothing_is_written(shop, reconciler, proxy, fault):
    shop.take(flower={})
    reconciler.until_ready()
    shop.take()
    before = shop.children()
    with proxy.fault(fault, "GET .*/celeryapps\\?"):
        reconciler.run()
        assert reconciler.written == {}
        reconciler.restart()
        assert reconciler.run().apps == ()
        assert reconciler.written == {}
    assert shop.children() == before
    reconciler.run()
    assert shop.names() == {"ConfigMap shop-probe", "Deployment shop-worker"}


def test_a_kind_we_may_not_list_holds_back_its_own_children(shop, other, reconciler, proxy):
    shop.take(workers=[{"name": "worker", "disruptionBudget": {"maxUnavailable": 1}}])
    other.take()
    with proxy.fault(answer(403, "may not"), "GET .*/poddisruptionbudgets"):
        reconciler.run()
        assert shop.ready == ("False", "ListFailed", "PodDisruptionBudget list: 403 may not")
        assert shop.conditions["Stalled"] == "True"
        assert shop.names() == {
            f"{kind} {name}-{part}"
            for kind, part in (("ConfigMap", "probe"), ("Deployment", "worker"))
            for name in ("shop", "other")
        }
        other.cluster.wait_until(lambda: (reconciler.run(), other.ready[0])[1] == "True")
    reconciler.run()
    assert "PodDisruptionBudget shop-worker" in shop.names()


def test_a_kind_we_may_not_list_holds_back_what_needs_it(shop, reconciler, proxy):
    shop.take(flower={}, beat={"storage": {}})
    with proxy.fault(answer(403, "may not"), "GET .*/persistentvolumeclaims"):
        reconciler.run()
    names = {"ConfigMap shop-probe", "Service shop-flower", "Deployment shop-worker", "Deployment shop-flower"}
    assert shop.names() == names
    reconciler.run()
    assert shop.names() == names | {"PersistentVolumeClaim shop-beat", "Deployment shop-beat"}


def test_a_claim_that_cannot_be_resized_does_not_hold_back_a_hotfix(shop, reconciler):
    shop.take(beat={"storage": {"size": "1Gi"}})
    reconciler.run()
    before = shop.get("Deployment shop-beat")["metadata"]["generation"]
    shop.take(image="registry.example.com/shop:2", beat={"storage": {"size": "2Gi"}})
    assert reconciler.outcomes() == {
        "PersistentVolumeClaim shop-beat": "skipped",
        "Deployment shop-worker": "configured",
        "Deployment shop-beat": "skipped",
    }
    assert shop.ready[:2] == ("False", "Invalid")
    assert shop.get("Deployment shop-beat")["metadata"]["generation"] == before
    shop.take(image="registry.example.com/shop:2", beat={"storage": {"size": "1Gi"}})
    assert reconciler.outcomes() == {"Deployment shop-beat": "configured"}


def test_an_event_that_cannot_be_written_is_no_trouble(shop, reconciler, proxy):
    shop.take()
    with proxy.fault(answer(403), "POST .*/events"):
        assert reconciler.serve().problem == ""
        reconciler.until_ready()


def test_an_app_that_fails_again_and_again_is_tried_less_and_less(shop, reconciler, proxy):
    shop.take()
    waits = []
    with proxy.fault(answer(500), "PATCH .*/deployments/"):
        for _ in range(8):
            reconciler.run()
            waits.append(round(reconciler.retry_in.total_seconds()))
            reconciler.ahead += reconciler.retry_in
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]


def test_a_fault_of_our_own_is_one_apps_trouble(shop, other, reconciler, proxy):
    """An answer that no server gives: an object without a kind."""

    def nonsense(exchange):
        exchange.send(200, b'{"metadata": {}}', {})

    shop.take()
    other.take()
    with proxy.fault(nonsense, "PATCH .*/deployments/shop-worker"):
        results = {result.app.name: result.problem for result in reconciler.run().apps}
    assert results["other"] == ""
    assert results["shop"].startswith("KeyError")
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()


def test_two_reconcilers_at_once_do_not_fight(shop, reconciler, cluster, access):
    twin = type(reconciler)(cluster, access)
    shop.take(flower={}, workers=[{"name": "worker", "queues": ["worker"]}, {"name": "old", "queues": ["old"]}])
    for image in ("registry.example.com/shop:1", "registry.example.com/shop:2"):
        shop.take(flower={}, image=image)
        threads = [threading.Thread(target=each.run) for each in (reconciler, twin)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for each in (reconciler, twin):
        each.ahead += each.retry_in
        each.until_ready()
    versions = {name: shop.get(name)["metadata"]["generation"] for name in shop.names() if "Deployment" in name}
    for _ in range(3):
        reconciler.run()
        twin.run()
        assert reconciler.written == twin.written == {}
    assert {name: shop.get(name)["metadata"]["generation"] for name in versions} == versions


def test_an_app_that_python_cannot_read_stops_no_other(shop, reconciler):
    """The API server takes 10,000 levels, Python 3.11's JSON some 1000; an app may have 64."""
    shop.take()
    deep = {levels: type(shop)(shop.cluster, f"deep-{levels}") for levels in (63, 900, 1500)}
    for levels, app in deep.items():
        text = json.dumps(app.manifest(settings={"shop_any": "VALUE"})).replace('"VALUE"', "[" * levels + "]" * levels)
        shop.cluster.kubectl("create", "--filename=-", stdin=text)
    results = {result.app.name: result for result in reconciler.run().apps}
    assert {name for name, result in results.items() if not result.problem} == {"shop"}
    assert "spec: is nested more than 64 levels deep" in results["deep-1500"].problem
    reason = "jsonpath={.status.conditions[?(@.type=='Stalled')].reason}"
    for app in deep.values():
        assert shop.cluster.kubectl("get", "celeryapp", app.name, "-o", reason).stdout == "InvalidSpec"
    assert reconciler.run().apps


def test_what_cannot_be_done_is_logged_once(shop, reconciler, proxy, caplog):
    shop.take()
    with proxy.fault(answer(403), PLACES["the status"]):
        problems = [reconciler.serve().problem for _ in range(3)]
    assert len(set(problems)) == 1
    assert [record.getMessage() for record in caplog.records].count(problems[0]) == 1
