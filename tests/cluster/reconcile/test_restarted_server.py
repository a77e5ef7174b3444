"""A control plane of its own: its API server ends and comes back; CeleryApps are a kind that comes later and goes."""

import subprocess
import sys
from pathlib import Path

import control_plane
import parts
import pytest
import yaml

ROOT = Path(__file__).parents[3]
CRD = yaml.safe_load((ROOT / "crds/celeryapps.yaml").read_text())
SOONER = "from reconciler.cluster import client; client.SILENCE_SECONDS = 5; from reconciler import cli; cli.main()"
IMPATIENT = (sys.executable, "-c", SOONER)  # a server may leave a watch open of a kind that is gone
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def own_plane(binary, tmp_path):
    with control_plane.without_nodes(binary, tmp_path, parts.KWOK, 1) as plane:
        yield plane


@pytest.fixture
def reconciler(own_plane, tmp_path):
    """Run celery-reconcile as the plane's admin, with intervals that no test waits for."""
    command = [
        sys.executable,
        "-m",
        "reconciler",
        "run",
        "--interval=3600",
        f"--kubeconfig={own_plane.cluster.kubeconfig}",
    ]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, cwd=ROOT, stderr=log) as process:
        yield process
        process.kill()


def take(cluster, name):
    spec = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": name}, "spec": spec}
    cluster.apply(app).accepted()


def wait_for_worker(cluster, name, timeout_seconds=60):
    path = f"/apis/apps/v1/namespaces/default/deployments/{name}-worker"
    cluster.wait_until(lambda: cluster.request("GET", path).status == 200, timeout_seconds)


def remove(cluster):
    cluster.request("DELETE", f"{CRDS}/{CRD['metadata']['name']}").accepted()
    cluster.wait_until(lambda: cluster.request("GET", f"{CRDS}/{CRD['metadata']['name']}").status == 404)


def test_it_outlives_its_server_and_its_own_kind(own_plane, reconciler):
    cluster = own_plane.cluster
    assert reconciler.poll() is None
    control_plane.install(cluster, CRD)
    take(cluster, "first")
    wait_for_worker(cluster, "first")

    own_plane.end("kube-apiserver")
    own_plane.start("kube-apiserver", parts.kube_apiserver(own_plane.ports, parts.KWOK))
    own_plane.wait_until(lambda: control_plane.is_up(cluster))
    take(cluster, "second")
    wait_for_worker(cluster, "second")
    cluster.kubectl("delete", "deployment", "first-worker")
    wait_for_worker(cluster, "first")

    remove(cluster)
    control_plane.install(cluster, CRD)
    take(cluster, "third")
    wait_for_worker(cluster, "third", timeout_seconds=180)  # until the server tells that the kind is there again
    assert reconciler.poll() is None
