"""The image that `make release` makes, at work in the installation's pods."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import debian_pins
import image
import images
import pytest
from celery_versions import VERSIONS

ROOT = Path(__file__).parents[2]
NAME = "registry.example.com/celery-render:0.1.0"
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}


@pytest.fixture(scope="module")
def released(node, tmp_path_factory):
    """Return the digest of the config of an image made of the checkout, which the node has."""
    folder = tmp_path_factory.mktemp("image")
    requirements = shutil.copytree(ROOT / "requirements", folder / "requirements")
    debian_pins.keep_up(requirements / "debian.sha256")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", ROOT]
    subprocess.run(pip, check=True)
    [wheel] = folder.glob("*.whl")
    archive = folder / "image.oci.tar"
    made = image.make(archive, NAME, wheel, requirements, {image.CREATED: "2026-01-01T00:00:00Z"})
    node.load(images.Archive(NAME, archive))
    with tarfile.open(archive) as blobs:
        return json.load(blobs.extractfile(f"blobs/{made.digest.replace(':', '/')}"))["config"]["digest"]


@pytest.fixture(scope="module")
def installed(installation, released):
    """Return the pods of the installed reconciler once all are Ready with this image, their probes answered."""

    def rolled_out(image):
        installation.kubectl("set", "image", "deployment/celery-reconcile", f"celery-reconcile={image}")
        installation.wait_until(lambda: installation.is_rolled_out(DEPLOYMENT))

    [before] = installation.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    rolled_out(NAME)
    yield lambda: [pod for pod in installation.pods() if pod["status"]["containerStatuses"][0]["imageID"] == released]
    rolled_out(before["image"])


def test_it_reconciles_under_the_restricted_pod_security_standard(node, cluster, reconciler, installed, redis):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": reconciler.namespace}}
    labels = node.cluster.get(namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert len(installed()) == 2
    spec = {
        "image": node.load(images.celery(VERSIONS[-1])),
        "app": "shop.celery:app",
        "broker": {"url": redis.url},
        "workers": [{"name": "worker", "queues": ["celery"]}],
    }
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}, "spec": spec}
    cluster.apply(app).accepted()
    cluster.wait_until(lambda: cluster.condition(app, "Ready"))
    for pod in installed():
        [container] = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_its_certificates_and_time_zones_are_where_python_looks(reconciler, installed):
    """Also that nobody may write beside the program, nor run a shell."""
    look = """
import os, shutil, ssl, zoneinfo
print(len(ssl.create_default_context().get_ca_certs()) > 100, zoneinfo.ZoneInfo("Europe/Berlin"), os.getuid())
print(shutil.which("sh"), [path for path in os.environ["PATH"].split(":") if os.access(path, os.W_OK)])
"""
    name = installed()[0]["metadata"]["name"]
    printed = reconciler.kubectl("exec", name, "--", "python3", "-c", look).stdout.splitlines()
    assert printed == ["True Europe/Berlin 65532", "None []"]
