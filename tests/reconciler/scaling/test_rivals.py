"""What counts as another autoscaler."""

import pytest

from reconciler.model import Ref
from reconciler.scaling.rivals import Autoscaler, autoscaler

REF = Ref("autoscaling/v2", "HorizontalPodAutoscaler", "web", "by-hand")


def manifest(kind="Deployment", owners=None):
    metadata = {"namespace": "web", "name": "by-hand", "resourceVersion": "7", "ownerReferences": owners}
    spec = {"scaleTargetRef": {"kind": kind, "name": "shop-worker"}}
    return {"apiVersion": REF.api_version, "kind": REF.kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("owners", "controller"),
    [
        pytest.param(None, "", id="nobody's"),
        pytest.param([{"uid": "any"}, {"uid": "its", "controller": True}], "its", id="its controller's"),
    ],
)
def test_an_autoscaler_is_known_by_its_deployment_and_whose_it_is(owners, controller):
    found = autoscaler(manifest(owners=owners))
    assert found == Autoscaler(REF, "7", "shop-worker", controller)
    assert found.keys == (("web", "shop-worker"),)


def test_one_of_another_kind_is_none():
    assert autoscaler(manifest("StatefulSet")) is None
