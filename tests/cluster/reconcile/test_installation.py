"""The installation of the reconciler under kustomize/, in a real API server."""

import json
import os
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import build
import pytest
import yaml

from reconciler import model
from reconciler.cluster import client
from reconciler.cluster.transport import Transport
from reconciler.scaling.brokers.hosts import NEAR
from reconciler.service import health
from reconciler.service.health import Health
from reconciler.service.metrics import Metrics
from reconciler.service.readers import Readers

ROOT = Path(__file__).parents[3]
KUSTOMIZE = ROOT / "kustomize"
BASE = KUSTOMIZE / "base"
INSTALLATIONS = [BASE, *sorted(KUSTOMIZE.glob("overlays/*"))]
ARGOCD_CM = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "argocd-cm"},
    "data": {"url": "https://argo"},
}
NAMESPACE = "celery-render-system"


def built(cluster, folder):
    return list(yaml.load_all(cluster.kubectl("kustomize", folder).stdout, yaml.CSafeLoader))


def kustomization(folder, **fields):
    """Return the folder with a kustomization in it, as a user of ours would write one."""
    for field in ("resources", "components"):
        fields[field] = [os.path.relpath(path, folder) for path in fields.get(field, ())]
    (folder / "kustomization.yaml").write_text(json.dumps(fields))
    return folder


def as_the_reconciler(cluster):
    """Return the cluster as the reconciler of this namespace sees it, with a real token of its ServiceAccount."""
    path = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/celery-reconcile/token"
    return replace(cluster, token=cluster.request("POST", path, {}).accepted().body["status"]["token"])


def may(cluster, verb, **resource):
    """Return what the server says to a user who asks for leave."""
    question = {"spec": {"resourceAttributes": {"verb": verb, **resource}}}
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", question)
    return answer.accepted().body["status"]["allowed"]


@pytest.fixture(scope="module")
def installed(plane, celeryapp_crd):  # noqa: ARG001 (installs it)
    """Return the cluster with the base in it, as seen from the reconciler's namespace."""
    plane = plane.in_namespace(NAMESPACE)
    for manifest in built(plane, KUSTOMIZE / "base"):
        plane.apply(manifest, force="true").accepted()
    return plane


@pytest.fixture(scope="module")
def prometheus_operator_crds(plane):
    """Install the Prometheus Operator's own CustomResourceDefinitions: they judge what monitoring gives it."""
    operator = build.module("github.com/prometheus-operator/prometheus-operator@v0.85.0")
    for kind in ("servicemonitors", "prometheusrules"):
        path = operator / f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
        plane.kubectl("apply", "--server-side", "--filename", path)
        plane.wait_until(lambda kind=kind: plane.kubectl("get", kind, check=False).returncode == 0)


@pytest.mark.usefixtures("prometheus_operator_crds")
@pytest.mark.parametrize("folder", INSTALLATIONS, ids=lambda folder: folder.name)
def test_every_object_is_accepted_without_a_warning(installed, folder, tmp_path):
    here = kustomization(tmp_path, resources=[folder], namespace=NAMESPACE)
    answers = [installed.apply(manifest, dryRun="All", force="true") for manifest in built(installed, here)]
    assert [answer.accepted().warnings for answer in answers] == [()] * len(answers)


@pytest.mark.parametrize("folder", INSTALLATIONS, ids=lambda folder: folder.name)
def test_whoever_removes_it_leaves_the_crd(plane, folder):
    assert "CustomResourceDefinition" not in {manifest["kind"] for manifest in built(plane, folder)}


def test_no_tool_prunes_the_crd(plane):
    [crd] = built(plane, ROOT / "crds")
    assert crd["metadata"]["annotations"] == {
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "helm.sh/resource-policy": "keep",
    }


def test_the_pods_pass_the_level_restricted_and_become_ready(installed):
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}
    installed.wait_until(lambda: installed.is_rolled_out(deployment))


