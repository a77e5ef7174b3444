"""The deployments of examples/real in the hands of the reconciler, with every rule of a real API server."""

from pathlib import Path

import pytest
import yaml

pytest_plugins = "reconciling"

APPS = sorted((Path(__file__).parents[3] / "examples/real").glob("*/app.yaml"))


def in_base(app):
    """Return the children in the base of an app, by kind and name."""
    listed = yaml.safe_load((app.parent / "base/kustomization.yaml").read_text())["resources"]
    manifests = [yaml.safe_load((app.parent / "base" / name).read_text()) for name in listed]
    return {f"{each['kind']} {each['metadata']['name']}" for each in manifests if each["kind"] != "CeleryApp"}


@pytest.mark.parametrize("app", APPS, ids=lambda path: path.parent.name)
def test_every_child_of_a_real_deployment_is_made_and_stays_as_it_is(cluster, reconciler, app):
    manifest = yaml.safe_load(app.read_text())
    manifest["spec"]["reconcile"] = "Apply"
    assert cluster.apply(manifest).accepted().warnings == ()
    assert reconciler.outcomes() == dict.fromkeys(in_base(app), "created")
    assert reconciler.outcomes() == {}
