"""A running group of a rendered base begins to scale: what becomes of its pods, as docs/gitops.md says."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs/gitops.md").read_text()
[SECTION] = re.findall(r"^### From `replicas` to `scaling`$(.*?)^##", PAGE, re.MULTILINE | re.DOTALL)
SERVER_SIDE, CLIENT_SIDE = re.findall(r"^```console\n\$ (.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
REPLICAS = 4
WAYS = [
    pytest.param(["--server-side", "--field-manager=kustomize-controller"], SERVER_SIDE, id="server-side by Flux"),
    pytest.param(["--server-side"], SERVER_SIDE, id="server-side by kubectl"),
    pytest.param([], CLIENT_SIDE, id="client-side"),
]


@pytest.fixture
def group(cluster, rendered):
    """Return a function: apply the Deployment of a group, and return how many pods it shall have then."""

    def group(*options, **fields):
        manifests = rendered(workers=[{"name": "worker", **fields}])
        [deployment] = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
        cluster.kubectl("apply", *options, "--filename", "-", stdin=yaml.safe_dump(deployment))
        return cluster.get(deployment)["spec"]["replicas"]

    return group


@pytest.fixture
def shell(cluster, tmp_path):
    """Return a function: run the commands of the page in the test's namespace."""
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f'#!/bin/sh\nexec "{cluster.binary}" kubectl --kubeconfig "{cluster.kubeconfig}" "$@"\n')
    kubectl.chmod(0o755)
    environment = os.environ | {"PATH": f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}

    def shell(commands):
        here = commands.replace("-n shop ", f"-n {cluster.namespace} ")
        subprocess.run(["sh", "-ec", here], env=environment, check=True, timeout=60)

    return shell


SCALING = {"maxReplicas": 20, "cpu": {"averageValue": "100m"}}


@pytest.mark.parametrize(("options", "hand_over"), WAYS)
def test_a_count_that_is_handed_over_stays(cluster, group, shell, options, hand_over):
    assert group(*options, replicas=REPLICAS) == REPLICAS
    shell(hand_over)
    assert group(*options, replicas=REPLICAS) == REPLICAS  # whoever syncs does so meanwhile
    shell(hand_over)
    assert group(*options, scaling=SCALING) == REPLICAS
    cluster.kubectl("scale", "deployment/shop-worker", "--replicas=7")
    assert group(*options, scaling=SCALING) == 7


@pytest.mark.parametrize(("options", "_hand_over"), WAYS)
def test_a_count_that_is_not_handed_over_begins_at_one(group, options, _hand_over):
    assert group(*options, replicas=REPLICAS) == REPLICAS
    assert group(*options, scaling=SCALING) == 1


@pytest.mark.parametrize("options", [["--server-side", "--force-conflicts"], []], ids=["server-side", "client-side"])
def test_a_count_is_taken_back_by_whoever_names_it_again(cluster, group, options):
    group(*options, scaling=SCALING)
    cluster.kubectl("scale", "deployment/shop-worker", "--replicas=7")
    assert group(*options, replicas=REPLICAS) == REPLICAS
