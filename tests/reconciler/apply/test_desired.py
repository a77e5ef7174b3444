"""The children of an app as the reconciler applies them."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler import model
from reconciler.apply import desired
from render import pipeline, schema
from render.errors import InvalidInput
from render.model import Document

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("**/app.yaml"))
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
    rendered = pipeline.base(Document(app.manifest, "any", {}), schema.load()).children
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
    groups = [
        {"name": "worker", "queues": ["celery"], "scaling": scaling},
        {"name": "mail", "queues": ["mail"], "replicas": 2},
    ]
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
