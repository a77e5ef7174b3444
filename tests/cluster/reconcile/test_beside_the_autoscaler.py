"""Beside a real HorizontalPodAutoscaler, with the same pods and the same usage, our scaler comes to the same number."""

from functools import partial

import pytest
from beside import (
    Case,
    Outcome,
    Stage,
    Then,
    failed,
    joined_by_a_stranger,
    never_ready,
    not_ready_any_more,
    terminating,
    unmeasured,
    using,
)

from render import since
from render.naming import APP_LABEL

pytest_plugins = "reconciling"

CPU = {"cpu": {"averageUtilization": 200}}
"""100m of the 50m that a pod requests."""
CPU_VALUE = {"cpu": {"averageValue": "100m"}}
MEMORY = {"memory": {"averageUtilization": 200}}
MEMORY_VALUE = {"memory": {"averageValue": "100Mi"}}

FEW, MANY, UP, DOWN = "TooFewReplicas", "TooManyReplicas", "ScaleUpLimit", "ScaleDownLimit"
GOT = "SucceededGetScale"
NO_METRIC = "FailedGetContainerResourceMetric"


def rates(direction, *policies, **rules):
    """Return a behavior whose periods do not end while anybody looks."""
    policies = [{"type": kind, "value": value, "periodSeconds": 1800} for kind, value in policies]
    return {"behavior": {direction: {"policies": policies} | rules}}


def tolerance(direction, share):
    return {"behavior": {direction: {"tolerance": share}}}


ONE_ON_A_NODE = {
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}, "matchLabelKeys": [APP_LABEL]}
            ]
        }
    }
}
"""Three pods run, on a node each; all others wait."""
PAUSED = {"paused": True}
NO_REQUESTS = {"resources": {}}
"""By hand: a CeleryApp that scales by a share of its requests must have some."""
up, down = partial(rates, "scaleUp"), partial(rates, "scaleDown")
ONE, HALF, TENTH, ALL = ("Pods", 1), ("Percent", 50), ("Percent", 10), ("Percent", 100)

# A pod that comes later uses next to nothing, as if the work were shared out: a rise ends where each has enough.
# One that goes takes its work with it: a fall goes on until rounding up stops it.
# On a machine that is busy the measured CPU jumps. Where a jump would be remembered the case is one of memory.
RISES_AND_FALLS = {
    "CPU above its share of the request": Case(1, CPU, Outcome(2), cpu=150),
    "CPU above its value": Case(1, CPU_VALUE, Outcome(3), cpu=250),
    "CPU below its share of the request": Case(2, CPU, Outcome(1), cpu=40),
    "CPU below its value": Case(2, CPU_VALUE, Outcome(1), cpu=40),
    "memory above its share of the request": Case(1, MEMORY, Outcome(3), memory=290),
    "memory above its value": Case(1, MEMORY_VALUE, Outcome(2), memory=190),
    "memory below its share of the request": Case(3, MEMORY, Outcome(2), memory=60),
    "memory below its value": Case(3, MEMORY_VALUE, Outcome(2), memory=60),
}

TOLERANCE = {
    "10 percent above is near enough": Case(1, MEMORY, Outcome(1), memory=110),
    "11 percent above is not": Case(1, MEMORY, Outcome(2), memory=111),
    "10 percent above its value is near enough": Case(1, MEMORY_VALUE, Outcome(1), memory=110),
    "11 percent above its value is not": Case(1, MEMORY_VALUE, Outcome(2), memory=111),
    "50 percent above, where that is tolerated": Case(1, MEMORY | tolerance("scaleUp", "0.5"), Outcome(1), memory=150),
    "52 percent above": Case(1, MEMORY | tolerance("scaleUp", "0.5"), Outcome(2), memory=152),
    "40 percent below, where that is tolerated": Case(3, MEMORY | tolerance("scaleDown", "0.4"), Outcome(3), memory=60),
    "42 percent below": Case(3, MEMORY | tolerance("scaleDown", "0.4"), Outcome(2), memory=58),
}

