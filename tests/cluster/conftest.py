"""One control plane per run, a fresh namespace per test."""

import json
import subprocess
import sys
from pathlib import Path

import build
import control_plane
import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def plane(binary, tmp_path_factory):
    with control_plane.running(binary, tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture
def cluster(plane):
    """Return the plane as seen from a namespace of the test's own."""
    with control_plane.own_namespace(plane) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def celeryapp_crd(plane):
    """Return the CeleryApp's CustomResourceDefinition, installed."""
    return _installed(plane, ROOT / "crds/celeryapps.yaml")[0]


@pytest.fixture(scope="session")
def keda_crds(plane):
    """Return KEDA's own CustomResourceDefinitions, installed: they judge what is rendered for it."""
    return [crd for path in build.keda_crds() for crd in _installed(plane, path)]


def _installed(plane, path):
    crds = list(yaml.load_all(path.read_text(), yaml.CSafeLoader))  # a tenth of the pure Python loader's time
    for crd in crds:
        control_plane.install(plane, crd)
    return crds


@pytest.fixture
def rendered(tmp_path):
    """Return a function: what celery-render prints for a CeleryApp of this spec, as manifests."""

    def rendered(**spec):
        app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
        app["spec"] = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"} | spec
        (tmp_path / "app.yaml").write_text(json.dumps(app))
        command = [Path(sys.executable).with_name("celery-render"), tmp_path / "app.yaml"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return list(yaml.safe_load_all(printed))

    return rendered
