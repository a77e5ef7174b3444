"""Which children there are, in which order, and that they have nothing in common but their values."""

import copy

import pytest

from render import build, default
from render.model import CeleryApp

RICH = {
    "celeryVersion": "5.7",
    "broker": {"type": "RabbitMQ", "urlFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}},
    "settings": {"broker_transport_options": {"a": [1]}},
    "env": [{"name": "A", "value": "1"}],
    "resources": {"requests": {"cpu": "1"}},
    "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1024Mi"}}],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podAnnotations": {"a": "b"},
    "workers": [
        {
            "name": "fast",
            "queues": ["fast"],
            "disruptionBudget": {"maxUnavailable": 1},
            "scaling": {"maxReplicas": 3, "cpu": {"averageUtilization": 50}},
        },
        {
            "name": "slow",
            "queues": ["slow"],
            "scaling": {
                "engine": "HPA",
                "maxReplicas": 3,
                "cpu": {"averageUtilization": 50},
                "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}},
            },
        },
        {
            "name": "keda",
            "queues": ["keda"],
            "scaling": {"engine": "KEDA", "maxReplicas": 3, "queue": {"averageLength": 5}},
        },
    ],
    "beat": {"storage": {}, "probe": {"type": "Ping"}},
    "flower": {
        "auth": {"basicAuth": {"secretKeyRef": {"name": "flower", "key": "users"}}},
        "persistence": {},
        "service": {"annotations": {"a": "b"}},
        "ingress": {"host": "flower.example.com", "annotations": {"a": "b"}, "tlsSecretName": "tls"},
        "networkPolicy": {"from": [{"podSelector": {}}]},
    },
}


def mutables(value):
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from mutables(item)


def test_the_smallest_app_has_a_group_of_workers_and_its_probe(children):
    assert list(children()) == ["ConfigMap/shop-probe", "Deployment/shop-worker"]


def test_a_rich_app_has_every_kind_of_child_in_the_order_of_their_needs(children):
    assert list(children(**RICH)) == [
        "ConfigMap/shop-probe",
        "PersistentVolumeClaim/shop-beat",
        "PersistentVolumeClaim/shop-flower",
        "NetworkPolicy/shop-flower",
        "Service/shop-flower",
        "Deployment/shop-fast",
        "Deployment/shop-slow",
        "Deployment/shop-keda",
        "Deployment/shop-beat",
        "Deployment/shop-flower",
        "PodDisruptionBudget/shop-fast",
        "Ingress/shop-flower",
        "TriggerAuthentication/shop-broker",
        "HorizontalPodAutoscaler/shop-slow",
        "ScaledObject/shop-keda",
        "CeleryApp/shop",
    ]


def test_no_probe_files_where_nothing_is_probed(children):
    assert list(children(workers=[{"name": "worker", "probe": {"type": "None"}}])) == ["Deployment/shop-worker"]


@pytest.mark.parametrize("spec", [{}, RICH], ids=["minimal", "rich"])
def test_children_share_nothing_with_each_other_or_with_the_app(app, spec):
    """One dict in two places is a YAML alias to some writers, and a change in two places to whoever edits a child."""
    shop = app(**copy.deepcopy(spec))
    found = [id(one) for child in build.children(shop) for one in mutables(child)]
    assert len(found) == len(set(found))
    assert not set(found) & {id(one) for root in (shop.spec, shop.written) for one in mutables(root)}


def test_building_changes_nothing_in_the_app_and_gives_the_same_again(app):
    shop = app(**copy.deepcopy(RICH))
    before = copy.deepcopy(shop)
    assert build.children(shop) == build.children(shop)
    assert shop == before


def test_nothing_is_null_or_empty_but_what_says_something_by_being_empty(children):
    def nothings(value, path=""):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if item is None or item in ({}, []):
                yield f"{path}.{key}".rpartition(".")[2]
            elif isinstance(item, dict | list):
                yield from nothings(item, f"{path}.{key}")

    found = children(**RICH)
    written = found.pop("CeleryApp/shop")
    assert set(nothings(found)) <= {"emptyDir", "podSelector", "nodeAffinity"}
    assert written["spec"]["beat"]["storage"] == {}


def test_a_namespace_is_on_every_child_if_the_app_has_one(crd, document):
    data = document(**RICH)
    data["metadata"]["namespace"] = "web"
    found = build.children(CeleryApp.from_document(default.fill(data, crd.structural), written=data))
    assert {child["metadata"]["namespace"] for child in found} == {"web"}


def test_no_namespace_is_on_any_child_otherwise(children):
    assert not [name for name, child in children(**RICH).items() if "namespace" in child["metadata"]]


def test_labels_and_annotations_of_spec_are_on_every_child(children):
    """But on the CeleryApp, which is there as it was written."""
    given = {"labels": {"team": "a"}, "annotations": {"wave": "1"}}
    for name, child in children(**RICH, **given).items():
        if name != "CeleryApp/shop":
            found = child["metadata"]
            assert given["labels"].items() <= found["labels"].items(), name
            assert given["annotations"].items() <= found["annotations"].items(), name


def test_labels_and_annotations_of_a_component_are_on_its_deployment(children):
    beat = {"labels": {"team": "b"}, "annotations": {"wave": "2"}, "storage": {}}
    found = children(labels={"team": "a", "tier": "back"}, annotations={"wave": "1"}, beat=beat)
    deployment = found["Deployment/shop-beat"]["metadata"]
    assert {"team": "b", "tier": "back", "app.kubernetes.io/name": "celery"}.items() <= deployment["labels"].items()
    assert deployment["annotations"] == {"wave": "2"}
    claim = found["PersistentVolumeClaim/shop-beat"]["metadata"]
    assert (claim["labels"]["team"], claim["annotations"]) == ("a", {"wave": "1"})


def test_the_app_that_the_reconciler_scales_is_there_as_written(children, document):
    spec = {"workers": [{"name": "worker", "scaling": {"maxReplicas": 3, "cpu": {"averageValue": "1000m"}}}]}
    expected = document(**spec)
    expected["metadata"]["labels"] = {"celeryproject.org/app": "shop"}
    expected["spec"]["reconcile"] = "Scale"
    assert children(**spec)["CeleryApp/shop"] == expected


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"workers": [{"name": "worker", "replicas": 3}]}, id="nothing is scaled"),
        pytest.param(
            {
                "reconcile": "Off",
                "workers": [{"name": "worker", "scaling": {"maxReplicas": 3, "cpu": {"averageValue": "1"}}}],
            },
            id="the reconciler shall keep out",
        ),
        pytest.param(
            {"workers": [{"name": "w", "scaling": {"engine": "HPA", "maxReplicas": 3, "cpu": {"averageValue": "1"}}}]},
            id="something else scales",
        ),
    ],
)
def test_the_app_itself_is_no_child_where(children, spec):
    assert "CeleryApp/shop" not in children(**spec)
