"""What an app may have done with rights that are not its author's."""

from dataclasses import replace

import pytest

pytest_plugins = "reconciling"

SECRET = {"secretKeyRef": {"name": "shop-broker", "key": "url"}}
LENT = {"authenticationRef": {"name": "company", "kind": "ClusterTriggerAuthentication"}}


def by_keda(**keda):
    scaling = {"engine": "KEDA", "maxReplicas": 2, "queue": {"averageLength": 4}, **keda}
    broker = {"type": "Redis", "urlFrom": SECRET}
    return {"broker": broker, "workers": [{"name": "worker", "queues": ["celery"], "scaling": scaling}]}


@pytest.mark.usefixtures("keda_crds")
def test_credentials_of_the_cluster_are_lent_only_where_the_installer_says_so(shop, reconciler):
    shop.take(**by_keda(keda=LENT))
    result = reconciler.serve()
    assert "uses the ClusterTriggerAuthentication company: name a TriggerAuthentication" in result.problem
    assert (result.conditions["Stalled"], "Deployment shop-worker" in shop.names()) == ("True", True)
    assert "ScaledObject shop-worker" not in shop.names()
    reconciler.restart()
    assert reconciler.outcomes(allow_cluster_trigger_authentication=True) == {"ScaledObject shop-worker": "created"}
    reconciler.restart()  # taken back: what is there is left to whoever has it
    assert "ClusterTriggerAuthentication company" in reconciler.serve().problem


@pytest.mark.usefixtures("keda_crds")
def test_no_more_is_keda_s_own_role(shop, reconciler):
    metadata = {"queueURL": "https://sqs.eu-central-1.amazonaws.com/1/theirs", "identityOwner": "operator"}
    further = {"name": "theirs", "type": "aws-sqs-queue", "metadata": metadata}
    scaling = {"engine": "KEDA", "maxReplicas": 2, "keda": {"triggers": [further]}}
    shop.take(workers=[{"name": "worker", "scaling": scaling}])
    assert "uses KEDA's own role (identityOwner: operator)" in reconciler.serve().problem
    assert "ScaledObject shop-worker" not in shop.names()


@pytest.mark.usefixtures("keda_crds")
def test_a_trigger_authentication_of_the_app_s_namespace_is_its_own(shop, reconciler):
    shop.take(**by_keda(keda={"authenticationRef": {"name": "mine"}}))
    assert reconciler.outcomes()["ScaledObject shop-worker"] == "created"


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "other"},
    "spec": {"containers": [{"name": "any", "image": "any:1"}]},
}
COST = "controller.kubernetes.io/pod-deletion-cost"
DENIED = "ValidatingAdmissionPolicy 'celery-reconcile-"


@pytest.fixture
def stolen(cluster, installed):
    """Return the cluster as whoever has stolen the reconciler's token sees it, once the policies hold."""
    path = f"/api/v1/namespaces/{installed.namespace}/serviceaccounts/celery-reconcile/token"
    thief = replace(cluster, token=cluster.request("POST", path, {}).accepted().body["status"]["token"])
    anything = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}}
    cluster.wait_until(lambda: DENIED in thief.apply(anything, dryRun="All").body.get("message", ""))
    return thief


def patched(cluster, path, patch):
    """Return the code, or DENIED if it was a policy that refused."""
    answer = cluster.request("PATCH", path, patch, content_type="application/merge-patch+json")
    return "denied" if DENIED in answer.body.get("message", "") else answer.status


ATTACKS = {
    "another image": {"spec": {"containers": [{"name": "any", "image": "evil:1"}]}},
    "a label": {"metadata": {"labels": {"app": "other"}}},
    "another annotation": {"metadata": {"annotations": {"any": "x"}}},
    "one annotation less": {"metadata": {"annotations": {"theirs": None}}},
    "an owner": {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"}]}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/any"]}},
    "a deadline": {"spec": {"activeDeadlineSeconds": 1}},
}


@pytest.mark.parametrize("patch", ATTACKS.values(), ids=ATTACKS)
def test_a_stolen_token_changes_nothing_of_a_pod(cluster, stolen, patch):
    pod = POD | {"metadata": POD["metadata"] | {"annotations": {"theirs": "x"}}}
    cluster.apply(pod).accepted()
    assert patched(stolen, cluster.path(pod), patch) in {"denied", 403}  # an owner is refused by another plug-in, too


def test_but_for_what_its_deletion_costs(cluster, stolen):
    cluster.apply(POD).accepted()
    assert patched(stolen, cluster.path(POD), {"metadata": {"annotations": {COST: "5"}}}) == 200
    assert patched(stolen, cluster.path(POD), {"metadata": {"annotations": {COST: None}}}) == 200


def test_a_stolen_token_touches_nobody_else_s_objects(cluster, stolen):
    """Whatever its kind, neither to change it, nor to scale or delete it, nor to make it one of ours first."""
    cluster.kubectl("create", "deployment", "dns", "--image=dns:1")
    cluster.kubectl("create", "configmap", "settings", "--from-literal=a=b")
    deployment = f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments/dns"
    image = {"spec": {"template": {"spec": {"containers": [{"name": "dns", "image": "evil:1"}]}}}}
    assert patched(stolen, deployment, image) == "denied"
    assert patched(stolen, f"{deployment}/scale", {"spec": {"replicas": 0}}) == "denied"
    assert patched(stolen, deployment, {"metadata": {"labels": {"celeryproject.org/app": "x"}}}) == "denied"
    assert (
        patched(stolen, f"/api/v1/namespaces/{cluster.namespace}/configmaps/settings", {"data": {"a": "c"}}) == "denied"
    )
    assert DENIED in stolen.request("DELETE", deployment).body["message"]


def test_nobody_else_is_judged_by_these_policies(cluster, stolen):  # noqa: ARG001 (they hold)
    cluster.apply(POD).accepted()
    assert patched(cluster, cluster.path(POD), {"metadata": {"labels": {"app": "other"}}}) == 200
