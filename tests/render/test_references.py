"""What kustomize is told is what the schema has: no field forgotten, none that is not there."""

import re
from pathlib import Path

from render import emit, references

NAMES = re.compile(
    r"/(secretKeyRef|secretRef|configMapKeyRef|configMapRef|configMap|secret|imagePullSecrets|authenticationRef)/name$"
    r"|/(secretName|tlsSecretName|claimName|existingClaim|serviceAccountName|priorityClassName|storageClassName)$"
    r"|/ingress/className$"
)
IMAGES = re.compile(r"/(image|image/reference)$")
NOT_TOLD = re.compile(r"/volumes/(azureFile|cinder|ephemeral|flexVolume)/")
"""Kustomize does not follow them in a Deployment either."""


def paths(schema, path):
    """Yield the path of every field that holds a value, as kustomize writes it."""
    below = dict(schema.get("properties", {}))
    if "items" in schema:
        yield from paths(schema["items"], path)
    elif not below:
        yield path
    for name, field in below.items():
        yield from paths(field, f"{path}/{name}")


def test_every_field_of_a_celery_app_that_names_something_is_told_and_no_other(crd):
    fields = [path for path in paths(crd.structural["properties"]["spec"], "spec") if not NOT_TOLD.search(path)]
    told = references.CELERY_APP
    assert sorted(path for each in told.names.values() for path in each) == sorted(filter(NAMES.search, fields))
    assert sorted(told.images) == sorted(filter(IMAGES.search, fields))


def test_a_base_of_kinds_that_kustomize_knows_tells_it_nothing():
    children = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop-worker"}}]
    assert references.configuration(["apps", "v1"]) is None
    assert list(emit.files(children)) == ["deployment-shop-worker.yaml", "kustomization.yaml"]


def test_a_base_tells_of_the_kinds_it_holds():
    children = [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "shop-worker"}}]
    assert references.configuration(["keda.sh", "apps"]) == {
        "nameReference": [
            {
                "kind": "ConfigMap",
                "version": "v1",
                "fieldSpecs": [{"path": "spec/configMapTargetRef/name", "kind": "TriggerAuthentication"}],
            },
            {"kind": "Deployment", "fieldSpecs": [{"path": "spec/scaleTargetRef/name", "kind": "ScaledObject"}]},
            {
                "kind": "Secret",
                "version": "v1",
                "fieldSpecs": [{"path": "spec/secretTargetRef/name", "kind": "TriggerAuthentication"}],
            },
            {
                "kind": "TriggerAuthentication",
                "fieldSpecs": [{"path": "spec/triggers/authenticationRef/name", "kind": "ScaledObject"}],
            },
        ]
    }
    files = emit.files(children)
    assert list(files) == ["scaledobject-shop-worker.yaml", "kustomizeconfig.yaml", "kustomization.yaml"]
    assert files["kustomization.yaml"].endswith("configurations:\n- kustomizeconfig.yaml\n")


def test_the_component_for_overlays_without_a_base_tells_all():
    component = Path(__file__).parents[2] / "kustomize/components/references/kustomizeconfig.yaml"
    assert component.read_text() == emit.stream([references.configuration(references.KINDS)])
