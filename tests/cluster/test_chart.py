"""The Helm chart, by Helm itself: it says what kustomize/ says, and it is installed, upgraded and taken away."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import build
import chart
import control_plane
import pytest
import yaml
from remains import remains

ROOT = Path(__file__).parents[2]
IMAGE = "registry.example.com/team/celery-render"
VERSION = "0.1.0"
NEXT = "0.2.0"
NAMESPACE = "celery-render-system"
ADMIN = "mary"
RELEASE_BYTES = 1 << 20
"""What a Secret can hold."""

SECRETS = json.dumps([{"op": "replace", "path": "/rules/0/resourceNames", "value": ["shop", "mail"]}])
SAME = {
    "base": ((), "base", ()),
    "for the admins of namespaces": (("installation=for-namespace-admins",), "overlays/for-namespace-admins", ()),
    "one namespace": (("installation=one-namespace",), "overlays/one-namespace", ()),
    "monitoring": (("monitoring=true",), "overlays/monitoring", ()),
    "one namespace, monitoring": (
        ("installation=one-namespace", "monitoring=true"),
        "overlays/one-namespace",
        ("monitoring",),
    ),
    "scaling by queues": (("brokerSecrets={shop,mail}",), "base", ("queue-scaling",)),
    "an open network": (("openNetwork=true",), "base", ("open-network",)),
    "all of it": (
        ("openNetwork=true", "monitoring=true", "brokerSecrets={shop,mail}"),
        "base",
        ("open-network", "monitoring", "queue-scaling"),
    ),
}


@pytest.fixture(scope="module")
def plane(binary, tmp_path_factory):
    """Yield a cluster of this file's own: what is uninstalled here is needed elsewhere."""
    with control_plane.running(binary, tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def charts(binary, tmp_path_factory):  # noqa: ARG001 (builds the kubectl that is used)
    """Return the chart, and that of a next version: other numbers, and a field more in the CRD."""
    folder = tmp_path_factory.mktemp("charts")
    sources = [folder / VERSION, folder / NEXT]
    for source in sources:
        for part in ("kustomize", "crds"):
            shutil.copytree(ROOT / part, source / part)
        for name in ("pyproject.toml", "kustomize/base/kustomization.yaml"):
            (source / name).write_text((ROOT / name).read_text().replace(VERSION, source.name))
    crd = sources[1] / "crds/celeryapps.yaml"
    manifest = yaml.load(crd.read_text(), yaml.CSafeLoader)
    properties(manifest)["tier"] = {"type": "string", "description": "New in {{ this }} version."}
    crd.write_text(yaml.dump(manifest, Dumper=yaml.CSafeDumper))
    for source in sources:
        name, content = chart.archive(source, IMAGE, 1_700_000_000)
        (folder / name).write_bytes(content)
    return sorted(folder.glob("*.tgz"))


def properties(crd):
    """Return the fields of a CeleryApp's spec."""
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def helm(folder, *args, check=True):
    command = [build.helm(), *args]
    done = subprocess.run(command, env=os.environ | {"HOME": str(folder)}, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done


def rendered(folder, path, *values, namespace=NAMESPACE, check=True):
    sets = [f"--set={value}" for value in values]
    printed = helm(folder, "template", "any", path, f"--namespace={namespace}", *sets, check=check)
    return list(yaml.load_all(printed.stdout, yaml.CSafeLoader))


def by_identity(manifests, without=()):
    """Return the manifests by what and whose they are, those of some kinds left out."""
    kept = [each for each in manifests if each["kind"] not in without]
    found = {(each["kind"], each["metadata"]["name"]): each for each in kept}
    assert len(found) == len(kept)
    return found


def test_helm_finds_nothing_to_say_of_it(charts, tmp_path):
    for path in charts:
        helm(tmp_path, "lint", "--strict", path)


@pytest.mark.parametrize("case", SAME)
def test_it_renders_what_kustomize_builds(charts, plane, tmp_path, case):
    values, installation, components = SAME[case]
    above = "../" * (len(tmp_path.resolve().parts) - 1) + str(ROOT / "kustomize").removeprefix("/")
    kustomization = {
        "namespace": NAMESPACE,
        "resources": [f"{above}/{installation}"],
        "components": [f"{above}/components/{each}" for each in components],
        "images": [{"name": "celery-render", "newName": IMAGE}],
        "patches": [{"target": {"kind": "ClusterRole", "name": "celery-reconcile-broker-secrets"}, "patch": SECRETS}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    built = yaml.load_all(plane.kubectl("kustomize", tmp_path).stdout, yaml.CSafeLoader)
    ours = by_identity(rendered(tmp_path, charts[0], *values), without=["CustomResourceDefinition"])
    assert ours == by_identity(built, without=["Namespace"])


def test_it_renders_the_crd_for_who_may_install_one(charts, tmp_path):
    crd = yaml.load((ROOT / "crds/celeryapps.yaml").read_text(), yaml.CSafeLoader)
    assert crd in rendered(tmp_path, charts[0])
    assert crd in rendered(tmp_path, charts[0], "installation=for-namespace-admins")
    for without in ("crd=false", "installation=one-namespace"):
        assert crd not in rendered(tmp_path, charts[0], without)


def test_nothing_of_it_is_in_a_namespace_that_was_not_said(charts, tmp_path):
    values = ("monitoring=true", "brokerSecrets={shop}")
    for installation in ("base", "one-namespace"):
        manifests = rendered(tmp_path, charts[0], *values, f"installation={installation}", namespace="123")
        assert NAMESPACE not in str([each for each in manifests if each["kind"] != "CustomResourceDefinition"])
        assert only(manifests, "Deployment")["metadata"]["namespace"] == "123"


def test_of_some_namespaces_each_grants_for_itself(charts, tmp_path):
    manifests = rendered(tmp_path, charts[0], "namespaces={shop,mail}", "brokerSecrets={broker}")
    assert "ClusterRoleBinding" not in {each["kind"] for each in manifests}
    bindings = [each for each in manifests if each["kind"] == "RoleBinding"]
    granted = {(each["metadata"]["namespace"], each["roleRef"]["kind"], each["roleRef"]["name"]) for each in bindings}
    roles = ("celery-reconcile", "celery-reconcile-broker-secrets")
    assert granted - {(NAMESPACE, "Role", "celery-reconcile-lease")} == {
        (namespace, "ClusterRole", role) for namespace in ("shop", "mail") for role in roles
    }
    assert {each["subjects"][0]["namespace"] for each in bindings} == {NAMESPACE}
    [container] = pod(manifests)["containers"]
    assert {"name": "CELERY_RECONCILE_NAMESPACE", "value": "shop,mail"} in container["env"]


def test_the_pod_is_what_the_values_say(charts, tmp_path):
    digest = f"sha256:{'0' * 64}"
    values = (
        f"image.digest={digest}",
        "args={--interval=60,--rollouts=1}",
        "imagePullSecrets[0].name=registry",
        "resources.limits.memory=1Gi",
        r"serviceAccountAnnotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::1:role/counts",
    )
    manifests = rendered(tmp_path, charts[0], *values)
    [container] = pod(manifests)["containers"]
    assert container["image"] == f"{IMAGE}@{digest}"
    assert container["args"] == ["run", "--interval=60", "--rollouts=1"]
    assert container["resources"] == {"limits": {"memory": "1Gi"}}
    assert pod(manifests)["imagePullSecrets"] == [{"name": "registry"}]
    assert only(manifests, "ServiceAccount")["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/counts"
    }
    assert pod(rendered(tmp_path, charts[0], "image.tag=dev"))["containers"][0]["image"] == f"{IMAGE}:dev"


def pod(manifests):
    return only(manifests, "Deployment")["spec"]["template"]["spec"]


def only(manifests, kind):
    [found] = [each for each in manifests if each["kind"] == kind]
    return found


@pytest.mark.parametrize(
    "value",
    [
        "intallation=base",
        "installation=two-namespaces",
        "args={run}",
        "image.digest=latest",
        "crd=no",
        "namespaces=shop",
        "installation=one-namespace,namespaces={shop}",
    ],
)
def test_a_value_that_would_do_nothing_is_refused(charts, tmp_path, value):
    refused = helm(tmp_path, "template", "any", charts[0], f"--set={value}", check=False)
    assert refused.returncode == 1
    assert "values don't meet the specifications" in refused.stderr


def test_it_is_installed_upgraded_set_back_and_taken_away(charts, plane, cluster, tmp_path):
    """The CRD goes with each version, and stays with every app when all else is gone."""
    here = plane.in_namespace(NAMESPACE)
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    crd["metadata"] = {"name": "celeryapps.celeryproject.org"}
    identity = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}

    def in_it(*args):
        return helm(tmp_path, *args, f"--kubeconfig={plane.kubeconfig}", f"--namespace={NAMESPACE}")

    def runs(version):
        here.wait_until(lambda: here.is_rolled_out(deployment))
        [container] = here.get(deployment)["spec"]["template"]["spec"]["containers"]
        return container["image"] == f"{IMAGE}:{version}"

    in_it("install", "celery-render", charts[0], "--create-namespace", "--wait")
    assert runs(VERSION)
    assert "tier" not in properties(plane.get(crd))
    spec = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
    app = cluster.apply(identity | {"spec": spec}).accepted().body

    in_it("upgrade", "celery-render", charts[1], "--wait")
    assert runs(NEXT)
    assert properties(plane.get(crd))["tier"]["description"] == "New in {{ this }} version."
    in_it("rollback", "celery-render", "1", "--wait")
    assert runs(VERSION)
    assert "tier" not in properties(plane.get(crd))
    secrets = here.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets").accepted().body["items"]
    releases = [each["data"]["release"] for each in secrets if each["type"] == "helm.sh/release.v1"]
    assert len(releases) == 3
    assert max(map(len, releases)) < RELEASE_BYTES / 2

    in_it("uninstall", "celery-render", "--wait")
    assert cluster.get(identity)["metadata"]["uid"] == app["metadata"]["uid"]
    names = {f"namespaces/{NAMESPACE}", f"customresourcedefinitions/{crd['metadata']['name']}"}
    assert {*remains(plane)} == names
    in_it("install", "celery-render", charts[0])
    assert cluster.get(identity)["metadata"]["uid"] == app["metadata"]["uid"]
    in_it("uninstall", "celery-render", "--wait")


def test_the_admin_of_a_namespace_installs_it_there(charts, plane, cluster, tmp_path):
    cluster.kubectl("create", "rolebinding", ADMIN, "--clusterrole=admin", f"--user={ADMIN}")
    admins = ("install", "for-admins", charts[0], "--set=installation=for-namespace-admins", "--take-ownership")
    helm(tmp_path, *admins, f"--kubeconfig={plane.kubeconfig}", "--namespace=default")  # of the CRD that has stayed
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin"
    plane.wait_until(lambda: "bind" in str(plane.request("GET", role).body))
    asked = ("install", "celery-render", charts[0], "--wait", "--set=installation=one-namespace,brokerSecrets={broker}")
    helm(
        tmp_path,
        *asked,
        f"--kubeconfig={plane.kubeconfig}",
        f"--namespace={cluster.namespace}",
        f"--kube-as-user={ADMIN}",
    )
