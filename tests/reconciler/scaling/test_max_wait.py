"""maxWaitSeconds as a metric: the slots that are needed, as pods."""

from dataclasses import replace

import pytest

from reconciler.scaling import calculator
from reconciler.scaling.calculator import Failure, Proposal
from reconciler.scaling.model import Backlog, Observation, Policy, Unreadable

SCALING = {
    "minReplicas": 1,
    "maxReplicas": 20,
    "cooldownSeconds": 300,
    "paused": False,
    "queue": {"maxWaitSeconds": 60},
}
POLICY = Policy.of({"scaling": SCALING, "concurrency": 4})


@pytest.mark.parametrize(
    ("pods", "slots", "wanted"),
    [(3, 44, 11), (3, 45, 12), (0, 1, 1), (3, 0, 0), (10, 43, 10), (3, None, 25)],
    ids=["as many as divided", "rounded up", "from zero", "none", "near enough", "each message has its slot"],
)
def test_pods_are_the_slots_divided_by_those_of_a_pod(pods, slots, wanted):
    seen = Observation(pods, pods, backlog=Backlog(90, 10), slots=slots)
    assert calculator.queue(POLICY, seen) == Proposal(wanted, "queue wait", {"queue": 100})


def test_a_queue_that_cannot_be_read_asks_for_nothing():
    assert isinstance(calculator.queue(POLICY, Observation(3, 3, backlog=Unreadable("away"), slots=9)), Failure)


def test_a_worker_says_how_many_slots_it_has_where_nobody_else_knows():
    policy = Policy.of({"scaling": SCALING, "concurrency": "auto"})
    alone = Observation(3, 3, backlog=Backlog(90, 10), slots=44)
    assert calculator.queue(policy, alone) == Proposal(44, "queue wait", {"queue": 100})
    told = replace(alone, slots_in_one_pod=8)
    assert calculator.queue(policy, told) == Proposal(6, "queue wait", {"queue": 100})
