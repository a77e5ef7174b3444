"""Objects as the API server keeps them, for stages that are tested by value."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.apply.child import Child
from reconciler.cluster.live import App, Live
from reconciler.model import Moment

APP = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp"}
OURS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
UID = "the-app"
OWNER = APP | {"name": "shop", "uid": UID, "controller": True, "blockOwnerDeletion": True}


@pytest.fixture
def celery_app():
    """Return a function: the CeleryApp `shop` of this spec and metadata, generation 2."""

    def celery_app(spec=None, status=None, **metadata):
        metadata = {"name": "shop", "namespace": "web", "uid": UID, "generation": 2} | metadata
        spec = {"image": "shop:1", "app": "shop.celery:app", "workers": [{"name": "worker"}]} | (spec or {})
        return App.of(APP | {"metadata": metadata, "spec": spec, "status": status or {}})

    return celery_app


@pytest.fixture
def manifest():
    """Return a function: a child of `shop`, by default its worker Deployment, as it is in the cluster."""

    def manifest(kind="apps/v1 Deployment", name="shop-worker", owner=OWNER, labels=OURS, **more):
        api_version, kind = kind.split()
        metadata = {"name": name, "namespace": "web", "uid": f"uid of {name}", "resourceVersion": "7"}
        metadata |= {"labels": labels, "ownerReferences": [owner] if owner else []} | more.pop("metadata", {})
        spec = more.pop("spec", {"replicas": 3} if kind == "Deployment" else {})
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec} | more

    return manifest


@pytest.fixture
def live(manifest):
    """Return a function: the same as it was observed."""
    return lambda *args, **more: Live.of(manifest(*args, **more))


@pytest.fixture
def child(manifest):
    """Return a function: a desired child of `shop`, with what is there of it."""

    def child(kind="apps/v1 Deployment", name="shop-worker", live=None, answer=None, changes=(), **more):
        desired = manifest(kind, name, **more)
        metadata = {key: value for key, value in desired["metadata"].items() if key not in ("uid", "resourceVersion")}
        return Child(desired | {"metadata": metadata}, live, answer, tuple(changes))

    return child


@pytest.fixture
def moment():
    """Return a function: so many seconds after noon, by two clocks that do not agree."""
    noon, steady = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
    return lambda seconds: Moment(noon + timedelta(seconds=seconds), steady + timedelta(seconds=seconds))


@pytest.fixture
def kubeconfig(tmp_path):
    """Return a function: a kubeconfig `kc` in tmp_path, of such a server, with the context `a`."""

    def kubeconfig(server, **user):
        path = tmp_path / "kc"
        config = {
            "current-context": "a",
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "web"}}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": user or {"token": "t"}}],
        }
        path.write_text(json.dumps(config))
        return path

    return kubeconfig
