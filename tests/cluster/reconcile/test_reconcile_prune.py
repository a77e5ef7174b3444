"""What is no longer desired is deleted, and nothing else ever."""

import pytest

pytest_plugins = "reconciling"

WHOLE = {
    "workers": [
        {"name": "worker", "queues": ["celery"]},
        {"name": "mail", "queues": ["mail"], "disruptionBudget": {"maxUnavailable": 1}},
    ],
    "beat": {"storage": {"size": "1Gi"}},
    "flower": {"networkPolicy": {"from": [{"podSelector": {}}]}},
}
LESS = {"workers": [{"name": "worker", "queues": ["celery"]}]}
OWN = {"app.kubernetes.io/managed-by": "celery-reconcile", "celeryproject.org/app": "shop"}


@pytest.fixture
def settled(shop, reconciler):
    shop.take(**WHOLE)
    reconciler.run()
    return shop


@pytest.fixture
def created(shop):
    """Return a function: an object that somebody else created, of this kind and with these labels."""

    def created(name, labels, owners=()):
        body = {"metadata": {"name": name.split()[1], "labels": labels, "ownerReferences": list(owners)}}
        collection = shop.path(name).rpartition("/")[0]
        return shop.cluster.request("POST", collection, body).accepted().body

    return created


def test_what_is_no_longer_desired_is_deleted_last_applied_first(settled, reconciler):
    settled.take(**LESS)
    assert list(reconciler.outcomes().items()) == [
        ("NetworkPolicy shop-flower", "deleted"),
        ("PodDisruptionBudget shop-mail", "deleted"),
        ("Deployment shop-mail", "deleted"),
        ("Deployment shop-flower", "deleted"),
        ("Deployment shop-beat", "deleted"),
        ("Service shop-flower", "deleted"),
    ]
    assert settled.names() == {"ConfigMap shop-probe", "Deployment shop-worker", "PersistentVolumeClaim shop-beat"}
    settled.cluster.wait_until(lambda: reconciler.outcomes() == {} and reconciler.written == {})


@pytest.mark.usefixtures("keda_crds")
@pytest.mark.parametrize(("old", "new"), [("HPA", "KEDA"), ("KEDA", "HPA")])
def test_an_autoscaler_goes_before_another_kind_comes(shop, reconciler, old, new):
    """KEDA's webhook refuses a ScaledObject, a dry run too, while a HorizontalPodAutoscaler has its Deployment."""
    kinds = {"HPA": "HorizontalPodAutoscaler shop-worker", "KEDA": "ScaledObject shop-worker"}
    scaling = {"maxReplicas": 2, "cpu": {"averageValue": "1"}}
    shop.take(workers=[{"name": "worker", "scaling": {"engine": old, **scaling}}])
    reconciler.run()
    shop.take(image="registry.example.com/shop:2", workers=[{"name": "worker", "scaling": {"engine": new, **scaling}}])
    assert reconciler.outcomes() == {
        "Deployment shop-worker": "configured",
        kinds[old]: "deleted",
        kinds[new]: "skipped",
    }
    assert shop.ready[1:] == ("WaitingForDeletion", f"{kinds[old]} goes first")
    reconciler.ahead += reconciler.retry_in
    assert reconciler.outcomes() == {kinds[new]: "created"}
    assert kinds[old] not in shop.names()


def test_pods_go_with_their_deployment(settled, reconciler):
    settled.take(**LESS)
    reconciler.run()
    pods = f"/api/v1/namespaces/{settled.cluster.namespace}/pods"
    mail = {"labelSelector": "celeryproject.org/component=mail"}
    settled.cluster.wait_until(lambda: settled.cluster.request("GET", pods, **mail).body["items"] == [])


def test_a_renamed_group_is_created_before_the_old_one_goes(settled, reconciler):
    settled.take(
        **WHOLE | {"workers": [{"name": "worker", "queues": ["celery"]}, {"name": "post", "queues": ["post"]}]}
    )
    assert list(reconciler.outcomes().items()) == [
        ("Deployment shop-post", "created"),
        ("PodDisruptionBudget shop-mail", "deleted"),
        ("Deployment shop-mail", "deleted"),
    ]


def test_a_volume_is_kept_and_used_again(settled, reconciler):
    uid = settled.get("PersistentVolumeClaim shop-beat")["metadata"]["uid"]
    settled.take(**LESS)
    reconciler.run()
    settled.take(**WHOLE)
    reconciler.run()
    assert settled.get("PersistentVolumeClaim shop-beat")["metadata"]["uid"] == uid


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        pytest.param(OWN, None, id="labels that were copied"),
        pytest.param(OWN, {"apiVersion": "v1", "kind": "ConfigMap", "name": "shop-probe"}, id="and another controller"),
        pytest.param({}, "the app", id="an owner that was copied"),
        pytest.param(OWN | {"celeryproject.org/app": "other"}, "the app", id="and the label of another app"),
    ],
)
def test_what_others_created_is_not_pruned(settled, reconciler, created, labels, owner):
    if owner == "the app":
        owner = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "name": "shop"}
        owner["uid"] = settled.live["metadata"]["uid"]
    elif owner:
        owner["uid"] = settled.get("ConfigMap shop-probe")["metadata"]["uid"]
    created("ConfigMap notes", labels, [owner | {"controller": True}] if owner else [])
    settled.take(**LESS)
    reconciler.run()
    assert settled.get("ConfigMap notes")["metadata"]["name"] == "notes"
    reconciler.run()
    assert reconciler.outcomes() == {}


def test_a_child_that_lost_its_owner_is_adopted_not_pruned_while_desired(settled, reconciler):
    settled.patch("Deployment shop-mail", {"metadata": {"ownerReferences": None}})
    assert reconciler.outcomes() == {"Deployment shop-mail": "configured"}
    [owner] = settled.get("Deployment shop-mail")["metadata"]["ownerReferences"]
    assert owner["uid"] == settled.live["metadata"]["uid"]


def test_nothing_is_pruned_when_an_apply_fails(settled, reconciler):
    """An immutable field of the claim: the server refuses it, so everything that is there stays."""
    settled.take(**LESS, beat={"storage": {"size": "1Gi", "accessMode": "ReadWriteMany"}})
    before = settled.children()
    result = reconciler.serve()
    assert "spec is immutable" in result.problem
    assert reconciler.written.keys() <= {"status", "create"}
    assert settled.children() == before


def test_deleting_the_app_deletes_all_it_owns(settled, reconciler):
    settled.delete()
    assert reconciler.run().apps == ()
    settled.cluster.wait_until(lambda: settled.names() == set())
