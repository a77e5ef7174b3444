"""Which pods must not go because of what they run, and which go first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Ref
from reconciler.scaling import running
from reconciler.scaling.model import MAX_INT32, Behavior, NotAsked, Pod, Policy, Silent, Stay, Task
from reconciler.scaling.running import KEPT_COST, Cost, Experience, Kept, Sighting, Took
from reconciler.scaling.usage import Seen

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = Policy(1, 20, (), 4, Behavior(), 300, paused=False, concurrency=4, grace_seconds=60)
NOBODY = Kept({}, frozenset())


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def pod(name="a", **more):
    """Return a pod that has been ready for an hour."""
    return Pod(**{"name": name, "phase": "Running", "is_ready": True, "ready_since": ago(3600)} | more)


def was_ready(name="a", seconds=600):
    """Return one that is not ready any more, so long after its start."""
    return pod(name, is_ready=False, started_at=ago(3600), ready_since=ago(3600 - seconds))


def task(seconds=10, name="report", id_="1", *, acknowledged=True):
    """Return a task that has run for so long."""
    return Task(id_, name, ago(seconds), acknowledged)


def known(**names):
    """Return that tasks of these names took so long."""
    return Experience(took={name: Took(seconds, ago(60)) for name, seconds in names.items()})


def kept(told, pods=None, policy=POLICY, experience=Experience()):  # noqa: B008 (a value)
    return running.kept(policy, pods or [pod()], told, experience, NOW)


def seen(name="a", cost=0, **more):
    return Seen(Ref("v1", "Pod", "web", name), f"uid of {name}", "7", "shop-worker", cost, pod(name, **more))


# Which must stay

LIMITED = replace(POLICY, time_limit_seconds=100)
RETURNS = replace(POLICY, returns_tasks=True)
TASKS = {
    "one of which nothing is known": (POLICY, task(), known(), True),
    "one that takes as long as is left": (POLICY, task(10), known(report=65), False),
    "one that takes longer": (POLICY, task(10), known(report=66), True),
    "one that is nearly done": (POLICY, task(590), known(report=600), False),
    "one that takes longer than any before": (POLICY, task(601), known(report=600), True),
    "one of another name": (POLICY, task(590), known(other=600), True),
    "one that its limit ends in time": (LIMITED, task(45), known(), False),
    "one that its limit ends too late": (LIMITED, task(44), known(), True),
    "one that takes less than its limit": (LIMITED, task(1), known(report=10), False),
    "one that takes more, but its limit ends it": (LIMITED, task(50), known(report=1000), False),
    "one for which the limit is not the limit": (LIMITED, task(101), known(), True),
    "one that has not begun, by our clock": (POLICY, task(-100), known(report=10), False),
    "one that comes back": (RETURNS, task(acknowledged=False), known(), False),
    "one that does not": (RETURNS, task(), known(), True),
    "one that comes back only where the grace is used for it": (POLICY, task(acknowledged=False), known(), True),
}


@pytest.mark.parametrize(("policy", "its", "experience", "stays"), TASKS.values(), ids=TASKS)
def test_a_pod_stays_whose_task_might_not_end(policy, its, experience, stays):
    found = kept({"a": (its,)}, policy=policy, experience=experience)
    assert found == Kept({"a": its} if stays else {}, frozenset())


def test_of_several_tasks_one_is_enough_and_the_oldest_is_named():
    tasks = (task(1, "send"), task(20, id_="2"), task(30, id_="3"))
    assert kept({"a": tasks}, experience=known(send=2)).busy == {"a": tasks[2]}


PODS = {
    "ready": (pod(), True),
    "without the condition": (pod(is_ready=None), True),
    "was ready": (was_ready(), True),
    "never was ready": (was_ready(seconds=2), False),
    "nothing is known of when": (pod(is_ready=False, ready_since=None), False),
    "is about to be started again": (pod(is_running=False), False),
    "has not begun": (pod(phase="Pending", is_ready=False, is_running=False), False),
    "is going": (pod(is_terminating=True), False),
    "has failed": (pod(phase="Failed"), False),
}


@pytest.mark.parametrize(("its", "stays"), PODS.values(), ids=PODS)
@pytest.mark.parametrize("told", [{}, {"another": ()}, Silent(), NotAsked()], ids=str)
def test_a_pod_that_does_not_answer_is_busy_if_it_ever_worked(its, stays, told):
    assert kept(told, [its]) == Kept({}, frozenset({"a"} if stays else ()))


def test_a_pod_that_says_it_is_at_work_is_at_work_though_it_never_was_ready():
    never = pod(is_ready=False, started_at=ago(900), ready_since=ago(900))
    assert kept({"a": (task(600),)}, [never]).busy == {"a": task(600)}


def test_idle_pods_that_say_so_may_go():
    assert kept({"a": ()}) == NOBODY


# How many

A, B, C = pod("a"), pod("b"), pod("c")
LEAST = {
    "nobody has to": ([A, B, C], set(), False, 0),
    "so many as must stay": ([A, B, C], {"b"}, False, 1),
    "those that come do not count": ([A, B, pod("c", phase="Pending", is_ready=False)], {"b"}, False, 1),
    "nor do those that go": ([A, B, pod("c", is_terminating=True)], {"b"}, False, 1),
    "one that is not ready goes before all that are": ([was_ready("a"), B, C], {"a"}, False, 3),
    "but after those that are not either": ([was_ready("a"), pod("b", is_ready=False), C], {"a"}, False, 2),
    "while pods are replaced, all": ([A, B, C], {"b"}, True, MAX_INT32),
    "unless nobody has to": ([A, B, C], set(), True, 0),
}


@pytest.mark.parametrize(("pods", "busy", "is_rolling", "least"), LEAST.values(), ids=LEAST)
def test_so_many_pods_that_none_goes_that_must_stay(pods, busy, is_rolling, least):
    stays = Kept(dict.fromkeys(busy, task()), frozenset())
    found = running.active(POLICY, pods, {name: (task(),) for name in busy}, stays, is_rolling=is_rolling)
    assert (found.tasks, found.busy.pods, found.silent) == (len(busy), least, Stay())


def test_it_is_said_who_has_to_stay_and_why():
    stays = Kept({"b": task(600), "a": task(60)}, frozenset({"c"}))
    found = running.active(POLICY, [A, B, C], {"a": (task(60),), "b": (task(600),)}, stays, is_rolling=False)
    message = "a and 1 more run tasks that might not end within 60 s: report runs since 11:50:00 UTC"
    assert found.busy == Stay(2, "TasksRunning", message)
    assert found.silent == Stay(3, "CelerySilent", "c does not answer what runs")


def test_where_nobody_may_ask_it_is_said_why():
    stays = Kept({}, frozenset({"a", "b"}))
    found = running.active(POLICY, [A, B], NotAsked("the Secret may not be read"), stays, is_rolling=False)
    assert found.silent == Stay(2, "CeleryNotAsked", "the Secret may not be read")


# How long tasks take


def told(*tasks):
    return {"a": tasks}


def test_what_a_task_took_is_known_once_it_is_there_no_more():
    experience = Experience().after(told(task(10)), NOW)
    assert experience.took == {}
    experience = experience.after(told(), NOW + timedelta(seconds=15))
    assert experience.took == {"report": Took(25, NOW + timedelta(seconds=15))}
    assert experience.last == {}


def test_the_longest_of_an_hour_counts():
    experience, now = Experience(), NOW
    for number, seconds in enumerate((100, 10)):
        experience = experience.after(
            told(Task(str(number), "report", now - timedelta(seconds=seconds), is_acknowledged=True)), now
        )
        now += timedelta(seconds=15)
        experience = experience.after(told(), now)
    assert experience.took["report"].seconds == 115
    assert experience.after(told(), now + timedelta(hours=1)).took == {}


def test_a_task_of_a_pod_that_is_silent_may_still_run():
    experience = Experience().after(told(task()), NOW)
    for silence in ({}, Silent(), NotAsked()):
        after = experience.after(silence, NOW + timedelta(seconds=15))
        assert (after.took, after.last) == ({}, {"1": Sighting("a", task(), NOW)})
    assert experience.after({}, NOW + timedelta(hours=1)).last == {}


def test_what_was_not_seen_for_long_says_nothing():
    """Else a second's task would seem to take as long as the outage in which it ended."""
    experience = Experience().after(told(task()), NOW).after(told(), NOW + timedelta(seconds=60))
    assert experience == Experience()


