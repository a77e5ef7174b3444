"""What an app may have done with rights that are not its author's."""

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
def test_a_trigger_authentication_of_the_app_s_namespace_is_its_own(shop, reconciler):
    shop.take(**by_keda(keda={"authenticationRef": {"name": "mine"}}))
    assert reconciler.outcomes()["ScaledObject shop-worker"] == "created"