BOUNDS = {
    "no more than the most": Case(1, CPU | {"maxReplicas": 2}, Outcome(2, limited=MANY), cpu=900),
    "no fewer than the fewest": Case(2, CPU | {"minReplicas": 2}, Outcome(2, limited=FEW), cpu=10),
    "more than the most, before": Case(2, MEMORY | {"maxReplicas": 1}, Outcome(1)),
    "fewer than the fewest, before": Case(1, CPU | {"minReplicas": 2}, Outcome(2, limited=FEW), cpu=50),
    "none, by hand": Case(0, CPU | {"minReplicas": 2}, Outcome(0, "ScalingDisabled", None, GOT)),
}

RATES = {
    "one pod more": Case(2, CPU | up(ONE), Outcome(3, limited=UP), cpu=300),
    "half as many more": Case(2, CPU | up(HALF), Outcome(3, limited=UP), cpu=300),
    "a tenth more, rounded up": Case(1, CPU | up(TENTH), Outcome(2, limited=UP), cpu=500),
    "the most that one of two policies lets come": Case(2, CPU | up(ONE, ALL), Outcome(4, limited=UP), cpu=300),
    "the fewest that come": Case(2, CPU | up(ONE, ALL, selectPolicy="Min"), Outcome(3, limited=UP), cpu=300),
    "no pod more": Case(1, CPU | up(ALL, selectPolicy="Disabled"), Outcome(1, limited=UP), cpu=300),
    "one pod fewer": Case(3, CPU | down(ONE), Outcome(2, limited=DOWN), cpu=10),
    "half as many, rounded down": Case(5, CPU | down(HALF), Outcome(2, limited=DOWN), cpu=10),
    "the most that one of two policies lets go": Case(4, CPU | down(ONE, HALF), Outcome(2, limited=DOWN), cpu=10),
    "the fewest that go": Case(4, CPU | down(ONE, HALF, selectPolicy="Min"), Outcome(3, limited=DOWN), cpu=10),
    "no pod fewer": Case(2, CPU | down(ALL, selectPolicy="Disabled"), Outcome(2, limited=DOWN), cpu=10),
}

TWO_METRICS = {
    "the higher of two numbers": Case(1, CPU | MEMORY, Outcome(2), cpu=50, memory=190),
    "the other way round": Case(1, CPU_VALUE | MEMORY, Outcome(2), cpu=150, memory=50),
    "fewer only if both ask for fewer": Case(2, CPU | MEMORY, Outcome(2), cpu=10),
    "as many as the higher of two lower numbers": Case(3, CPU | MEMORY, Outcome(2), cpu=20, memory=60),
}

NOT_ALL_COUNT = {
    "a pod that never was ready counts as idle to grow": Case(3, CPU, Outcome(4), cpu=175, mishap=never_ready(1)),
    "and does not count to shrink": Case(3, CPU, Outcome(1), cpu=40, mishap=never_ready(1)),
    "one that was ready once counts as any": Case(2, CPU, Outcome(4), cpu=175, mishap=not_ready_any_more(1)),
    "memory knows no readiness": Case(2, MEMORY, Outcome(4), memory=190, mishap=never_ready(1)),
    "a pod that fits on no node counts as idle to grow": Case(4, MEMORY, Outcome(6), memory=180, spec=ONE_ON_A_NODE),
    "and does not count to shrink by": Case(4, MEMORY, Outcome(3), memory=70, spec=ONE_ON_A_NODE),
    "a pod without metrics counts as idle to grow": Case(2, MEMORY, Outcome(3), memory=260, mishap=unmeasured(1)),
    "and as full to shrink, by its value": Case(3, MEMORY_VALUE, Outcome(3), memory=60, mishap=unmeasured(1)),
    "by a target that is more than the request": Case(3, MEMORY, Outcome(3), memory=60, mishap=unmeasured(1)),
    "or by the request that is more than the target": Case(
        3, {"memory": {"averageUtilization": 50}}, Outcome(3), memory=10, mishap=unmeasured(1)
    ),
    "failed pods do not count": Case(2, MEMORY, Outcome(1), memory=45, mishap=failed(1), extra=1),
    "nor do those that are being deleted": Case(2, MEMORY, Outcome(1), memory=45, mishap=terminating(1), extra=1),
}

ROLLOUTS = {
    "pods of both images count to grow": Case(2, MEMORY, Outcome(5), memory=140, rollout={}, extra=1),
    "pods of both images count to shrink": Case(3, MEMORY, Outcome(3), memory=57, rollout={}, extra=1),
    "new pods that fit on no node count as idle": Case(
        2, MEMORY, Outcome(2), memory=125, rollout={"nodeSelector": {"there-is": "none"}}, extra=1
    ),
    "new pods that never were ready do so": Case(
        2, CPU, Outcome(2), cpu=115, rollout={}, mishap=never_ready(-1), extra=1
    ),
}

