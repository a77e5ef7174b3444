"""How far a Deployment is: whether it rolls, is stuck, or is only not well."""

import pytest

from reconciler.status.rollout import Rollout

READY = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 2}
FAILED = {"readyReplicas": 1, "availableReplicas": 1}


def progressing(reason):
    return {"conditions": [{"type": "Progressing", "status": "any", "reason": reason}]}


@pytest.mark.parametrize(
    ("status", "metadata", "rolling", "stuck"),
    [
        pytest.param({}, {}, False, False, id="one that is ready"),
        pytest.param({"observedGeneration": 1}, {}, True, False, id="one that was just changed"),
        pytest.param(
            {"observedGeneration": 1} | progressing("NewReplicaSetAvailable"),
            {},
            True,
            False,
            id="one that was just changed and had come to an end before",
        ),
        pytest.param(
            {"replicas": 4, "updatedReplicas": 1} | progressing("ReplicaSetUpdated"),
            {},
            True,
            False,
            id="one whose pods are exchanged",
        ),
        pytest.param(FAILED | progressing("ReplicaSetUpdated"), {}, True, False, id="one whose new pods are not ready"),
        pytest.param(FAILED | progressing("ProgressDeadlineExceeded"), {}, False, True, id="one that is stuck"),
        pytest.param(
            progressing("ProgressDeadlineExceeded"), {}, False, False, id="one that was stuck and is ready after all"
        ),
        pytest.param(
            FAILED | progressing("NewReplicaSetAvailable"),
            {},
            False,
            False,
            id="one of which a pod fails after its rollout",
        ),
        pytest.param(
            {"updatedReplicas": 0} | progressing("NewReplicaSetAvailable"),
            {},
            True,
            False,
            id="one that goes back to a ReplicaSet that there was before",
        ),
        pytest.param(
            {"observedGeneration": 1},
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            False,
            False,
            id="one that is being deleted",
        ),
        pytest.param(dict.fromkeys(READY, 0), {}, True, False, id="one that is new"),
    ],
)
def test_what_a_deployment_does(live, status, metadata, rolling, stuck):
    found = Rollout.of(live(metadata={"generation": 2} | metadata, status=READY | status))
    assert (found.is_rolling, found.is_stuck) == (rolling, stuck)
