"""Names that are taken, apps that come and go, children that do not go: nothing of others is touched."""

from datetime import timedelta

import pytest

pytest_plugins = "reconciling"

HINT = "rename the app or the worker group, or remove it"
FOREIGN = {"data": {"of": "somebody else"}}
FINALIZER = {"metadata": {"finalizers": ["example.com/not-yet"]}}
NOT_OURS = {
    "selector": {"matchLabels": {"app": "x"}},
    "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}},
}
NO_FINALIZER = {"metadata": {"finalizers": None}}


@pytest.fixture
def another(cluster, shop):
    """Return a function: another app in the same namespace."""
    return lambda name: type(shop)(cluster, name)


def taken(shop, name, labels=None, **more):
    """Let somebody else have an object of this name, and return it."""
    body = {"metadata": {"name": name.split()[1], "labels": labels or {}}} | more
    collection = shop.path(name).rpartition("/")[0]
    return shop.cluster.request("POST", collection, body).accepted().body


def is_untouched(shop, name, before):
    return shop.get(name)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_foreign_object_of_a_childs_name_is_not_touched(shop, reconciler):
    foreign = taken(shop, "ConfigMap shop-probe", **FOREIGN)
    shop.take()
    result = reconciler.serve()
    assert result.conditions == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert shop.ready[1:] == (
        "NameConflict",
        f"ConfigMap shop-probe exists already and is not part of this app: {HINT}",
    )
    assert is_untouched(shop, "ConfigMap shop-probe", foreign)
    assert shop.names() == set()


def test_a_foreign_object_holds_back_only_what_needs_it(shop, reconciler):
    shop.take()
    reconciler.run()
    foreign = taken(shop, "Service shop-flower", spec={"ports": [{"port": 80}]})
    auth = {"basicAuth": {"secretKeyRef": {"name": "flower", "key": "users"}}}
    newer = "registry.example.com/shop:2"
    shop.take(image=newer, flower={"ingress": {"host": "shop.example.com"}, "auth": auth})
    assert reconciler.outcomes() == {
        "Service shop-flower": "skipped",
        "Deployment shop-worker": "configured",
        "Deployment shop-flower": "created",
        "Ingress shop-flower": "skipped",
    }
    assert shop.ready[1] == "NameConflict"
    assert is_untouched(shop, "Service shop-flower", foreign)
    before = shop.children()
    reconciler.ahead += reconciler.retry_in
    reconciler.run()
    assert shop.children() == before
    shop.cluster.kubectl("delete", "service", "shop-flower")
    reconciler.ahead += reconciler.retry_in
    reconciler.run()
    assert shop.names() == before.keys() | {"Service shop-flower", "Ingress shop-flower"}


def test_while_a_name_is_taken_nothing_is_deleted(shop, reconciler):
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}, {"name": "old", "queues": ["old"]}])
    reconciler.run()
    taken(shop, "Deployment shop-mail", spec=NOT_OURS)
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}, {"name": "mail", "queues": ["mail"]}])
    assert reconciler.outcomes() == {"Deployment shop-mail": "skipped", "Deployment shop-old": "skipped"}
    shop.cluster.kubectl("delete", "deployment", "shop-mail")
    reconciler.ahead += reconciler.retry_in
    assert reconciler.outcomes() == {"Deployment shop-mail": "created", "Deployment shop-old": "deleted"}


def test_the_app_goes_on_when_the_foreign_object_is_gone(shop, reconciler):
    taken(shop, "ConfigMap shop-probe", **FOREIGN)
    shop.take()
    reconciler.run()
    shop.cluster.kubectl("delete", "configmap", "shop-probe")
    reconciler.run()
    assert reconciler.retry_in < timedelta(seconds=30)
    assert shop.names() == set()  # not before its time
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()


def test_an_app_that_waits_for_its_next_try_makes_no_requests(shop, reconciler):
    taken(shop, "ConfigMap shop-probe", **FOREIGN)
    shop.take()
    reconciler.run()
    reconciler.run()
    assert reconciler.requests.keys() == {"list"}


def test_a_change_of_the_app_is_tried_at_once(shop, reconciler):
    taken(shop, "Deployment shop-worker", spec=NOT_OURS)
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}])
    reconciler.run()
    shop.take(workers=[{"name": "mail", "queues": ["mail"]}])
    assert reconciler.outcomes()["Deployment shop-mail"] == "created"


def test_of_two_apps_that_want_the_same_name_the_first_has_it(shop, another, reconciler):
    """`shop` with the group `eu-mail` and `shop-eu` with the group `mail`."""
    shop.take(workers=[{"name": "eu-mail"}])
    reconciler.run()
    before = shop.get("Deployment shop-eu-mail")
    other = another("shop-eu")
    other.take(workers=[{"name": "mail", "queues": ["mail"]}, {"name": "worker", "queues": ["worker"]}])
    reconciler.run()
    assert other.ready[1:] == (
        "NameConflict",
        f"Deployment shop-eu-mail exists already and belongs to CeleryApp shop: {HINT}",
    )
    assert shop.get("Deployment shop-eu-mail")["metadata"]["uid"] == before["metadata"]["uid"]
    assert shop.get("Deployment shop-eu-mail")["spec"] == before["spec"]
    shop.delete()
    shop.cluster.wait_until(lambda: "Deployment shop-eu-mail" not in shop.names())
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()


