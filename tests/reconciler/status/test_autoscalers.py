"""What is said of groups that a HorizontalPodAutoscaler or KEDA scales."""

import pytest

from reconciler.model import Condition, Scaling
from reconciler.status import autoscalers

HPA, KEDA = "autoscaling/v2 HorizontalPodAutoscaler", "keda.sh/v1alpha1 ScaledObject"
OF_KEDA = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "shop-worker"}
OF_KEDA |= {"uid": "uid of shop-worker", "controller": True}


def condition(kind, status, reason, message):
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026"}


VALID = condition("ScalingActive", "True", "ValidMetricFound", "a replica count was calculated")
UNREAD = condition("ScalingActive", "False", "FailedGetExternalMetric", "no metrics returned")
AT_ZERO = condition("ScalingActive", "False", "ScalingDisabled", "the replica count of the target is zero")
LIMITED = condition("ScalingLimited", "True", "TooManyReplicas", "more than the maximum")
ABLE = condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
READY = condition("Ready", "True", "ScaledObjectReady", "is defined correctly")
BROKEN = condition("Ready", "False", "TriggerError", "Triggers are not working correctly")
PAUSED = condition("Paused", "True", "ScaledObjectPaused", "is paused")
UNPAUSED = condition("Paused", "False", "ScaledObjectUnpaused", "is not paused")


def active(status, reason, message):
    return Scaling(message, (Condition("ScalingActive", status, reason, message),))


def test_an_hpas_conditions_are_the_groups(live):
    found = live(HPA, status={"currentReplicas": 2, "conditions": [ABLE, VALID, LIMITED]})
    valid = "HorizontalPodAutoscaler shop-worker: a replica count was calculated"
    limited = "HorizontalPodAutoscaler shop-worker: more than the maximum"
    conditions = (
        Condition("ScalingActive", "True", "ValidMetricFound", valid),
        Condition("ScalingLimited", "True", "TooManyReplicas", limited),
    )
    assert autoscalers.said([live(), found], [found]) == {"worker": Scaling(valid, conditions)}


def test_an_hpa_that_has_said_nothing_yet_tells_nothing(live):
    assert autoscalers.said([live(HPA)], []) == {"worker": Scaling("", ())}


@pytest.mark.parametrize(
    ("conditions", "of_keda", "said"),
    [
        pytest.param(
            [], None, active("Unknown", "NothingSaid", "ScaledObject shop-worker: has said nothing yet"), id="no KEDA"
        ),
        pytest.param(
            [BROKEN, UNPAUSED],
            [VALID],
            active("False", "TriggerError", "ScaledObject shop-worker: Triggers are not working correctly"),
            id="KEDA cannot read",
        ),
        pytest.param(
            [READY],
            [UNREAD],
            active(
                "False", "FailedGetExternalMetric", "HorizontalPodAutoscaler keda-hpa-shop-worker: no metrics returned"
            ),
            id="KEDA says it could, and its HPA that it cannot",
        ),
        pytest.param(
            [READY],
            [AT_ZERO],
            active("True", "ScaledObjectReady", "ScaledObject shop-worker: is defined correctly"),
            id="at zero KEDA looks itself",
        ),
        pytest.param(
            [READY],
            None,
            active("True", "ScaledObjectReady", "ScaledObject shop-worker: is defined correctly"),
            id="whatever its HPA is called",
        ),
        pytest.param([READY, PAUSED], None, active("False", "ScalingDisabled", "scaling is paused"), id="paused"),
    ],
)
def test_keda_says_how_it_is_and_its_hpa_the_rest(live, conditions, of_keda, said):
    own = live(KEDA, status={"conditions": conditions})
    status = {"conditions": of_keda}
    others = [live(HPA, "keda-hpa-shop-worker", owner=OF_KEDA, status=status)] if of_keda else []
    assert autoscalers.said([own], [own, *others]) == {"worker": said}
