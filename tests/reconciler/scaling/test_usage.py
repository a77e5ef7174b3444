"""Pods and their metrics, read out of what the API server lists."""

from datetime import UTC, datetime

import pytest

from reconciler.scaling import usage
from reconciler.scaling.model import Pod, Sample

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def pod(manifest):
    """Return a function: a pod of the Deployment shop-worker, with more in its metadata, its spec and its status."""

    def pod(metadata=None, resources=None, owner="shop-worker-5f4d", kind="ReplicaSet", **status):
        owner = {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "any", "controller": True}
        containers = [{"name": "sidecar", "resources": {"requests": {"cpu": "9"}}}, {"name": "worker"}]
        containers[1]["resources"] = resources or {}
        labels = {"pod-template-hash": "5f4d"}
        more = {"metadata": metadata or {}, "spec": {"containers": containers}, "status": status}
        return manifest("v1 Pod", "shop-worker-5f4d-x", owner=owner, labels=labels, **more)

    return pod


def test_a_pod_is_what_the_autoscaler_has_to_know_of_it(pod):
    seen = usage.seen(
        pod(
            metadata={"annotations": {usage.DELETION_COST: "3", usage.COST_BEFORE: ""}},
            resources={"requests": {"cpu": "250m", "memory": "1Ki"}},
            phase="Running",
            startTime="2026-01-31T12:00:00Z",
            conditions=[
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-31T11:00:00Z"},
                {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-31T12:00:00Z"},
            ],
        )
    )
    assert (seen.deployment, seen.deletion_cost, seen.cost_before) == ("shop-worker", 3, "")
    assert seen.pod == Pod(
        name="shop-worker-5f4d-x",
        phase="Running",
        is_terminating=False,
        is_ready=False,
        ready_since=NOON,
        started_at=NOON,
        requests={"cpu": 250, "memory": 1_024_000},
    )


def test_what_is_not_known_of_a_pod_is_none(pod):
    found = usage.seen(pod(metadata={"deletionTimestamp": "2026-01-31T12:00:00Z"})).pod
    assert (found.is_terminating, found.is_ready, found.ready_since, found.started_at) == (True, None, None, None)
    assert found.requests == {"cpu": None, "memory": None}


@pytest.mark.parametrize(
    ("status", "is_ready", "is_unknown"), [("True", True, False), ("False", False, False), ("Unknown", True, True)]
)
def test_a_pod_that_is_not_heard_of_is_ready_to_the_autoscaler_alone(pod, status, is_ready, is_unknown):
    found = usage.seen(pod(conditions=[{"type": "Ready", "status": status}])).pod
    assert (found.is_ready, found.is_unknown) == (is_ready, is_unknown)


@pytest.mark.parametrize(
    ("phase", "state", "runs"),
    [
        pytest.param("Running", {"running": {}}, True, id="as it says"),
        pytest.param("Pending", {"running": {}}, True, id="though a sidecar cannot start"),
        pytest.param("Running", {"waiting": {}}, False, id="about to be started again"),
        pytest.param("Running", None, True, id="by its pod, where it is not told"),
        pytest.param("Pending", None, False, id="not yet, where it is not told"),
    ],
)
def test_celery_runs_as_its_own_container_says(pod, phase, state, runs):
    statuses = [{"name": "worker", "state": state}, {"name": "proxy", "state": {"waiting": {}}}]
    assert usage.seen(pod(phase=phase, containerStatuses=statuses)).pod.is_running is runs


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"owner": "shop-worker-5f4e"}, id="of a ReplicaSet with another hash"),
        pytest.param({"owner": "5f4d"}, id="of a ReplicaSet that no Deployment made"),
        pytest.param({"kind": "StatefulSet"}, id="of a StatefulSet"),
        pytest.param({"metadata": {"ownerReferences": []}}, id="of nobody"),
    ],
)
def test_a_pod_that_no_deployment_has_is_none_of_ours(pod, more):
    assert usage.seen(pod(**more)) is None


@pytest.mark.parametrize(
    ("text", "cost"), [("-5", -5), ("2147483647", 2**31 - 1), ("", 0), ("much", 0), ("1.5", 0), ("1" * 5000, 0)]
)
def test_a_cost_that_is_no_number_is_none(pod, text, cost):
    annotated = pod(metadata={"annotations": {usage.DELETION_COST: text}})
    assert usage.seen(annotated).deletion_cost == cost


def test_only_the_celery_container_is_measured():
    containers = [
        {"name": "sidecar", "usage": {"cpu": "9", "memory": "9Gi"}},
        {"name": "worker", "usage": {"cpu": "123456789n", "memory": "64Mi"}},
    ]
    found = usage.measured(
        {
            "metadata": {"namespace": "web", "name": "any"},
            "timestamp": "2026-01-31T12:00:00Z",
            "window": "1m0.5s",
            "containers": containers,
        }
    )
    assert found == (
        "web",
        "any",
        {"cpu": Sample(124, NOON, 60.5), "memory": Sample(64 * 2**20 * 1000, NOON, 60.5)},
    )


def test_a_pod_whose_container_was_not_measured_has_no_samples():
    metadata = {"namespace": "web", "name": "any"}
    assert usage.measured(
        {"metadata": metadata, "timestamp": "2026-01-31T12:00:00Z", "window": "10s", "containers": []}
    ) == ("web", "any", {})
