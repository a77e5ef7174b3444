"""A Deployment that somebody else made has the name of one of ours: what docs/from-deployments.md says of it.

It selects other pods than ours, and a selector cannot be changed: it is neither overwritten nor adopted, in no way.
"""

import json

import pytest

pytest_plugins = "reconciling"

GROUPS = [{"name": "worker", "queues": ["celery"], "replicas": 2}]
WAYS = {
    "client-side": ["apply"],
    "server-side": ["apply", "--server-side"],
    "server-side by force": ["apply", "--server-side", "--force-conflicts"],
}
OF_HELM = {
    "labels": {"app": "worker", "app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"},
}
MADE_BY = {"kubectl": {"labels": {"app": "worker"}}, "helm": OF_HELM}


@pytest.fixture(params=MADE_BY)
def old(request, cluster):
    """Return a Deployment shop-worker that is rolled out."""
    old = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-worker"} | MADE_BY[request.param],
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "worker"}},
            "template": {
                "metadata": {"labels": {"app": "worker"}},
                "spec": {"containers": [{"name": "celery", "image": "registry.example.com/shop:1"}]},
            },
        },
    }
    cluster.apply(old, fieldManager=request.param).accepted()
    cluster.wait_until(lambda: cluster.is_rolled_out(old))
    return old


@pytest.fixture
def base(rendered, tmp_path):
    """Return the folder of a base with a Deployment of that name."""
    manifests = [json.dumps(each) for each in rendered(workers=GROUPS)]
    (tmp_path / "base.yaml").write_text("\n---\n".join(manifests))
    (tmp_path / "kustomization.yaml").write_text(json.dumps({"resources": ["base.yaml"]}))
    return tmp_path


def names(cluster):
    return {pod["metadata"]["name"] for pod in cluster.pods()}


@pytest.mark.parametrize("way", WAYS)
def test_no_base_overwrites_it(cluster, old, base, way):
    before = cluster.get(old)["metadata"]
    answer = cluster.kubectl(*WAYS[way], "--kustomize", base, check=False)
    assert answer.returncode == 1
    assert ".spec.selector" in answer.stderr or "spec.selector: Invalid value" in answer.stderr
    after = cluster.get(old)["metadata"]
    assert (after["uid"], after["generation"], after["labels"]) == (before["uid"], 1, before["labels"])


def test_it_is_named_before_anything_is_applied(cluster, old, base):
    taken = cluster.kubectl("get", "--kustomize", base, "--ignore-not-found", "--output=name").stdout.split()
    assert taken == [f"deployment.apps/{old['metadata']['name']}"]


@pytest.mark.usefixtures("celeryapp_crd")
def test_left_without_their_deployment_its_pods_stay_while_ours_come(cluster, old, shop, reconciler):
    pods = names(cluster)
    shop.take(workers=GROUPS)
    reconciler.run()
    assert shop.ready[1] == "NameConflict"
    assert cluster.get(old)["metadata"]["generation"] == 1

    cluster.kubectl("delete", "deployment", "shop-worker", "--cascade=orphan")
    reconciler.ahead += reconciler.retry_in
    reconciler.until_ready()
    assert pods < names(cluster)
    assert len(names(cluster)) == 4

    cluster.kubectl("scale", "replicasets", "--selector=app=worker", "--replicas=0")
    cluster.wait_until(lambda: len(names(cluster)) == 2)
    assert not pods & names(cluster)
