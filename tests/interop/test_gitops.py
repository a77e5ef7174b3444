"""What docs/gitops.md says of Argo CD and of Flux alike, each with the real one beside celery-reconcile."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import argo_cd
import flux
import pytest
import reconciler_process
import yaml

PAGE = "docs/gitops.md"
TOOLS = {tool.NAME: tool for tool in (argo_cd, flux)}
ROOT = Path(__file__).parents[2]
RENDER = Path(sys.executable).with_name("celery-render")
APP = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
WHOLE = {
    "workers": [
        {"name": "worker", "queues": ["celery"], "replicas": 2, "disruptionBudget": {"maxUnavailable": 1}},
        {
            "name": "mail",
            "queues": ["mail"],
            "resources": {"requests": {"cpu": "500m", "memory": "0.5Gi"}},
            "scaling": {"engine": "HPA", "maxReplicas": 3, "cpu": {"averageValue": "1"}},
        },
    ],
    "beat": {},
    "flower": {},
}
SCALING = {"minReplicas": 3, "maxReplicas": 9, "cpu": {"averageValue": "1"}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
WORKER, FLOWER = (DEPLOYMENT | {"metadata": {"name": name}} for name in ("shop-worker", "shop-flower"))
SYSTEM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": reconciler_process.SYSTEM}}
RECONCILER = DEPLOYMENT | {"metadata": {"name": "celery-reconcile", "namespace": reconciler_process.SYSTEM}}
CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shop-beat"}}
PROBE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-probe"}}
INGRESS = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "shop-flower"}}
FUNCTION = {"config.kubernetes.io/function": "exec: {path: celery-render, args: [--function]}"}
RESTARTED = "kubectl.kubernetes.io/restartedAt"
LOOKS = 3

OF_ARGO_CD = pytest.mark.parametrize("tool", [argo_cd.NAME], indirect=True)
OF_FLUX = pytest.mark.parametrize("tool", [flux.NAME], indirect=True)


@pytest.fixture(scope="module", params=TOOLS, autouse=True)
def tool(request, plane, tmp_path_factory):
    with TOOLS[request.param].running(plane, tmp_path_factory.mktemp("tool")) as tool:
        yield tool


@pytest.fixture
def git(tool, cluster, tmp_path):
    """Return a repository in the test's folder; what applies it to the test's namespace is told when it changes."""
    with tool.following(cluster, tmp_path) as repository:
        yield repository


@pytest.fixture
def write(tmp_path):
    """Return a function: it writes an app of this spec."""

    def write(path="app.yaml", annotations=None, **spec):
        metadata = APP["metadata"] | ({"annotations": annotations} if annotations else {})
        spec = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"} | spec
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(yaml.safe_dump(APP | {"metadata": metadata, "spec": spec}))

    return write


@pytest.fixture
def render(write, tmp_path):
    """Return a function: it renders an app of this spec into a folder."""

    def render(folder="base", **spec):
        write(**spec)
        subprocess.run([RENDER, tmp_path / "app.yaml", "-o", tmp_path / folder], check=True)

    return render


@pytest.fixture
def writers(cluster, tool):
    """Return a function: who has written since it was called last, and what, but for status and Events."""
    log = cluster.folder / "audit.log"
    accounts = {tool.account, f"{reconciler_process.SYSTEM}:celery-reconcile"}
    read = 0

    def writers():
        nonlocal read
        with log.open() as lines:
            lines.seek(read)
            events = [json.loads(line) for line in lines]
            read = lines.tell()
        return {(who, event["verb"], thing) for event in events for who, thing in written(event)}

    def written(event):
        thing, who = event.get("objectRef", {}), event["user"]["username"].removeprefix("system:serviceaccount:")
        is_write = event["verb"] not in {"get", "list", "watch"} and "dryRun" not in event["requestURI"]
        is_there = thing.get("namespace") == cluster.namespace and thing["resource"] != "events"
        if who in accounts and is_write and is_there and thing.get("subresource") != "status":
            yield who, f"{thing['resource']}/{thing.get('name')}"

    return writers


def image(cluster, deployment=WORKER):
    return cluster.get(deployment)["spec"]["template"]["spec"]["containers"][0]["image"]


def is_there(cluster, manifest):
    return cluster.request("GET", cluster.path(manifest)).status == 200


def restarted(cluster):
    return RESTARTED in cluster.get(WORKER)["spec"]["template"]["metadata"].get("annotations", {})


def pods(cluster):
    return {pod["metadata"]["name"] for pod in cluster.pods("worker")}


def test_a_rendered_base_becomes_healthy_and_nobody_writes_to_it_again(cluster, git, render, writers):
    render(**WHOLE)
    git.commit()
    git.apply("base")
    cluster.wait_until(git.is_in_order)
    assert cluster.is_rolled_out(WORKER)
    assert writers()
    for _ in range(LOOKS):
        git.look_again()
    cluster.wait_until(git.is_in_order)
    assert writers() == set()


def test_a_celeryapp_is_waited_for_until_it_runs_and_nobody_writes_to_it_again(plane, cluster, git, write, writers):
    write("shop/app.yaml", **WHOLE)
    git.commit()
    git.apply("shop")
    cluster.wait_until(git.is_waiting)
    with reconciler_process.running(plane):
        cluster.wait_until(git.is_in_order)
        assert cluster.is_rolled_out(WORKER)
        assert writers()
        for _ in range(LOOKS):
            git.look_again()
        cluster.wait_until(git.is_in_order)
        assert writers() == set()


def test_what_is_changed_by_hand_is_set_back(cluster, git, render):
    render()
    git.commit()
    git.apply("base")
    cluster.wait_until(git.is_in_order)
    cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/another:1")
    cluster.kubectl("delete", "configmap", "shop-probe")
    cluster.wait_until(lambda: image(cluster) == "registry.example.com/shop:1")
    cluster.wait_until(lambda: is_there(cluster, PROBE))


@pytest.mark.usefixtures("reconciler")
def test_what_celery_reconcile_scales_stays_as_it_scales_it(cluster, git, render, writers):
    render(workers=[{"name": "worker", "scaling": SCALING}])
    git.commit()
    git.apply("base")
    cluster.wait_until(lambda: len(pods(cluster)) == 3)
    cluster.wait_until(git.is_in_order)
    writers()
    for _ in range(LOOKS):
        git.look_again()
    cluster.wait_until(git.is_in_order)
    assert cluster.get(WORKER)["spec"]["replicas"] == 3
    assert writers() == set()


@pytest.mark.usefixtures("reconciler")
def test_from_replicas_to_scaling_no_pod_goes(cluster, git, render):
    render(workers=[{"name": "worker", "replicas": 6}])
    git.commit()
    git.apply("base")
    cluster.wait_until(git.is_in_order)
    before = pods(cluster)
    count = {"metadata": {"name": "shop-worker"}, "spec": {"replicas": 6}}
    cluster.apply(DEPLOYMENT | count, fieldManager="keep-replicas").accepted()
    render(workers=[{"name": "worker", "scaling": SCALING}])
    git.commit()
    cluster.wait_until(git.is_in_order)
    assert pods(cluster) == before
    assert len(before) == 6


def test_what_git_holds_no_more_goes(cluster, git, render):
    render(flower={})
    git.commit()
    git.apply("base")
    cluster.wait_until(git.is_in_order)
    assert is_there(cluster, FLOWER)
    render()
    git.commit()
    cluster.wait_until(lambda: not is_there(cluster, FLOWER))
    cluster.wait_until(git.is_in_order)


@pytest.mark.usefixtures("reconciler")
def test_an_app_that_git_holds_no_more_goes_with_its_children(cluster, git, write, tmp_path):
    write("shop/app.yaml")
    other = APP | {"metadata": {"name": "other"}, "spec": {"image": "registry.example.com/shop:1", "app": "other"}}
    (tmp_path / "shop/other.yaml").write_text(json.dumps(other))
    git.commit()
    git.apply("shop")
    cluster.wait_until(git.is_in_order)
    (tmp_path / "shop/app.yaml").unlink()
    git.commit()
    cluster.wait_until(lambda: not is_there(cluster, WORKER))
    cluster.wait_until(git.is_in_order)
    assert is_there(cluster, other)


@pytest.mark.usefixtures("reconciler")
def test_an_invalid_app_is_refused_and_prunes_nothing(cluster, git, write):
    write("shop/app.yaml")
    git.commit()
    git.apply("shop")
    cluster.wait_until(git.is_in_order)
    before = cluster.get(WORKER)["metadata"]
    write("shop/app.yaml", workers=[{"name": "worker", "concurrency": 0}])
    git.commit()
    cluster.wait_until(git.is_refused)
    assert cluster.get(WORKER)["metadata"]["uid"] == before["uid"]
    write("shop/app.yaml", image="registry.example.com/shop:2")
    git.commit()
    cluster.wait_until(lambda: image(cluster) == "registry.example.com/shop:2")
    cluster.wait_until(git.is_in_order)


def test_no_app_goes_with_what_held_the_installation(plane, cluster, git, tmp_path):
    """The CRD and kustomize/base leave git, and then what applied them goes."""
    cluster.apply(APP | {"spec": {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}}).accepted()
    with reconciler_process.running(plane):
        cluster.wait_until(lambda: is_there(cluster, WORKER) and cluster.is_rolled_out(WORKER))
    before = [cluster.get(each)["metadata"]["uid"] for each in (APP, WORKER)]
    for folder in ("crds", "kustomize/base"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    system, empty = tmp_path / "system/kustomization.yaml", tmp_path / "empty/map.yaml"
    for path, text in (
        (system, "resources: [../crds, ../kustomize/base]"),
        (empty, "{apiVersion: v1, kind: ConfigMap, metadata: {name: any, namespace: default}}"),
    ):
        path.parent.mkdir()
        path.write_text(text)
    try:
        git.commit()
        git.apply("system", namespaced=False)
        cluster.wait_until(git.is_in_order)
        git.apply("empty", namespaced=False)
        cluster.wait_until(lambda: not is_there(plane, RECONCILER))
        cluster.wait_until(git.is_in_order)
        git.apply("system", namespaced=False)
        cluster.wait_until(lambda: is_there(plane, RECONCILER))
        cluster.wait_until(git.is_in_order)
        git.remove()
        assert not is_there(plane, RECONCILER)
        assert [cluster.get(each)["metadata"]["uid"] for each in (APP, WORKER)] == before
    finally:
        plane.wait_until(lambda: "deletionTimestamp" not in plane.request("GET", plane.path(SYSTEM)).body["metadata"])
        reconciler_process.install(plane)


def test_a_claim_outlives_the_line_that_asked_for_it(cluster, git, render, tmp_path):
    """With the overlay of the page."""
    page = (ROOT / PAGE).read_text()
    path, text = re.search(r"^```yaml\n# (\S+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL).groups()
    groups = [{"name": name, "queues": [name]} for name in ("worker", "mail")]
    render("apps/shop/base", workers=groups, beat={"storage": {}})
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text.replace("namespace: shop", f"namespace: {cluster.namespace}"))
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/any"}}
    volume["claimRef"] = {"namespace": cluster.namespace, "name": "shop-beat"}
    metadata = {"name": f"{cluster.namespace}-shop-beat"}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume}).accepted()
    git.commit()
    git.apply("apps/shop/overlays/production")
    cluster.wait_until(git.is_in_order)
    render("apps/shop/base", workers=groups, beat={})
    git.commit()
    cluster.wait_until(git.is_in_order)
    git.look_again()
    cluster.wait_until(git.is_in_order)
    assert is_there(cluster, CLAIM)


@pytest.mark.usefixtures("reconciler")
def test_from_a_rendered_base_to_the_celeryapp_no_pod_goes(tool, cluster, git, write, render, tmp_path):
    render("now", **WHOLE)
    git.commit()
    git.apply("now")
    cluster.wait_until(git.is_in_order)
    before = pods(cluster)
    git.apply("now", prune=False)
    shutil.rmtree(tmp_path / "now")
    write("now/app.yaml", **WHOLE)
    git.commit()
    cluster.wait_until(git.is_in_order)
    cluster.kubectl("wait", "--for=condition=Ready", "celeryapp/shop")
    let_go(cluster, tool.manager)
    git.apply("now")
    git.look_again()
    cluster.wait_until(git.is_in_order)
    assert pods(cluster) == before
    assert managers(cluster) & {tool.manager, "celery-reconcile"} == {"celery-reconcile"}


@pytest.mark.usefixtures("reconciler")
def test_from_the_celeryapp_to_a_rendered_base_no_pod_goes(tool, cluster, git, write, render, tmp_path):
    write("now/app.yaml", **WHOLE)
    git.commit()
    git.apply("now")
    cluster.wait_until(git.is_in_order)
    before = pods(cluster)
    git.pause()
    cluster.kubectl("delete", "celeryapp", "shop", "--cascade=orphan")
    (tmp_path / "now/app.yaml").unlink()
    render("now", **WHOLE)
    git.commit()
    git.apply("now")
    cluster.wait_until(git.is_in_order)
    let_go(cluster, "celery-reconcile")
    git.look_again()
    cluster.wait_until(git.is_in_order)
    assert pods(cluster) == before
    assert managers(cluster) & {tool.manager, "celery-reconcile"} == {tool.manager}


def let_go(cluster, manager):
    """Take every field of the app's objects from this manager, as the page's command does."""
    kinds = "configmaps,services,deployments,poddisruptionbudgets,networkpolicies,horizontalpodautoscalers"
    found = json.loads(cluster.kubectl("get", kinds, "--selector=celeryproject.org/app=shop", "--output=json").stdout)
    for each in found["items"]:
        identity = {key: each[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": each["metadata"]["name"]}}
        cluster.apply(identity, fieldManager=manager).accepted()


def managers(cluster):
    return {each["manager"] for each in cluster.get(WORKER)["metadata"]["managedFields"]}


@OF_FLUX
def test_a_restart_by_hand_is_undone(cluster, git, render):
    render()
    git.commit()
    git.apply("base")
    cluster.wait_until(git.is_in_order)
    cluster.kubectl("rollout", "restart", "deployment/shop-worker")
    cluster.wait_until(lambda: not restarted(cluster))


@OF_ARGO_CD
def test_a_restart_by_hand_stays(cluster, git, render):
    render()
    git.commit()
    git.apply("base")
    cluster.wait_until(git.is_in_order)
    cluster.kubectl("rollout", "restart", "deployment/shop-worker")
    cluster.kubectl("set", "env", "deployment/shop-worker", "LOG_LEVEL=DEBUG")
    for _ in range(LOOKS):
        git.look_again()
    cluster.wait_until(git.is_in_order)
    assert restarted(cluster)
    env = cluster.get(WORKER)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "LOG_LEVEL", "value": "DEBUG"} in env


@OF_ARGO_CD
@pytest.mark.usefixtures("reconciler")
def test_the_health_check_knows_what_needs_somebody_and_what_is_off(cluster, git, write):
    template = {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "any", "image": "any"}]}}
    other = {"selector": {"matchLabels": {"app": "other"}}, "template": template}
    cluster.apply(WORKER | {"spec": other}).accepted()
    write("shop/app.yaml")
    git.commit()
    git.apply("shop")
    cluster.wait_until(lambda: git.health() == "Degraded")
    cluster.kubectl("delete", "deployment", "shop-worker")
    cluster.wait_until(git.is_in_order)
    write("shop/app.yaml", reconcile="Off")
    git.commit()
    cluster.wait_until(lambda: git.health() == "Suspended")


@OF_ARGO_CD
def test_an_ingress_without_an_address_is_on_its_way(cluster, git, render):
    secret = {"secretKeyRef": {"name": "shop-flower", "key": "users"}}
    render(flower={"auth": {"basicAuth": secret}, "ingress": {"host": "shop.example.com"}})
    git.commit()
    git.apply("base")
    cluster.wait_until(lambda: is_there(cluster, FLOWER) and cluster.is_rolled_out(FLOWER))
    cluster.wait_until(git.is_waiting)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    path = f"{cluster.path(INGRESS)}/status"
    cluster.request("PATCH", path, status, content_type="application/merge-patch+json").accepted()
    cluster.wait_until(git.is_in_order)


@OF_ARGO_CD
def test_the_plugin_renders_and_prunes_nothing_for_an_app_that_is_invalid(cluster, git, write):
    write("shop/app.yaml", reconcile="Scale")
    git.commit()
    git.apply("shop")
    cluster.wait_until(git.is_in_order)
    assert cluster.is_rolled_out(WORKER)
    write("shop/app.yaml", reconcile="Scale", replics=2)
    git.commit()
    cluster.wait_until(git.is_refused)
    assert is_there(cluster, WORKER)


@OF_ARGO_CD
def test_kustomize_renders_by_the_function(cluster, git, write, tmp_path):
    write("shop/app.yaml", FUNCTION, reconcile="Scale")
    (tmp_path / "shop/kustomization.yaml").write_text("generators: [app.yaml]\nnamePrefix: eu-\n")
    git.commit()
    git.apply("shop")
    cluster.wait_until(git.is_in_order)
    assert is_there(cluster, DEPLOYMENT | {"metadata": {"name": "eu-shop-worker"}})
