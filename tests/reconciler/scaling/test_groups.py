"""What is made of what is seen of a group, without a cluster to write to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import clock
from reconciler.cluster.cache import Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import Live
from reconciler.model import HORIZONTAL_POD_AUTOSCALER, POD, Moment, Ref
from reconciler.scaling import groups, usage
from reconciler.scaling.demand import Demanded
from reconciler.scaling.group import Group
from reconciler.scaling.groups import Remembered, Target
from reconciler.scaling.model import SCALE_DOWN, Backlog, Behavior, NotAsked, Pod, Policy, Silent
from reconciler.scaling.pace import Counters
from reconciler.scaling.rivals import autoscaler
from reconciler.scaling.sight import Measured, Sight
from reconciler.scaling.usage import Seen

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = ("app", "worker")
BEHAVIOR = Behavior(scale_down=SCALE_DOWN._replace(window_seconds=0))
POLICY = Policy(1, 20, (), 4, BEHAVIOR, 300, paused=False, concurrency=4)


@pytest.fixture
def scene(manifest):
    """Return a function: a group of so many replicas, these pods of it, and a sight of what is told."""

    def scene(replicas, pods_there, demanded, policy=POLICY):
        status = {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas}
        template = {"metadata": {}, "spec": {"containers": []}}
        spec = {"replicas": replicas, "template": template}
        live = Live.of(manifest(metadata={"generation": 1}, spec=spec, status=status))
        pods = Store(None, POD, usage.seen, Where(None, ""))
        pods.problem = ""
        for pod in pods_there:
            pods.take(Seen(Ref("v1", "Pod", "web", pod.name), pod.name, "1", "shop-worker", 0, pod))
        sight = Sight(1, pods, Store(None, HORIZONTAL_POD_AUTOSCALER, autoscaler, Where(None, "")), Measured({}))
        sight.hear({KEY: demanded})
        return Target(KEY, Group("worker", policy, frozenset({"celery"}), "redis://", {}), live), sight

    return scene


def ready(name):
    return Pod(name, "Running", is_ready=True, started_at=NOW - timedelta(hours=1), ready_since=NOW)


@pytest.fixture
def rescaled(scene):
    """Return a function: the decision about so many replicas of which these are known, all idle, as was just said."""

    def rescaled(replicas, names, *, seconds_ago=0.0, running=None, policy=POLICY):
        told = dict.fromkeys(names, ()) if running is None else running
        target, sight = scene(replicas, map(ready, names), Demanded(Backlog(0, 0), told), policy)
        heard = sight.heard[KEY]
        sight.heard[KEY] = heard._replace(steady=heard.steady - timedelta(seconds=seconds_ago))
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


@pytest.fixture
def paced(scene):
    """Return a function: what is measured by these looks, one a tick, at a pod and what is told of it."""

    def paced(*looks, policy=POLICY):
        remembered = Remembered()
        for tick, (pod, demanded) in enumerate(looks):
            target, sight = scene(1, [pod], demanded, policy)
            at = timedelta(seconds=15 * tick)
            now = Moment(NOW + at, NOW + at)
            sight.heard[KEY] = now
            remembered = groups.rescaled(remembered, [target], sight, None, now)
        return remembered.paces["worker"]

    return paced


def counting(begun):
    return Demanded(Backlog(0, 0), {"a": ()}, {"a": Counters(0, begun, 4)})


@pytest.mark.parametrize("when_silent", ["Hold", "ScaleIn"])
@pytest.mark.parametrize("is_ready", [True, False])
def test_who_answers_again_has_begun_only_what_is_new(paced, when_silent, is_ready):
    silent = ready("a") if is_ready else replace(ready("a"), is_ready=False)
    policy = replace(POLICY, when_silent=when_silent)
    looks = [(ready("a"), counting(1000)), (silent, Demanded(Backlog(0, 0), Silent())), (ready("a"), counting(1002))]
    assert paced(*looks, policy=policy).ended == pytest.approx(2)
    assert paced(*looks[1:], policy=policy).ended == 0


def test_who_says_that_nothing_runs_and_counts_nothing_is_not_taken_to_be_busy(rescaled):
    policy = replace(POLICY, average_length=None, max_wait_seconds=60)
    assert rescaled(3, "abc", policy=policy)[0] == 1
