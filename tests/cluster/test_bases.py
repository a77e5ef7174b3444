"""Every base and overlay under examples/, as someone who deploys it with an overlay of their own sees it.

The nodes are fake: the API server, the controllers and the scheduler judge, but no image is pulled and no probe is run,
and the Secrets and ConfigMaps that a base names but does not hold need not exist.
"""

import json
import os
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted([*EXAMPLES.glob("**/base"), *EXAMPLES.glob("*/overlays/*")])


@pytest.mark.usefixtures("celeryapp_crd", "keda_crds")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(EXAMPLES)))
def test_it_is_accepted_without_a_warning_and_its_pods_become_ready(cluster, folder, tmp_path):
    overlay = {"namespace": cluster.namespace, "resources": [os.path.relpath(folder, tmp_path)]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(overlay))
    manifests = list(yaml.safe_load_all(cluster.kubectl("kustomize", tmp_path).stdout))
    warnings = [cluster.apply(manifest).accepted().warnings for manifest in manifests]
    assert warnings == [()] * len(manifests)

    deployments = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
    for deployment in deployments:
        make_room(cluster, deployment["spec"]["template"]["spec"])
    cluster.wait_until(lambda: all(map(cluster.is_rolled_out, deployments)))


def make_room(cluster, pod):
    """Give the pod what a base expects of its cluster: nodes with the labels it selects, and volumes."""
    for label, value in pod.get("nodeSelector", {}).items():
        cluster.kubectl("label", "nodes", "--all", "--overwrite", f"{label}={value}")
    for volume in pod.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            provide_volume(cluster, volume["persistentVolumeClaim"]["claimName"])


def provide_volume(cluster, claim_name):
    """Create the volume a claim asks for, and the claim itself where the base leaves it to its user.

    A pod waits until the real volume controller has bound its claims, as for an admin without a provisioner.
    """
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim_name}}
    if cluster.request("GET", cluster.path(claim)).status == 404:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        cluster.apply(claim | {"spec": spec}).accepted()
    asked = cluster.get(claim)["spec"]
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{cluster.namespace}-{claim_name}"},
        "spec": {
            "claimRef": {"namespace": cluster.namespace, "name": claim_name},
            "storageClassName": asked.get("storageClassName", ""),
            "accessModes": asked["accessModes"],
            "capacity": asked["resources"]["requests"],
            "hostPath": {"path": "/nowhere"},
        },
    }
    cluster.apply(volume).accepted()
