"""A new image reaches the pods of a worker group: how many are Ready meanwhile, as told by the server's own watch."""

import pytest

REPLICAS = 4


@pytest.mark.parametrize(
    ("rollout", "fewest_ready"),
    [
        pytest.param({}, REPLICAS, id="by default none is missed"),
        pytest.param({"maxSurge": 0, "maxUnavailable": 1}, REPLICAS - 1, id="one is missed where no more may run"),
    ],
)
def test_a_rollout_keeps_the_ready_workers_it_promises(cluster, rendered, rollout, fewest_ready):
    deployment = worker(rendered(workers=[{"name": "mail", "replicas": REPLICAS, "rollout": rollout}]))
    cluster.apply(deployment).accepted()
    cluster.wait_until(lambda: cluster.is_rolled_out(deployment))
    assert min(ready_during_rollout(cluster, deployment, "registry.example.com/shop:2")) == fewest_ready


def worker(manifests):
    [deployment] = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
    return deployment


def ready_during_rollout(cluster, deployment, image):
    """Yield the number of Ready pods after each change to any pod, until all are of the new image."""
    pods_path = f"/api/v1/namespaces/{cluster.namespace}/pods"
    before = cluster.request("GET", pods_path).body
    pods = {pod["metadata"]["name"]: pod for pod in before["items"]}
    cluster.kubectl("set", "image", f"deployment/{deployment['metadata']['name']}", f"worker={image}")
    for event in cluster.watch(pods_path, resourceVersion=before["metadata"]["resourceVersion"]):
        pod = event["object"]
        pods = {name: other for name, other in pods.items() if name != pod["metadata"]["name"]}
        if event["type"] != "DELETED":
            pods[pod["metadata"]["name"]] = pod
        yield sum(map(is_ready, pods.values()))
        if len(pods) == REPLICAS and all(is_ready(each) and runs(each, image) for each in pods.values()):
            return
    raise AssertionError("The rollout did not end.")


def is_ready(pod):
    conditions = pod["status"].get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def runs(pod, image):
    return pod["spec"]["containers"][0]["image"] == image
