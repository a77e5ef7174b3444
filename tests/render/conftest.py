"""From the spec of an app to its children, by way of the whole pipeline: nothing invalid is ever built."""

import pytest

from render import default, pipeline, schema
from render.model import CeleryApp, Document


@pytest.fixture(scope="session")
def crd():
    return schema.load()


@pytest.fixture
def document():
    def build(**spec):
        spec = {"image": "shop:1", "app": "shop.celery:app", **spec}
        return {
            "apiVersion": "celeryproject.org/v1alpha1",
            "kind": "CeleryApp",
            "metadata": {"name": "shop"},
            "spec": spec,
        }

    return build


@pytest.fixture
def app(crd, document):
    def build(**spec):
        data = document(**spec)
        return CeleryApp.from_document(default.fill(data, crd.structural), written=data)

    return build


@pytest.fixture
def children(crd, document):
    """Return a function from a spec to its children by `Kind/name`."""

    def build(**spec):
        found = pipeline.base(Document(document(**spec), "app.yaml", {}), crd).children
        return {f"{child['kind']}/{child['metadata']['name']}": child for child in found}

    return build


@pytest.fixture
def worker(children):
    """Return a function from the fields of a worker group, and those of spec, to the group's Deployment."""

    def build(group=None, **spec):
        return children(**spec, workers=[{"name": "worker", **(group or {})}])["Deployment/shop-worker"]

    return build


@pytest.fixture
def container():
    """Return a function from a Deployment to its Celery container."""
    return lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0]
