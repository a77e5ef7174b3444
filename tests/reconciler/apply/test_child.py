"""What a child needs, by what is really rendered."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.apply.child import Child
from render import pipeline, schema
from render.model import Document

EXAMPLES = Path(__file__).parents[3] / "examples"
PROBE = ("ConfigMap", "shop-probe")


def rendered(spec):
    """Return what is rendered of the app `shop` with this spec."""
    spec = {"image": "shop:1", "app": "shop.celery:app", "workers": [{"name": "worker"}]} | spec
    manifest = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
    children = pipeline.base(Document(manifest | {"spec": spec}, "any", {}), schema.load()).children
    return [each | {"metadata": each["metadata"] | {"namespace": "web"}} for each in children]


def needs(manifests):
    """Return what each child needs, of those that need anything."""
    found = {(each["kind"], each["metadata"]["name"]): set(Child(each).needs) for each in manifests}
    return {child: needed for child, needed in found.items() if needed}


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (
            "django",
            {
                ("Deployment", "shop-worker"): {PROBE, ("PersistentVolumeClaim", "mysite-media")},
            },
        ),
        ("long-tasks", {("Deployment", "shop-encode"): {PROBE}}),
        ("minimal", {("Deployment", "shop-worker"): {PROBE}}),
        (
            "rabbitmq",
            {
                ("Deployment", "shop-fast"): {PROBE},
                ("Deployment", "shop-reports"): {PROBE},
                ("Deployment", "shop-beat"): {PROBE, ("PersistentVolumeClaim", "shop-beat")},
                ("Deployment", "shop-flower"): {PROBE, ("PersistentVolumeClaim", "shop-flower")},
                ("HorizontalPodAutoscaler", "shop-reports"): {("Deployment", "shop-reports")},
                ("ScaledObject", "shop-fast"): {("Deployment", "shop-fast"), ("TriggerAuthentication", "shop-broker")},
            },
        ),
        (
            "shop",
            {
                ("Deployment", "shop-worker"): {PROBE},
                ("Deployment", "shop-mail"): {PROBE},
                ("Ingress", "shop-flower"): {("Service", "shop-flower")},
            },
        ),
    ],
)
def test_what_the_children_of_the_examples_need(example, expected):
    assert needs(rendered(YAML(typ="safe").load(EXAMPLES / example / "app.yaml")["spec"])) == expected


def test_every_example_is_looked_at():
    assert {path.parent.name for path in EXAMPLES.glob("*/app.yaml")} == {
        "django",
        "long-tasks",
        "minimal",
        "rabbitmq",
        "shop",
    }


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/app.yaml")), ids=lambda path: path.parent.name)
def test_every_child_that_names_another_needs_it(path):
    """Found the other way round: whatever in a child is the name of another one of a kind that is not its own."""
    manifests = rendered(YAML(typ="safe").load(path)["spec"])
    for each in manifests:
        mentioned = set(mentions(each.get("spec", {}), {(m["kind"], m["metadata"]["name"]) for m in manifests}))
        assert mentioned <= Child(each).needs, each["kind"]


KEYS = {
    ("configMap", "name"): "ConfigMap",
    ("configMapRef", "name"): "ConfigMap",
    ("configMapKeyRef", "name"): "ConfigMap",
    ("persistentVolumeClaim", "claimName"): "PersistentVolumeClaim",
    ("scaleTargetRef", "name"): "Deployment",
    ("authenticationRef", "name"): "TriggerAuthentication",
    ("service", "name"): "Service",
}


def mentions(value, children, above=""):
    """Yield the children that are named anywhere in a spec."""
    if isinstance(value, list):
        for item in value:
            yield from mentions(item, children, above)
    elif isinstance(value, dict):
        for key, below in value.items():
            if (above, key) in KEYS and (KEYS[above, key], below) in children:
                yield KEYS[above, key], below
            yield from mentions(below, children, key)


def test_an_apply_to_an_object_that_was_seen_is_bound_to_its_uid(child, live):
    assert child(live=live()).guarded["metadata"]["uid"] == "uid of shop-worker"
    assert "resourceVersion" not in child(live=live()).guarded["metadata"]


def test_the_digest_is_of_what_is_desired_alone(child, live):
    assert child(live=live()).digest == child().digest
    assert child(spec={"replicas": 9}).digest != child().digest