UNMEASURED = {
    "without a request there is no share of it": Case(
        2, CPU, Outcome(2, NO_METRIC, None, GOT), cpu=300, container=NO_REQUESTS
    ),
    "but there is a value": Case(1, CPU_VALUE, Outcome(2), cpu=150, container=NO_REQUESTS),
    "without metrics nothing changes": Case(2, CPU, Outcome(2, NO_METRIC, None, GOT), mishap=unmeasured(2)),
    "nor does it for memory": Case(2, MEMORY_VALUE, Outcome(2, NO_METRIC, None, GOT), mishap=unmeasured(2)),
    "nor while no pod ever was ready": Case(2, CPU, Outcome(2, NO_METRIC, None, GOT), cpu=300, mishap=never_ready(2)),
    "one metric that fails lets the other grow": Case(
        1, CPU | MEMORY_VALUE, Outcome(2), memory=190, container=NO_REQUESTS
    ),
    "but not shrink": Case(2, CPU | MEMORY_VALUE, Outcome(2, NO_METRIC, None, GOT), memory=10, container=NO_REQUESTS),
}

TWO_ACTS = {
    "10 percent below is near enough, 11 percent is not": Case(
        10, MEMORY | {"maxReplicas": 10}, Outcome(10), memory=90, then=Then(using(memory=89), Outcome(9))
    ),
    "more, then fewer": Case(1, CPU, Outcome(2), cpu=150, then=Then(using(cpu=10), Outcome(1))),
    "fewer, then more": Case(3, MEMORY, Outcome(2), memory=60, then=Then(using(memory=190), Outcome(4))),
    "enough, then nothing known": Case(
        2, MEMORY, Outcome(2), then=Then(unmeasured(2), Outcome(2, NO_METRIC, able=GOT))
    ),
}

# By intent. An HPA counts whatever has the labels: kubernetes/kubernetes#124307. And it cannot be told to pause: what
# engine: HPA writes in place of it are rules that let nothing come or go, which a bound overrules.
DIFFERENCES = {
    "a pod that has the labels alone counts for the autoscaler": Case(
        1, MEMORY, Outcome(2), memory=60, mishap=joined_by_a_stranger, extra=1, ours=Outcome(1)
    ),
    "paused": Case(1, CPU | PAUSED, Outcome(1, limited=UP), cpu=300, ours=Outcome(1, "ScalingDisabled", None, GOT)),
    "paused, with more pods than the most": Case(
        2, MEMORY | PAUSED | {"maxReplicas": 1}, Outcome(1), ours=Outcome(2, "ScalingDisabled", None, GOT)
    ),
}

TOLERANCE_OFF = since.table().gates.get("HPAConfigurableTolerance", {})
CASES = RISES_AND_FALLS | TOLERANCE | BOUNDS | RATES | TWO_METRICS | NOT_ALL_COUNT | ROLLOUTS | UNMEASURED | TWO_ACTS


@pytest.fixture(scope="module")
def acts(common_reconciler):
    """Return what becomes of both sides of every case: at first, and then."""
    cases = CASES | DIFFERENCES
    stage = Stage(common_reconciler, cases.values())
    stage.prepare()
    yield [dict(zip(cases, act(), strict=True)) for act in (stage.begin, stage.go_on)]
    stage.end()


@pytest.mark.parametrize("case", CASES)
def test_both_come_to_the_same_number_for_the_same_reason(acts, case, release):
    if case in TOLERANCE and "behavior" in CASES[case].scaling and release in TOLERANCE_OFF:
        pytest.skip("the autoscaler of this release gets no tolerance")
    assert acts[0][case] == (CASES[case].outcome, CASES[case].outcome)


@pytest.mark.parametrize("case", TWO_ACTS)
def test_both_go_on_alike(acts, case):
    then = CASES[case].then.outcome
    assert acts[1][case] == (then, then)


@pytest.mark.parametrize("case", DIFFERENCES)
def test_they_differ_where_they_are_to(acts, case):
    assert acts[0][case] == (DIFFERENCES[case].outcome, DIFFERENCES[case].ours)
