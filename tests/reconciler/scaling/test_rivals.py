"""What counts as another autoscaler."""

import pytest

from reconciler.cluster.cache import Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import Controller
from reconciler.model import HORIZONTAL_POD_AUTOSCALER, Ref
from reconciler.scaling.rivals import Autoscaler, autoscaler
from reconciler.scaling.sight import Measured, Sight

REF = Ref("autoscaling/v2", "HorizontalPodAutoscaler", "web", "by-hand")


KEDA = Controller("keda.sh/v1alpha1", "ScaledObject", "theirs", "its")
OF_KEDA = {"apiVersion": KEDA.api_version, "kind": KEDA.kind, "name": KEDA.name, "uid": KEDA.uid, "controller": True}
OURS = Controller("celeryproject.org/v1alpha1", "CeleryApp", "shop", "app")


def manifest(kind="Deployment", owners=None):
    metadata = {"namespace": "web", "name": "by-hand", "resourceVersion": "7", "ownerReferences": owners}
    spec = {"scaleTargetRef": {"kind": kind, "name": "shop-worker"}}
    return {"apiVersion": REF.api_version, "kind": REF.kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("owners", "controller", "words"),
    [
        pytest.param(None, None, "HorizontalPodAutoscaler by-hand", id="nobody's"),
        pytest.param([{"uid": "any"}, OF_KEDA], KEDA, "ScaledObject theirs", id="its controller's"),
    ],
)
def test_an_autoscaler_is_known_by_its_deployment_and_whose_it_is(owners, controller, words):
    found = autoscaler(manifest(owners=owners))
    assert str(found) == words
    assert found == Autoscaler(REF, "7", "shop-worker", controller)
    assert found.keys == (("web", "shop-worker"),)


def test_one_of_another_kind_is_none():
    assert autoscaler(manifest("StatefulSet")) is None


@pytest.mark.parametrize("order", ["abc", "cba"])
def test_of_several_the_first_by_name_is_the_rival(order):
    rivals = Store(None, HORIZONTAL_POD_AUTOSCALER, autoscaler, Where(None, ""))
    for name in order:
        ref = REF._replace(name=name)
        rivals.take(Autoscaler(ref, "7", "shop-worker", controller=OURS if name == "a" else None))
    sight = Sight(1, rivals, rivals, Measured({}))
    assert sight.rival(Ref("apps/v1", "Deployment", "web", "shop-worker"), "app").ref.name == "b"
