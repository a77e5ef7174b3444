"""celery-reconcile by somebody who rules one namespace, or a few, and nothing else; and what an uninstall leaves."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import control_plane
import pytest
import yaml
from remains import remains

from reconciler.cluster import client

pytest_plugins = "reconciling"

ROOT = Path(__file__).parents[3]
KUSTOMIZE = ROOT / "kustomize"
ADMIN = "mary"
APPS = "/apis/celeryproject.org/v1alpha1/celeryapps"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def plane(binary, tmp_path_factory):
    """Yield a cluster of this file's own: what is uninstalled here is needed elsewhere."""
    with control_plane.running(binary, tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def prepared(plane):
    """Return the cluster once its admin has done the part that is theirs."""
    control_plane.install(plane, yaml.safe_load((ROOT / "crds/celeryapps.yaml").read_text()))
    plane.kubectl("apply", "--server-side", "-k", KUSTOMIZE / "overlays/for-namespace-admins")
    role = f"{RBAC}/clusterroles/admin"
    plane.wait_until(lambda: "bind" in str(plane.request("GET", role).body))
    return plane


@pytest.fixture
def ruled(prepared, cluster):  # noqa: ARG001 (it is in there)
    """Return a namespace that Mary rules: as `kubectl create rolebinding --clusterrole=admin` makes it, no more."""
    cluster.kubectl("create", "rolebinding", ADMIN, "--clusterrole=admin", f"--user={ADMIN}")
    return cluster


def installation(cluster, tmp_path):
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"namespace": cluster.namespace, "resources": [f"{relative(tmp_path)}/overlays/one-namespace"]})
    )
    return cluster.kubectl("kustomize", tmp_path).stdout


def relative(folder):
    return "/".join([".."] * len(folder.resolve().relative_to("/").parts)) + str(KUSTOMIZE)


def as_in_its_pod(cluster, tmp_path, account_namespace):
    path = f"/api/v1/namespaces/{account_namespace}/serviceaccounts/celery-reconcile/token"
    (tmp_path / "token").write_text(cluster.request("POST", path, {}).accepted().body["status"]["token"])
    (tmp_path / "ca.crt").write_bytes((cluster.folder / "tls.crt").read_bytes())
    return client.in_cluster(f"https://127.0.0.1:{cluster.port}", tmp_path)


def test_the_admin_of_a_namespace_installs_it_and_it_runs_apps(ruled, tmp_path):
    """Under exactly these rights: whatever it lacked would be Forbidden."""
    manifests = installation(ruled, tmp_path)
    ruled.kubectl("apply", "--server-side", "--filename=-", f"--as={ADMIN}", stdin=manifests)
    import reconciling  # noqa: PLC0415 (the plug-in of these tests)

    reconciler = reconciling.Reconciler(ruled, as_in_its_pod(ruled, tmp_path, ruled.namespace))
    try:
        shop = reconciling.Shop(ruled)
        shop.take(beat={}, flower={})
        reconciler.until_ready()
        assert reconciler.serve().problem == ""
        assert {"Deployment shop-worker", "Deployment shop-beat", "Service shop-flower"} <= shop.names()
    finally:
        reconciler.looks.end()


def test_without_the_part_of_the_clusters_admin_it_is_refused(ruled, tmp_path):
    """The rest of the cluster's admin is needed: nobody grants what they do not have."""
    binding = next(
        each
        for each in yaml.safe_load_all(installation(ruled, tmp_path))
        if each["roleRef" if "roleRef" in each else "kind"] and each.get("roleRef", {}).get("kind") == "ClusterRole"
    )
    other = binding | {"roleRef": binding["roleRef"] | {"name": "cluster-admin"}}
    said = ruled.kubectl(
        "apply", "--server-side", "--filename=-", f"--as={ADMIN}", stdin=yaml.safe_dump(other), check=False
    )
    assert "Forbidden" in said.stderr or "forbidden" in said.stderr
    role = yaml.safe_load((KUSTOMIZE / "base/rbac.yaml").read_text().split("---")[1])
    own = {"apiVersion": role["apiVersion"], "kind": "Role", "metadata": {"name": "own"}, "rules": role["rules"]}
    said = ruled.kubectl(
        "apply", "--server-side", "--filename=-", f"--as={ADMIN}", stdin=yaml.safe_dump(own), check=False
    )
    assert "attempting to grant RBAC permissions not currently held" in said.stderr


