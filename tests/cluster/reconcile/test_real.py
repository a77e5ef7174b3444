"""The deployments of examples/real in the hands of the reconciler, with every rule of a real API server."""

from pathlib import Path

import pytest
import yaml

pytest_plugins = "reconciling"

APPS = sorted((Path(__file__).parents[3] / "examples/real").glob("*/app.yaml"))


def in_base(app):
    """Return the children in the base of an app, by kind and name."""
    files = [yaml.safe_load(path.read_text()) for path in (app.parent / "base").rglob("*.yaml")]
    others = {"Kustomization", "CeleryApp"}
    return {
        f"{each['kind']} {each['metadata']['name']}"
        for each in files
        if each.get("kind", "Kustomization") not in others
    }


@pytest.mark.parametrize("app", APPS, ids=lambda path: path.parent.name)
def test_every_child_of_a_real_deployment_is_made_and_stays_as_it_is(cluster, reconciler, app):
    manifest = yaml.safe_load(app.read_text())
    manifest["spec"]["reconcile"] = "Apply"
    assert cluster.apply(manifest).accepted().warnings == ()
    assert reconciler.outcomes() == dict.fromkeys(in_base(app), "created")
    assert reconciler.outcomes() == {}