def test_tasks_of_a_second_never_keep_a_pod():
    experience, now = Experience(), NOW
    for number in range(20):
        short = Task(str(number), "send", now - timedelta(seconds=0.5), is_acknowledged=True)
        experience = experience.after(told(short), now)
        is_kept = bool(running.kept(POLICY, [pod()], told(short), experience, now).busy)
        assert is_kept is (number == 0)  # of the first nothing was known
        now += timedelta(seconds=15)


# Which go first


@pytest.mark.parametrize(
    ("its", "tasks", "stays", "cost"),
    [
        pytest.param(seen(), (task(), task(id_="2")), NOBODY, 2, id="one that runs tasks costs their number"),
        pytest.param(seen(), (), NOBODY, None, id="an idle one stays at nothing"),
        pytest.param(seen(cost=1), (task(),), NOBODY, None, id="what it says already is not written again"),
        pytest.param(seen(cost=3), (), NOBODY, 0, id="one that has become idle costs nothing any more"),
        pytest.param(seen(), (task(),), Kept({"a": task()}, frozenset()), KEPT_COST + 1, id="one that must stay"),
        pytest.param(seen(), None, Kept({}, frozenset("a")), KEPT_COST, id="one that is silent must too"),
        pytest.param(seen(is_terminating=True), (task(),), NOBODY, None, id="one that goes already needs no cost"),
    ],
)
def test_only_costs_that_change_are_written(its, tasks, stays, cost):
    expected = () if cost is None else (Cost(its.ref, its.uid, cost),)
    assert running.costs([its], {} if tasks is None else {"a": tasks}, stays) == expected


@pytest.mark.parametrize("nothing", [Silent(), NotAsked()])
def test_if_nobody_knows_all_cost_the_same(nothing):
    pods = [seen("a", 3), seen("b")]
    assert running.costs(pods, nothing, Kept({}, frozenset("ab"))) == (Cost(pods[0].ref, pods[0].uid, 0),)


def test_afterwards_costs_are_taken_back():
    pods = [seen("a", 3), seen("b"), seen("c", 5, is_terminating=True)]
    assert running.taken_back(pods) == (Cost(pods[0].ref, pods[0].uid, 0),)
