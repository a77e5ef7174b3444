"""The children of an app as the reconciler applies them."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler import model
from reconciler.apply import desired
from render import pipeline, schema
from render.errors import InvalidInput

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/app.yaml"))
OWNER = {
    "apiVersion": "celeryproject.org/v1alpha1",
    "kind": "CeleryApp",
    "name": "shop",
    "uid": "the-app",
    "controller": True,
    "blockOwnerDeletion": True,
}


def ours(manifest):
    """Return what is rendered as the reconciler applies it to the app `shop` in the namespace `web`."""
    metadata = manifest["metadata"]
    labels = metadata["labels"] | {"app.kubernetes.io/managed-by": "celery-reconcile"}
    return manifest | {"metadata": metadata | {"namespace": "web", "labels": labels, "ownerReferences": [OWNER]}}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_children_are_what_is_rendered_with_label_owner_and_namespace(celery_app, example):
    spec = YAML(typ="safe").load(example)["spec"]
    app = celery_app(spec)
    rendered = pipeline.base(desired.Document(app.manifest, "any", {}), schema.load()).children
    children = desired.children(app, schema.load())
    expected = [ours(each) for each in rendered if each["kind"] != "CeleryApp"]
    assert sorted(children, key=json.dumps) == sorted(expected, key=json.dumps)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_children_come_in_the_order_in_which_they_are_applied(celery_app, example):
    kinds = [kind.name for kind in model.CHILD_KINDS]
    spec = YAML(typ="safe").load(example)["spec"]
    ranks = [kinds.index(child["kind"]) for child in desired.children(celery_app(spec), schema.load())]
    assert ranks == sorted(ranks)


def test_a_scaled_group_has_no_replicas(celery_app):
    scaling = {"maxReplicas": 5, "cpu": {"averageValue": "100m"}}
    groups = [{"name": "worker", "scaling": scaling}, {"name": "mail", "replicas": 2}]
    children = desired.children(celery_app({"workers": groups}), schema.load())
    replicas = {
        child["metadata"]["name"]: child["spec"].get("replicas") for child in children if child["kind"] == "Deployment"
    }
    assert replicas == {"shop-worker": None, "shop-mail": 2}


def test_every_problem_of_an_invalid_app_is_named(celery_app):
    with pytest.raises(InvalidInput) as refusal:
        desired.children(celery_app({"image": "", "celeryVersion": "4"}), schema.load())
    assert {problem.path for problem in refusal.value.problems} == {("spec", "image"), ("spec", "celeryVersion")}


def test_the_app_is_left_as_it_was(celery_app):
    app = celery_app()
    before = app.manifest
    desired.children(app, schema.load())
    assert app.manifest == before


SCALING = {"maxReplicas": 5, "queue": {"averageLength": 4}}


def scaled(app):
    return desired.scaled(app, schema.load())


def test_only_groups_of_our_own_engine_are_ours_to_scale(celery_app):
    workers = [
        {"name": "fixed", "replicas": 2},
        {"name": "ours", "scaling": SCALING},
        {"name": "kedas", "scaling": SCALING | {"engine": "KEDA"}},
        {"name": "ours-too", "scaling": {"maxReplicas": 5, "cpu": {"averageValue": "1"}}},
    ]
    app = celery_app({"broker": {"url": "redis://redis/1"}, "workers": workers})
    assert app.scales
    assert [group.name for group in scaled(app)] == ["ours", "ours-too"]
    assert not celery_app({"workers": workers[:1]}).scales


def test_a_group_knows_its_queues_its_broker_and_its_settings(celery_app):
    options = {"broker_transport_options": {"visibility_timeout": 60}}
    worker = {"name": "mail", "queues": ["mail", "news"], "scaling": SCALING, "settings": {"control_exchange": "shop"}}
    secret = {"secretKeyRef": {"name": "shop-broker", "key": "url"}}
    [group] = scaled(celery_app({"broker": {"urlFrom": secret}, "settings": options, "workers": [worker]}))
    assert (group.queues, group.url) == ({"mail", "news"}, ("shop-broker", "url"))
    assert group.settings == options | {"control_exchange": "shop"}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        pytest.param({"broker": {"url": "redis://redis/1"}}, ({"celery"}, "redis://redis/1"), id="Celery's own queue"),
        pytest.param(
            {"scaling": {"maxReplicas": 5, "cpu": {"averageValue": "1"}}}, (set(), None), id="none is counted"
        ),
    ],
)
def test_without_queues_a_group_has_that_of_celery(celery_app, spec, found):
    worker = {"name": "worker", "scaling": spec.pop("scaling", SCALING)}
    [group] = scaled(celery_app({**spec, "workers": [worker]}))
    assert (group.queues, group.url) == found


def test_an_invalid_app_has_no_groups_to_scale(celery_app):
    with pytest.raises(InvalidInput):
        scaled(celery_app({"workers": [{"name": "worker", "scaling": {"maxReplicas": 0}}]}))
