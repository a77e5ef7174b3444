"""What docs/gitops.md says of Argo CD and of Flux alike, each with the real one beside celery-reconcile."""

import json
import subprocess
import sys
from pathlib import Path

import argo_cd
import flux
import pytest
import reconciler_process

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
RECONCILER = DEPLOYMENT | {"metadata": {"name": "celery-reconcile", "namespace": reconciler_process.SYSTEM}}
CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shop-beat"}}
LOOKS = 3


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

    def write(path="app.yaml", **spec):
        spec = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"} | spec
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(json.dumps(APP | {"spec": spec}))

    return write


@pytest.fixture
def render(write, tmp_path):
    """Return a function: it renders an app of this spec into the folder `base`."""

    def render(**spec):
        write(**spec)
        subprocess.run([RENDER, tmp_path / "app.yaml", "-o", tmp_path / "base"], check=True)

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