def test_the_namespace_takes_no_pod_below_that_level(installed):
    spec = {"containers": [{"name": "any", "image": "any"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": spec}
    answer = installed.apply(pod, dryRun="All")
    assert answer.status == 403
    assert 'violates PodSecurity "restricted:latest"' in answer.body["message"]


def test_a_drained_node_keeps_one_of_the_two(installed):
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "celery-reconcile"}}
    installed.wait_until(lambda: installed.get(budget)["status"].get("disruptionsAllowed") == 1)
    assert installed.get(budget)["status"]["expectedPods"] == 2


@pytest.mark.usefixtures("keda_crds")
def test_it_may_see_every_kind_of_child_and_no_secret(installed):
    reconciler, nothing = as_the_reconciler(installed), {"fieldSelector": "metadata.name=nothing"}
    for path in [kind.path() for kind in (model.CELERY_APP, *model.CHILD_KINDS)]:
        # Not at once: for a moment a new CRD is answered with 429. Another test's app may be too deep to be read here.
        installed.wait_until(lambda path=path: reconciler.request("GET", path, **nothing).status == 200)
    assert reconciler.request("GET", "/api/v1/secrets").status == 403


def test_it_may_keep_its_lease_and_no_other(installed):
    reconciler = as_the_reconciler(installed)
    lease = {"group": "coordination.k8s.io", "resource": "leases", "namespace": NAMESPACE, "name": "celery-reconcile"}
    assert [may(reconciler, verb, **lease) for verb in ("get", "create", "update")] == [True, True, True]
    assert not may(reconciler, "update", **lease | {"name": "another"})
    assert not may(reconciler, "create", **lease | {"namespace": "kube-system"})


def test_in_one_namespace_it_sees_no_other_and_nothing_is_written_outside(cluster, installed, tmp_path):
    here = kustomization(tmp_path, resources=[KUSTOMIZE / "overlays/one-namespace"], namespace=cluster.namespace)
    manifests = built(cluster, here)
    assert {manifest["metadata"].get("namespace") for manifest in manifests} == {cluster.namespace}
    for manifest in manifests:
        cluster.apply(manifest).accepted()
    reconciler = as_the_reconciler(cluster)
    assert reconciler.request("GET", f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments").status == 200
    assert reconciler.request("GET", f"/apis/apps/v1/namespaces/{installed.namespace}/deployments").status == 403
    assert reconciler.request("GET", "/apis/apps/v1/deployments").status == 403


def test_monitoring_is_added_to_one_namespace_by_its_component(cluster, tmp_path):
    resources, components = [KUSTOMIZE / "overlays/one-namespace"], [KUSTOMIZE / "components/monitoring"]
    here = kustomization(tmp_path, resources=resources, components=components, namespace=cluster.namespace)
    kinds = {manifest["kind"] for manifest in built(cluster, here)}
    assert {"Role", "Deployment", "ServiceMonitor", "PrometheusRule", "ConfigMap"} <= kinds


def test_metrics_are_for_whom_the_api_server_lets(cluster, installed, tmp_path, celeryapp_crd):  # noqa: ARG001
    """Whoever the token is of: nobody, somebody who may not, somebody who may. Then the answer is kept for a while."""
    here = kustomization(tmp_path, resources=[BASE], components=[KUSTOMIZE / "components/metrics-authentication"])
    for manifest in built(installed, here):
        if manifest["kind"] in {"ClusterRole", "ClusterRoleBinding"}:
            installed.apply(manifest, force="true").accepted()
    (tmp_path / "token").write_text(as_the_reconciler(installed).token)
    (tmp_path / "ca.crt").write_bytes((installed.folder / "tls.crt").read_bytes())
    transport = Transport(
        client.in_cluster(f"https://127.0.0.1:{installed.port}", tmp_path), lambda: True, lambda *_: None
    )
    cluster.kubectl("create", "serviceaccount", "prometheus")
    path = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/prometheus/token"
    token = cluster.request("POST", path, {}).accepted().body["status"]["token"]
    now = [0.0]
    readers = Readers(client.Cluster(transport), lambda: now[0])
    with health.serve(0, Health(time.monotonic, 60), Metrics().registry, readers) as server:
        assert page(server, "/healthz") == 200
        assert page(server, "/metrics") == 401
        assert page(server, "/metrics", "Basic YTpi") == 401
        assert page(server, "/metrics", "Bearer nonsense") == 401
        assert page(server, "/metrics", f"Bearer {token}") == 403
        account, role = f"{cluster.namespace}:prometheus", "celery-reconcile-metrics-reader"
        cluster.kubectl(
            "create", "clusterrolebinding", cluster.namespace, f"--clusterrole={role}", f"--serviceaccount={account}"
        )
        assert page(server, "/metrics", f"Bearer {token}") == 403
        now[0] = 61.0
        cluster.wait_until(lambda: later(now) and page(server, "/metrics", f"Bearer {token}") == 200)
        cluster.kubectl("delete", "clusterrolebinding", cluster.namespace)
        assert page(server, "/metrics", f"Bearer {token}") == 200


def later(now):
    now[0] += 61.0
    return True


def page(server, path, authorization=None):
    """Return the code of the answer."""
    headers = {"Authorization": authorization} if authorization else {}
    try:
        with urlopen(Request(f"http://localhost:{server.port}{path}", headers=headers)) as answer:
            return answer.status
    except HTTPError as answer:
        with answer:
            return answer.code


def test_the_network_policy_opens_what_is_needed_and_nothing_near(installed):
    """By its shape: no plug-in that would enforce it runs here."""
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "celery-reconcile"}}
    [live] = [installed.get(policy)["spec"]]
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}
    template = installed.get(deployment)["spec"]["template"]
    assert live["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert live["policyTypes"] == ["Ingress", "Egress"]
    [ingress] = live["ingress"]
    [container] = template["spec"]["containers"]
    assert [port["port"] for port in ingress["ports"]] == [port["name"] for port in container["ports"]]
    names, openshift, servers = live["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert [{port["port"] for port in openshift["ports"]}, len(openshift["to"])] == [{5353}, 1]
    assert {port["port"] for port in servers["ports"]} == {443, 6443, 5671, 5672, 6379, 6380, 26379}
    blocks = [peer["ipBlock"] for peer in servers["to"] if "ipBlock" in peer]
    closed = {ip_network(each) for block in blocks for each in block["except"]}
    near = [each for each in NEAR if not (each.is_loopback or each.network_address.is_unspecified)]  # no policy's
    assert [
        each for each in near if not any(each.version == its.version and each.subnet_of(its) for its in closed)
    ] == []


def test_a_component_opens_the_network(cluster, tmp_path):
    here = kustomization(tmp_path, resources=[BASE], components=[KUSTOMIZE / "components/open-network"])
    [policy] = [each for each in built(cluster, here) if each["kind"] == "NetworkPolicy"]
    assert policy["spec"]["egress"] == [{}]
    assert policy["spec"]["ingress"][0]["from"] == [{"namespaceSelector": {}}]
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "metrics"}]
    cluster.apply(policy | {"metadata": {"name": "opened"}}, dryRun="All").accepted()


