"""reconciler/model.py: identities and where the API server keeps them."""

import pytest

from reconciler.model import CELERY_APP, CHILD_KINDS, CONFIG_MAP, DEPLOYMENT, Ref

WORKER = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "shop-worker"}}


def test_a_ref_reads_as_people_say_it():
    assert str(Ref.of(WORKER)) == "Deployment/shop/shop-worker"


def test_a_ref_knows_its_path():
    assert Ref.of(WORKER).path == "/apis/apps/v1/namespaces/shop/deployments/shop-worker"


def test_a_name_leads_nowhere_else():
    elsewhere = Ref("v1", "Secret", "shop", "../../bank/secrets/broker")
    assert elsewhere.path == "/api/v1/namespaces/shop/secrets/..%2F..%2Fbank%2Fsecrets%2Fbroker"


@pytest.mark.parametrize(
    ("kind", "namespace", "path"),
    [
        (CONFIG_MAP, None, "/api/v1/configmaps"),
        (CONFIG_MAP, "shop", "/api/v1/namespaces/shop/configmaps"),
        (CELERY_APP, None, "/apis/celeryproject.org/v1alpha1/celeryapps"),
        (DEPLOYMENT, "shop", "/apis/apps/v1/namespaces/shop/deployments"),
    ],
)
def test_a_kind_knows_where_all_of_it_is(kind, namespace, path):
    assert kind.path(namespace) == path


def test_a_kind_that_is_none_of_ours_has_no_path():
    with pytest.raises(KeyError):
        _ = Ref("v1", "Node", "shop", "any").path


def test_only_what_keda_brings_may_be_absent():
    assert {kind.api_version for kind in CHILD_KINDS if kind.optional} == {"keda.sh/v1alpha1"}
