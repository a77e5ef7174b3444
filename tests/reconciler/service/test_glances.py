"""Who is glanced at between two ticks, and who is woken. The test tells what brokers would."""

from dataclasses import replace

import pytest

from reconciler.cluster.cache import Cache, Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import Live
from reconciler.model import DEPLOYMENT
from reconciler.scaling.demand import Demanded
from reconciler.scaling.group import Group
from reconciler.scaling.groups import Target
from reconciler.scaling.model import SCALE_DOWN, SCALE_UP, Backlog, Behavior, Policy, Silent, Unreadable
from reconciler.service.glances import Glances

KEY = ("uid", "worker")
NOTHING, MESSAGES = Demanded(Backlog(0, 0), {}), Demanded(Backlog(7, 0), {})
DOWN = Demanded(Unreadable("Connection refused"), Silent())
POLICY = Policy(0, 9, (), 2, Behavior(SCALE_UP, SCALE_DOWN), 60, paused=False, concurrency=2)
GROUP = Group("worker", POLICY, frozenset({"celery"}), "redis://redis/0", {})


class Scene:
    """An app, its Deployment, and glances at its group."""

    def __init__(self, app, live):
        self.app = app
        self.live = live
        self.deployments = Store(None, DEPLOYMENT, Live.of, Where(None, ""))
        self.glances = Glances(Cache(None, {DEPLOYMENT.name: self.deployments}))
        self.asked, self.woken, self.version = [], [], 0

    def tick(self, group=GROUP, replicas=0):
        self.version += 1
        live = self.live(spec={"replicas": replicas}, metadata={"resourceVersion": str(self.version)})
        self.deployments.take(live)
        self.glances.follow(self.app, [Target(KEY, group, live)])

    def turn(self, found=None):
        """Glance, and have this told; return who was asked about."""
        self.asked = []

        def ask(crews, told):
            self.asked = list(crews)
            self.told = told
            if found:
                told(dict.fromkeys(crews, found))

        self.glances.turn(ask, self.woken.append)
        return self.asked


@pytest.fixture
def scene(celery_app, live, monkeypatch):
    for name in ("GLANCE_SECONDS", "EACH_SECONDS"):
        monkeypatch.setattr(f"reconciler.service.glances.{name}", 0)
    return Scene(celery_app(uid="uid"), live)


def test_a_message_wakes_its_app_once(scene):
    scene.tick()
    assert scene.turn(MESSAGES) == [KEY]
    assert scene.woken == [scene.app.ref]
    assert scene.glances.take(scene.app) == [KEY]
    assert scene.glances.take(scene.app) == []
    assert scene.turn(MESSAGES) == []


def test_who_has_no_message_is_glanced_at_again(scene):
    scene.tick()
    assert [scene.turn(NOTHING) for _ in range(3)] == [[KEY]] * 3
    assert scene.woken == []
    assert scene.glances.take(scene.app) == []


def test_a_broker_that_does_not_tell_is_left_to_the_next_tick(scene):
    scene.tick()
    assert scene.turn(DOWN) == [KEY]
    assert scene.turn(MESSAGES) == []
    scene.tick()
    assert scene.turn(MESSAGES) == [KEY]


def test_nobody_is_glanced_at_twice_at_a_time(scene):
    scene.tick()
    assert scene.turn() == [KEY]
    assert scene.turn() == []
    scene.told({KEY: NOTHING})
    assert scene.turn() == [KEY]


def test_what_is_told_after_a_tick_does_not_bring_back_what_was_before_it(scene):
    scene.tick()
    scene.turn()
    scene.tick(GROUP._replace(policy=replace(POLICY, paused=True)))
    scene.told({KEY: NOTHING})
    assert scene.turn() == []


@pytest.mark.parametrize(
    ("group", "replicas"),
    [
        pytest.param(GROUP, 1, id="it has a pod"),
        pytest.param(GROUP._replace(policy=replace(POLICY, min_replicas=1)), 0, id="somebody switched it off"),
        pytest.param(GROUP._replace(policy=replace(POLICY, paused=True)), 0, id="it is paused"),
        pytest.param(GROUP._replace(queues=frozenset()), 0, id="its queue does not count"),
        pytest.param(GROUP._replace(url=None), 0, id="nobody knows its broker"),
    ],
)
def test_nobody_else_is_glanced_at(scene, group, replicas):
    scene.tick(group, replicas)
    assert scene.turn(MESSAGES) == []


def test_who_goes_to_zero_between_two_ticks_is_glanced_at(scene):
    scene.tick(replicas=1)
    assert scene.turn(MESSAGES) == []
    scene.deployments.take(scene.live(spec={"replicas": 0}, metadata={"resourceVersion": "9"}))
    assert scene.turn(MESSAGES) == [KEY]


def test_an_app_that_is_gone_and_a_term_that_is_over_are_forgotten(scene):
    for forget in (lambda: scene.glances.forget(scene.app), scene.glances.forget_all):
        scene.tick()
        forget()
        assert scene.turn(MESSAGES) == []


def test_an_app_that_is_gone_or_not_scaled_any_more_is_forgotten(scene):
    scene.tick()
    scene.turn(MESSAGES)
    scene.tick()
    scene.glances.keep(frozenset())
    assert scene.turn(MESSAGES) == []
    assert scene.glances.take(scene.app) == []
    scene.tick()
    scene.glances.keep(frozenset({"uid"}))
    assert scene.turn(MESSAGES) == [KEY]