@pytest.mark.parametrize(("role", "verb"), [("view", "get"), ("edit", "create"), ("admin", "create")])
def test_the_roles_of_kubernetes_hold_for_apps_too(installed, role, verb):
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role}}
    installed.wait_until(lambda: any(grants(rule, verb) for rule in installed.get(role)["rules"]))


def grants(rule, verb):
    return rule.get("resources") == ["celeryapps"] and verb in rule["verbs"]


def test_argo_cd_is_told_of_the_health_check_by_a_component(cluster, tmp_path):
    (tmp_path / "cm.yaml").write_text(json.dumps(ARGOCD_CM))
    here = kustomization(tmp_path, resources=[tmp_path / "cm.yaml"], components=[KUSTOMIZE / "argocd"])
    [config] = built(cluster, here)
    assert config["data"].keys() == {"url", "resource.customizations.health.celeryproject.org_CeleryApp"}


def test_argo_cd_is_told_of_the_health_check_by_kubectl(cluster):
    cluster.apply(ARGOCD_CM).accepted()
    cluster.kubectl("patch", "configmap", "argocd-cm", "--patch-file", KUSTOMIZE / "argocd/argocd-cm.yaml")
    data = cluster.get(ARGOCD_CM)["data"]
    assert data.keys() == {"url", "resource.customizations.health.celeryproject.org_CeleryApp"}


@pytest.mark.usefixtures("celeryapp_crd")
@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/kustomize/health/*.yaml")), ids=lambda path: path.stem)
def test_the_apps_that_show_the_health_check_are_possible(cluster, path):
    app = yaml.safe_load(path.read_text())
    cluster.apply(app).accepted()
    if "status" in app:
        status = {"fieldManager": "celery-reconcile", "fieldValidation": "Strict"}
        content_type = "application/apply-patch+yaml"
        cluster.request("PATCH", f"{cluster.path(app)}/status", app, content_type=content_type, **status).accepted()