def test_the_admin_of_a_namespace_may_bind_it_in_no_other(ruled):
    binding = ("create", "rolebinding", "any", "--clusterrole=celery-reconcile", "--user=any", f"--as={ADMIN}")
    assert "forbidden" in ruled.in_namespace("default").kubectl(*binding, check=False).stderr
    cluster_wide = ("create", "clusterrolebinding", "any", *binding[3:])
    assert "forbidden" in ruled.kubectl(*cluster_wide, check=False).stderr


def test_a_list_of_namespaces_is_served_under_a_role_binding_in_each(prepared, tmp_path):
    """One of them whose admin has not bound it yet holds up no other."""
    import reconciling  # noqa: PLC0415 (the plug-in of these tests)

    names = []
    for _ in range(4):
        created = prepared.request("POST", "/api/v1/namespaces", {"metadata": {"generateName": "test-"}}).accepted()
        names.append(created.body["metadata"]["name"])
    home, *served, unbound = names
    account = f"--serviceaccount={home}:celery-reconcile"
    prepared.in_namespace(home).kubectl("create", "serviceaccount", "celery-reconcile")
    for name in served:
        here = prepared.in_namespace(name)
        here.kubectl("create", "rolebinding", ADMIN, "--clusterrole=admin", f"--user={ADMIN}")
        bind = ("create", "rolebinding", "celery-reconcile", "--clusterrole=celery-reconcile", account, f"--as={ADMIN}")
        here.kubectl(*bind)
    reconciler = reconciling.Reconciler(prepared, as_in_its_pod(prepared, tmp_path, home))
    reconciler.settings = replace(reconciler.settings, namespace=",".join([*served, unbound]))
    reconciler.restart()
    try:
        shops = [reconciling.Shop(prepared.in_namespace(name)) for name in names[1:]]
        for shop in shops:
            shop.take(flower={})
        assert {each.app.namespace for each in reconciler.run().apps} == {*served}
        for shop in shops[:-1]:
            shop.cluster.wait_until(lambda shop=shop: reconciler.run() and shop.ready[0] == "True")
            assert {"Deployment shop-worker", "Service shop-flower"} <= shop.names()
        assert shops[-1].names() == set()
        assert {*reconciler.looks.cache.unreadable} >= {"CeleryApp", "Deployment"}
    finally:
        reconciler.looks.end()
        for name in names:
            prepared.request("DELETE", f"/api/v1/namespaces/{name}").accepted()
        prepared.wait_until(lambda: not prepared.request("GET", APPS).accepted().body["items"])


def documented():
    """Return the commands of docs/operations.md that uninstall, in their order."""
    text = (ROOT / "docs/operations.md").read_text().partition("## Uninstall")[2].partition("\n## ")[0]
    return [shlex.split(line) for line in re.findall(r"^\$ kubectl (.*)$", text, re.MULTILINE)]


def test_the_documented_uninstall_leaves_nothing_that_grants_anything(prepared, tmp_path):
    """All that kustomize/ can install, for the cluster and for a namespace. Last: it takes what others need."""
    components = ("queue-scaling", "metrics-authentication", "open-network")
    kustomization = {
        "namespace": "celery-render-system",
        "resources": [f"{relative(tmp_path)}/overlays/for-namespace-admins", f"{relative(tmp_path)}/base"],
    }
    del kustomization["resources"][0]  # it is there
    kustomization["components"] = [f"{relative(tmp_path)}/components/{each}" for each in components]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    here = prepared.in_namespace("celery-render-system")
    here.kubectl("apply", "--server-side", "--force-conflicts", "-k", tmp_path)
    assert {"clusterroles/celery-reconcile-broker-secrets", "namespaces/celery-render-system"} <= {*remains(prepared)}
    for command in documented():
        if "crds" in command:
            command[command.index("crds")] = str(ROOT / "crds")
        prepared.kubectl(*command)
    prepared.wait_until(lambda: remains(prepared) == [])
