"""What is made of what is seen of a group, without a cluster to write to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import clock
from reconciler.cluster.cache import Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import Live
from reconciler.model import HORIZONTAL_POD_AUTOSCALER, POD, Ref
from reconciler.scaling import groups, usage
from reconciler.scaling.demand import Demanded
from reconciler.scaling.group import Group
from reconciler.scaling.groups import Remembered, Target
from reconciler.scaling.model import SCALE_DOWN, Backlog, Behavior, NotAsked, Pod, Policy
from reconciler.scaling.rivals import autoscaler
from reconciler.scaling.sight import Measured, Sight
from reconciler.scaling.usage import Seen

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = ("app", "worker")
BEHAVIOR = Behavior(scale_down=SCALE_DOWN._replace(window_seconds=0))
POLICY = Policy(1, 20, (), 4, BEHAVIOR, 300, paused=False, concurrency=4)


@pytest.fixture
def rescaled(manifest):
    """Return a function: the decision about so many replicas of which these are known, all idle, as was just said."""

    def rescaled(replicas, names, *, seconds_ago=0.0, running=None, policy=POLICY):
        status = {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas}
        template = {"metadata": {}, "spec": {"containers": []}}
        spec = {"replicas": replicas, "template": template}
        live = Live.of(manifest(metadata={"generation": 1}, spec=spec, status=status))
        pods = Store(None, POD, usage.seen, Where(None, ""))
        pods.problem = ""
        for name in names:
            pod = Pod(name, "Running", is_ready=True, ready_since=NOW)
            pods.take(Seen(Ref("v1", "Pod", "web", name), name, "1", "shop-worker", 0, pod))
        sight = Sight(1, pods, Store(None, HORIZONTAL_POD_AUTOSCALER, autoscaler, Where(None, "")), Measured({}))
        sight.hear({KEY: Demanded(Backlog(0, 0), dict.fromkeys(names, ()) if running is None else running)})
        heard = sight.heard[KEY]
        sight.heard[KEY] = heard._replace(steady=heard.steady - timedelta(seconds=seconds_ago))
        target = Target(KEY, Group("worker", policy, frozenset({"celery"}), "redis://", {}), live)
        decision = groups.rescaled(Remembered(), [target], sight, None, clock.now()).decisions["worker"]
        return decision.replicas, decision.reason, decision.message

    return rescaled


def test_pods_that_are_known_to_be_idle_go(rescaled):
    assert rescaled(3, "abc")[:2] == (1, "TooFewReplicas")


def test_pods_that_are_not_known_of_are_not_known_to_be_idle(rescaled):
    assert rescaled(5, "abc") == (5, "CelerySilent", "2 pods are not known yet")


def test_nothing_goes_by_an_answer_of_long_ago(rescaled):
    message = "what runs was told too long ago, and is asked again"
    assert rescaled(3, "abc", seconds_ago=50) == (3, "CelerySilent", message)


def test_who_may_not_be_asked_is_waited_for_no_longer(rescaled):
    policy = replace(POLICY, when_silent="ScaleIn")
    assert rescaled(3, "abc", seconds_ago=50, running=NotAsked(), policy=policy)[0] == 1
