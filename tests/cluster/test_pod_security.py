"""Pod Security admission at its strictest, the standard "restricted".

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from functools import partial

import pytest

EVERY_COMPONENT = {
    "broker": {"url": "redis://redis:6379/0"},
    "workers": [{"name": "mail", "queues": ["mail"]}, {"name": "ping", "queues": ["ping"], "probe": {"type": "Ping"}}],
    "beat": {"storage": {}},
    "flower": {"persistence": {}},
}
ONLY_OBJECTION = 'runAsNonRoot != true (pod or container "{}" must set securityContext.runAsNonRoot=true)'


@pytest.fixture
def restricted(cluster):
    cluster.kubectl("label", "namespace", cluster.namespace, "pod-security.kubernetes.io/enforce=restricted")
    return cluster


def test_run_as_non_root_is_all_the_user_adds(restricted, rendered):
    for deployment in applied(restricted, rendered(**EVERY_COMPONENT, podSecurityContext={"runAsNonRoot": True})):
        restricted.wait_until(partial(has_a_pod, restricted, deployment))


def test_nor_do_init_containers_and_sidecars_need_more(restricted, rendered):
    init = [{"name": "migrated", "command": ["true"]}, {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}]
    spec = {**EVERY_COMPONENT, "podSecurityContext": {"runAsNonRoot": True}, "initContainers": init}
    for deployment in applied(restricted, rendered(**spec)):
        restricted.wait_until(partial(has_a_pod, restricted, deployment))


def test_without_it_every_pod_is_refused(restricted, rendered):
    for deployment in applied(restricted, rendered(**EVERY_COMPONENT)):
        container = deployment["spec"]["template"]["spec"]["containers"][0]["name"]
        refusal = restricted.wait_until(partial(restricted.condition, deployment, "ReplicaFailure"))
        assert refusal["message"].endswith(f' "restricted:latest": {ONLY_OBJECTION.format(container)}')


def applied(cluster, manifests):
    """Return the Deployments of what is applied, one per component."""
    for manifest in manifests:
        cluster.apply(manifest).accepted()
    deployments = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
    assert len(deployments) == 4
    return deployments


def has_a_pod(cluster, deployment):
    return cluster.get(deployment)["status"].get("replicas") == 1
