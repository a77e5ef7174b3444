"""How many apps roll with a new release at a time."""

import contextlib
import threading
import time
from types import SimpleNamespace

import pytest

from reconciler.service.rollouts import LONGEST_SECONDS, Rollouts

DONE = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 2}
ROLLING = DONE | {"updatedReplicas": 1, "replicas": 4}


def progressing(reason):
    return {"conditions": [{"type": "Progressing", "status": "any", "reason": reason}]}


@pytest.fixture
def woken():
    return []


@pytest.fixture
def clock():
    return SimpleNamespace(seconds=100.0)


@pytest.fixture
def rollouts(woken, clock):
    return Rollouts(2, lambda ref: woken.append(ref.name), lambda: clock.seconds)


@pytest.fixture
def app(celery_app):
    return lambda name: celery_app(name=name, uid=f"uid of {name}")


@pytest.fixture
def deployment(live):
    """Return a function: a Deployment of an app, as it is in the cluster."""

    def deployment(app, component="worker", status=ROLLING, **more):
        labels = {"celeryproject.org/app": app, "celeryproject.org/component": component}
        metadata = {"generation": 2} | more.pop("metadata", {})
        return live(name=f"{app}-{component}", labels=labels, metadata=metadata, status=status, **more)

    return deployment


@pytest.fixture
def two_roll(rollouts, app, deployment):
    """Let the apps a and b roll, by a release."""
    for name in "ab":
        assert rollouts.may_roll(app(name))
        rollouts.heard(deployment(name, status=DONE), deployment(name))
        rollouts.looked(app(name))
    assert rollouts.counts == {"running": 2, "waiting": 0}


@pytest.mark.usefixtures("two_roll")
def test_no_more_than_so_many_roll_at_a_time(rollouts, app, woken):
    assert not rollouts.may_roll(app("c"))
    rollouts.looked(app("c"))
    assert (rollouts.counts, woken) == ({"running": 2, "waiting": 1}, [])


@pytest.mark.usefixtures("two_roll")
def test_one_that_rolls_already_may_go_on(rollouts, app):
    assert rollouts.may_roll(app("a"))
    rollouts.looked(app("a"))
    assert rollouts.counts == {"running": 2, "waiting": 0}


def test_a_place_is_taken_as_soon_as_it_is_granted(rollouts, app):
    assert [rollouts.may_roll(app(name)) for name in "abc"] == [True, True, False]


def test_a_place_that_was_granted_and_not_used_is_free_after_the_look(rollouts, app, woken):
    for name in "abcd":
        rollouts.may_roll(app(name))
    rollouts.looked(app("a"))
    assert woken == ["c"]
    assert rollouts.may_roll(app("c"))


@pytest.mark.usefixtures("two_roll")
@pytest.mark.parametrize(
    "status",
    [
        pytest.param(DONE, id="once it is done"),
        pytest.param(ROLLING | progressing("ProgressDeadlineExceeded"), id="once it is stuck"),
        pytest.param(
            DONE | {"readyReplicas": 1, "availableReplicas": 1} | progressing("NewReplicaSetAvailable"),
            id="once it was done, though a pod has failed since",
        ),
    ],
)
def test_the_one_that_has_waited_longest_is_woken_when_another_has_come_to_an_end(
    rollouts, app, deployment, woken, status
):
    for name in "cd":
        assert not rollouts.may_roll(app(name))
        rollouts.looked(app(name))
    rollouts.heard(deployment("a"), deployment("a", status=status))
    assert woken == ["c"]
    assert rollouts.may_roll(app("c"))
    assert not rollouts.may_roll(app("d"))


@pytest.mark.usefixtures("two_roll")
def test_one_that_is_gone_holds_no_place(rollouts, app, deployment, woken):
    rollouts.may_roll(app("c"))
    rollouts.heard(deployment("a"), None)
    assert (rollouts.counts["running"], woken) == (1, ["c"])


@pytest.mark.usefixtures("two_roll")
def test_one_that_is_labelled_as_another_apps_holds_no_place_for_the_first(rollouts, deployment, live):
    other = {"celeryproject.org/app": "b", "celeryproject.org/component": "worker"}
    moved = live(name="a-worker", labels=other, metadata={"generation": 2}, status=ROLLING)
    rollouts.heard(deployment("a"), moved)
    assert rollouts.counts["running"] == 1
    rollouts.heard(moved, None)
    rollouts.heard(deployment("b"), None)
    assert rollouts.counts["running"] == 0


