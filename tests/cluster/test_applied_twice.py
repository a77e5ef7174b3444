"""A base that is applied again changes nothing: what we write is what the API server keeps, by each way of applying it.

kubectl's own word for it is not asked: of a PodDisruptionBudget, a Deployment that is recreated and a CeleryApp with
lists it says "configured" every time, sends a patch, and the server finds nothing in it to change.
A controller may write an object between the two looks at it (an autoscaler sets the replicas), so it is tried until
none does; an apply that changes something does so every time.
"""

from pathlib import Path

import pytest
import yaml

BASES = sorted((Path(__file__).parents[2] / "examples").glob("**/base"))
WAYS = {"client-side": ["--filename"], "server-side": ["--server-side", "--filename"], "kustomized": ["--kustomize"]}


@pytest.mark.usefixtures("celeryapp_crd", "keda_crds")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("base", BASES, ids=lambda base: base.parent.name)
def test_a_second_apply_changes_nothing(cluster, base, way, tmp_path):
    [folder] = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    listed = yaml.safe_load((base / folder / "kustomization.yaml").read_text())["resources"]
    files = [(base / folder / name).read_text() for name in listed]
    (tmp_path / "stream.yaml").write_text("---\n".join(files))
    paths = [cluster.path(yaml.safe_load(text)) for text in files]
    command = ["apply", *WAYS[way], base if way == "kustomized" else tmp_path / "stream.yaml"]

    def nothing_changed():
        before = [kept(cluster.request("GET", path).accepted().body) for path in paths]
        cluster.kubectl(*command)
        return [kept(cluster.request("GET", path).accepted().body) for path in paths] == before

    cluster.kubectl(*command)
    cluster.wait_until(nothing_changed)


def kept(live):
    """Return the object with its generation, and with who wrote what when, but without what is said of its state."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "resourceVersion"}
    metadata["managedFields"] = [each for each in metadata["managedFields"] if each.get("subresource") != "status"]
    return {key: value for key, value in live.items() if key != "status"} | {"metadata": metadata}
