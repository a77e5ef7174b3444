"""The CustomResourceDefinition in a real API server."""

import json
from pathlib import Path

import build
import generate
import pytest
import reference
import since
import yaml

from render.since import less

LAST_APPLIED_LIMIT = 262_144  # bytes of all annotations of an object, and client-side apply keeps the object in one


@pytest.fixture(scope="module")
def openapi(plane):
    paths = {name: f"/openapi/v3/{name.replace('__', '/')}" for name in generate.DOCUMENTS}
    return {name: plane.request("GET", path).accepted().body for name, path in paths.items()}


def test_it_is_what_the_generator_makes_of_the_servers_own_openapi(openapi, celeryapp_crd, release):
    """Of an older server: but for the fields that came later."""
    made = generate.expand(generate.source(), openapi, generate.core()["crd"])
    assert known(made, release) == known(celeryapp_crd, release), "run: make crd"


def known(crd, release):
    """Return the CRD without the fields that the release does not have."""
    [version] = crd["spec"]["versions"]
    schema = {"openAPIV3Schema": less(version["schema"]["openAPIV3Schema"], release)}
    return crd | {"spec": crd["spec"] | {"versions": [version | {"schema": schema}]}}


@pytest.mark.usefixtures("newest")
def test_so_is_what_it_has_no_room_for(openapi):
    written = (Path(__file__).parents[2] / "crds/pods.yaml").read_text(encoding="utf-8")
    assert generate.pods(generate.source(), openapi, generate.core()) == yaml.safe_load(written), "run: make crd"


@pytest.mark.usefixtures("binary")
def test_what_came_when_is_fresh():
    sources = {release: build.source(release) for release in build.RELEASES}
    assert since.text(since.table(sources)) == since.WRITTEN.read_text(encoding="utf-8"), "run: make crd"


@pytest.mark.usefixtures("newest")
def test_the_reference_is_fresh(openapi):
    written = Path(__file__).parents[2] / "docs/reference.md"
    assert reference.page(generate.source(), openapi) == written.read_text(encoding="utf-8"), "run: make crd"


def test_the_server_takes_it_without_a_warning(cluster, celeryapp_crd):
    assert cluster.apply(celeryapp_crd).accepted().warnings == ()


def test_it_is_established_and_structural(cluster, celeryapp_crd):
    conditions = {each["type"]: each["status"] for each in cluster.get(celeryapp_crd)["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_an_app_that_nobody_has_looked_at_says_so(cluster, celeryapp_crd):  # noqa: ARG001 (installs it)
    """By kstatus, with which Flux waits, an object without a status is what it should be."""
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
    app["spec"] = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(app))
    assert cluster.get(app)["status"] == {"observedGeneration": -1}


def test_client_side_apply_takes_it_too(cluster, celeryapp_crd):
    assert len(json.dumps(celeryapp_crd, separators=(",", ":")).encode()) < LAST_APPLIED_LIMIT
    printed = cluster.kubectl("apply", "-f", "-", stdin=json.dumps(celeryapp_crd)).stdout
    assert printed.startswith("customresourcedefinition.apiextensions.k8s.io/celeryapps.celeryproject.org ")


def test_kubectl_explains_its_fields(cluster, celeryapp_crd):  # noqa: ARG001 (installs it)
    explained = cluster.kubectl("explain", "celeryapp.spec.workers").stdout
    assert "FIELD: workers <[]Object>" in explained
    assert "concurrency" in explained