@pytest.mark.usefixtures("two_roll")
def test_an_app_holds_its_place_until_its_last_deployment_is_done(rollouts, app, deployment, woken):
    rollouts.heard(None, deployment("a", "mail"))
    rollouts.may_roll(app("c"))
    rollouts.heard(deployment("a"), deployment("a", status=DONE))
    assert (rollouts.counts["running"], woken) == (2, [])
    rollouts.heard(deployment("a", "mail"), deployment("a", "mail", status=DONE))
    assert (rollouts.counts["running"], woken) == (1, ["c"])


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            {"status": DONE | {"readyReplicas": 1} | progressing("NewReplicaSetAvailable")},
            id="whose pods fail after its rollout",
        ),
        pytest.param({"status": ROLLING | progressing("ProgressDeadlineExceeded")}, id="that is stuck"),
        pytest.param({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, id="that is being deleted"),
    ],
)
def test_no_place_is_held_by_one(rollouts, app, deployment, more):
    rollouts.may_roll(app("a"))
    rollouts.heard(None, deployment("a", **more))
    rollouts.looked(app("a"))
    assert rollouts.counts["running"] == 0


def test_only_deployments_roll(rollouts, live):
    rollouts.heard(None, live("v1 ConfigMap", "shop-probe", metadata={"generation": 2}))
    rollouts.heard(None, None)
    assert rollouts.counts == {"running": 0, "waiting": 0}


def test_a_rollout_that_nobody_asked_about_holds_no_place(rollouts, app, deployment):
    """Whoever may make Deployments could hold up all others for ever."""
    for name in "ab":
        rollouts.heard(None, deployment(name))
    assert rollouts.may_roll(app("c"))


def test_but_in_a_new_term_all_that_roll_do_once(rollouts, app, deployment, clock):
    """Whoever wrote before may have let them."""
    for name in "ab":
        rollouts.heard(None, deployment(name))
    rollouts.adopt()
    assert not rollouts.may_roll(app("c"))
    clock.seconds += LONGEST_SECONDS
    assert rollouts.may_roll(app("c"))


@pytest.mark.usefixtures("two_roll")
def test_no_place_is_held_for_ever(rollouts, app, clock, woken):
    rollouts.may_roll(app("c"))
    clock.seconds += LONGEST_SECONDS - 1
    rollouts.turn()
    assert woken == []
    clock.seconds += 1
    rollouts.turn()
    assert (woken, rollouts.counts["running"]) == (["c"], 0)


def test_a_place_is_not_lost_within_the_look_that_uses_it(rollouts, app, deployment):
    """Its rollout before may come to an end just then."""
    rollouts.heard(None, deployment("a"))
    rollouts.may_roll(app("a"))
    rollouts.heard(deployment("a"), deployment("a", status=DONE))
    rollouts.heard(deployment("a", status=DONE), deployment("a"))
    rollouts.looked(app("a"))
    assert rollouts.counts["running"] == 1


def test_apps_of_a_name_in_two_namespaces_are_two(celery_app, app, woken):
    rollouts = Rollouts(1, woken.append, time.monotonic)
    assert rollouts.may_roll(app("a"))
    assert not rollouts.may_roll(celery_app(name="a", namespace="elsewhere"))


@pytest.mark.usefixtures("two_roll")
def test_one_that_waits_is_woken_once(rollouts, app, woken, deployment):
    for _ in range(3):
        rollouts.may_roll(app("c"))
    for name in "ab":
        rollouts.heard(deployment(name), deployment(name, status=DONE))
    rollouts.looked(app("a"))
    assert woken == ["c"]


def in_threads(looks, names):
    """Have all looked at, by six threads."""
    todo = list(names)

    def run():
        with contextlib.suppress(IndexError):
            while True:
                looks(todo.pop())

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_from_many_threads_never_more_than_so_many_and_all_get_their_turn(app, deployment):
    woken, lock, rolling, most, rolled = [], threading.Lock(), set(), [], []
    rollouts = Rollouts(3, lambda ref: woken.append(ref.name), time.monotonic)
    names = [f"app-{number}" for number in range(60)]
    apps = {name: app(name) for name in names}
    there = {name: (deployment(name), deployment(name, status=DONE)) for name in names}

    def look(name):
        if may := rollouts.may_roll(apps[name]):
            with lock:
                rolling.add(name)
                most.append(len(rolling))
            rollouts.heard(None, there[name][0])
        rollouts.looked(apps[name])
        if may:
            with lock:
                rolling.remove(name)
                rolled.append(name)
            rollouts.heard(*there[name])

    in_threads(look, names)
    while woken:
        again, woken[:] = list(woken), []
        in_threads(look, again)
    assert max(most) <= 3
    assert sorted(rolled) == sorted(names)
    assert rollouts.counts == {"running": 0, "waiting": 0}