def test_two_apps_that_want_the_same_name_at_once_do_not_fight(shop, another, reconciler):
    other = another("shop-eu")
    shop.take(workers=[{"name": "eu-mail"}])
    other.take(workers=[{"name": "mail", "queues": ["mail"]}])
    for _ in range(2):
        reconciler.run()
    [fortune] = {shop.ready[1], other.ready[1]} - {"NameConflict"}
    assert fortune in {"RollingOut", "AllReady"}
    generation = shop.get("Deployment shop-eu-mail")["metadata"]["generation"]
    reconciler.restart()
    reconciler.run()
    assert shop.get("Deployment shop-eu-mail")["metadata"]["generation"] == generation


def test_an_app_deleted_and_created_again_waits_for_the_garbage_collector(shop, reconciler):
    shop.take(image="registry.example.com/shop:1")
    reconciler.until_ready()
    old = shop.get("Deployment shop-worker")
    # Held, so that the garbage collector cannot be faster than the test.
    shop.patch("Deployment shop-worker", FINALIZER)
    shop.delete()
    shop.take(image="registry.example.com/shop:2")
    reconciler.run()
    assert shop.ready[:2] == ("Unknown", "WaitingForDeletion")
    assert shop.get("Deployment shop-worker")["spec"] == old["spec"]
    shop.cluster.wait_until(lambda: "deletionTimestamp" in shop.get("Deployment shop-worker")["metadata"])
    shop.patch("Deployment shop-worker", NO_FINALIZER)
    reconciler.until_ready()
    new = shop.get("Deployment shop-worker")
    assert new["metadata"]["ownerReferences"][0]["uid"] == shop.live["metadata"]["uid"]
    assert new["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/shop:2"


def test_an_app_deleted_and_created_again_at_once_comes_up(shop, reconciler):
    for _ in range(3):
        shop.take(flower={})
        reconciler.run()
        shop.delete()
    shop.take(flower={})
    reconciler.until_ready()
    uid = shop.live["metadata"]["uid"]
    assert {shop.get(name)["metadata"]["ownerReferences"][0]["uid"] for name in shop.names()} == {uid}


def test_a_child_stuck_in_deletion_holds_back_itself_alone(shop, reconciler):
    shop.take(
        workers=[
            {"name": "worker", "queues": ["worker"]},
            {"name": "mail", "queues": ["mail"]},
            {"name": "old", "queues": ["old"]},
        ]
    )
    reconciler.until_ready()
    shop.patch("Deployment shop-worker", FINALIZER)
    shop.cluster.kubectl("delete", "deployment", "shop-worker", "--wait=false")
    shop.take(workers=[{"name": "worker", "queues": ["worker"]}, {"name": "mail", "queues": ["mail"], "replicas": 2}])
    assert reconciler.outcomes() == {
        "Deployment shop-worker": "skipped",
        "Deployment shop-mail": "configured",
        "Deployment shop-old": "skipped",
    }
    message = "Deployment shop-worker is being deleted, held by example.com/not-yet"
    assert shop.ready == ("Unknown", "WaitingForDeletion", message)
    shop.patch("Deployment shop-worker", NO_FINALIZER)
    shop.cluster.wait_until(lambda: "Deployment shop-worker" not in shop.names())
    assert reconciler.outcomes() == {"Deployment shop-worker": "created", "Deployment shop-old": "deleted"}


def test_an_app_in_deletion_is_let_go(shop, reconciler):
    shop.take()
    reconciler.until_ready()
    shop.patch("CeleryApp shop", FINALIZER)
    shop.delete()
    shop.cluster.kubectl("delete", "deployment", "shop-worker")
    reconciler.restart()
    assert reconciler.outcomes() == {}
    assert reconciler.requests.keys() == {"list"}
    shop.patch("CeleryApp shop", NO_FINALIZER)


def test_in_a_namespace_that_is_being_deleted_nothing_is_forced(shop, reconciler):
    shop.take()
    reconciler.run()
    shop.patch("CeleryApp shop", FINALIZER)  # keeps the namespace from going
    namespace = f"/api/v1/namespaces/{shop.cluster.namespace}"
    shop.cluster.request("DELETE", namespace).accepted()
    shop.cluster.wait_until(lambda: shop.names() == set() and "deletionTimestamp" in shop.live["metadata"])
    result = reconciler.serve()
    assert (result.steps, result.problem) == ((), "")
    shop.patch("CeleryApp shop", NO_FINALIZER)
    shop.cluster.wait_until(lambda: reconciler.run().apps == ())
    shop.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": shop.cluster.namespace}})


def test_a_child_labelled_ours_without_an_owner_is_adopted(shop, reconciler):
    labels = {"celeryproject.org/app": "shop"}
    before = taken(shop, "ConfigMap shop-probe", labels, data={"old": "text"})
    shop.take()
    assert reconciler.outcomes() == {"ConfigMap shop-probe": "configured", "Deployment shop-worker": "created"}
    after = shop.get("ConfigMap shop-probe")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["ownerReferences"][0]["uid"] == shop.live["metadata"]["uid"]


def test_one_app_that_fails_does_not_hold_back_another(shop, another, reconciler):
    taken(shop, "ConfigMap shop-probe", **FOREIGN)
    shop.take()
    other = another("fine")
    other.take()
    shop.cluster.wait_until(lambda: (reconciler.run(), other.ready[0])[1] == "True")
    assert shop.ready[1] == "NameConflict"
