"""Which pods must not go because of what they run, and which go first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Moment, Ref
from reconciler.scaling import running
from reconciler.scaling.model import MAX_INT32, Behavior, NotAsked, Pod, Policy, Silent, Stay, Task
from reconciler.scaling.running import KEPT_COST, Cost, Experience, Kept, Sighting, Took
from reconciler.scaling.usage import Seen

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = Policy(1, 20, (), 4, Behavior(), 300, paused=False, concurrency=4, grace_seconds=60)
NONE = frozenset()
NOBODY = Kept({}, NONE)


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
    """Return that tasks of these names took so long, to a tick."""
    return Experience(took={name: Took(seconds, seconds - 15, ago(60)) for name, seconds in names.items()})


def kept(told, pods=None, policy=POLICY, experience=Experience()):  # noqa: B008 (a value)
    """Return which pods are busy, with which task, and which are silent."""
    found = running.kept(policy, pods or [pod()], told, experience.after(told, Moment(NOW, NOW)))
    return {name: each.task for name, each in found.busy.items()}, found.silent


def stays(**tasks):
    """Return that these pods must stay, each with its task."""
    return Kept({name: Sighting(name, its, its.started_at, its.started_at, NOW) for name, its in tasks.items()}, NONE)


def seen(name="a", cost=0, before=None, **more):
    return Seen(Ref("v1", "Pod", "web", name), f"uid of {name}", "7", "shop-worker", cost, pod(name, **more), before)


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
    "one that nearly reaches its limit, as others did": (LIMITED, task(50), known(report=115), False),
    "one of a name that has another limit": (LIMITED, task(50), known(report=1000), True),
    "one of a name that has another, and is nearly done": (LIMITED, task(990), known(report=1000), False),
    "one for which the limit is not the limit": (LIMITED, task(101), known(), True),
    "one that has not begun, by our clock": (POLICY, task(-100), known(report=10), False),
    "one that comes back": (RETURNS, task(acknowledged=False), known(), False),
    "one that does not": (RETURNS, task(), known(), True),
    "one that comes back only where the grace is used for it": (POLICY, task(acknowledged=False), known(), True),
}


@pytest.mark.parametrize(("policy", "its", "experience", "stays"), TASKS.values(), ids=TASKS)
def test_a_pod_stays_whose_task_might_not_end(policy, its, experience, stays):
    found = kept({"a": (its,)}, policy=policy, experience=experience)
    assert found == ({"a": its} if stays else {}, NONE)


TWO = {
    "of which one has run for long": (known(report=16), 600, 5, {"a", "b"}),
    "of which both have, and began together": (known(report=16), 600, 599, {"a", "b"}),
    "of which none has run for longer than is known": (known(report=50), 40, 5, NONE),
    "of which nothing is known but that one runs": (known(), 40, 5, {"a", "b"}),
}


@pytest.mark.parametrize(("experience", "older", "younger", "busy"), TWO.values(), ids=TWO)
def test_while_one_runs_for_longer_than_any_of_its_name_took_nobody_knows_how_long(experience, older, younger, busy):
    tells = {"a": (task(older, id_="1"),), "b": (task(younger, id_="2"),)}
    assert kept(tells, [pod("a"), pod("b")], experience=experience)[0].keys() == busy


def test_of_several_tasks_one_is_enough_and_the_oldest_is_named():
    tasks = (task(1, "send"), task(20, id_="2"), task(30, id_="3"))
    assert kept({"a": tasks}, experience=known(send=2)) == ({"a": tasks[2]}, NONE)


THREADS = replace(POLICY, concurrency=2, reserved=1)
SLOTS = {
    "one is free": (THREADS, 1, known(report=50), NONE),
    "all are busy": (THREADS, 2, known(report=50), {"a"}),
    "but not for long": (THREADS, 2, known(report=25), NONE),
    "and one of another name may have been taken": (THREADS, 2, known(report=25, other=600), {"a"}),
    "but nothing is taken besides": (replace(THREADS, reserved=0), 2, known(report=50), NONE),
}


@pytest.mark.parametrize(("policy", "tasks", "experience", "busy"), SLOTS.values(), ids=SLOTS)
def test_what_threads_have_taken_besides_has_to_end_too(policy, tasks, experience, busy):
    tells = {"a": tuple(task(1, id_=str(number)) for number in range(tasks))}
    assert kept(tells, policy=policy, experience=experience)[0].keys() == busy


def test_of_what_they_have_taken_nobody_knows_while_one_of_its_name_runs_for_longer_than_any():
    tells = {"a": (task(1, id_="1"), task(1, id_="2")), "b": (task(600, "other", "3"),)}
    busy, _ = kept(tells, [pod("a"), pod("b")], THREADS, known(report=25, other=16))
    assert busy.keys() == {"a", "b"}


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
    assert kept(told, [its]) == ({}, frozenset({"a"} if stays else ()))


@pytest.mark.parametrize("phase", ["Running", "Pending"])
def test_a_pod_that_says_it_is_at_work_is_at_work_though_it_never_was_ready(phase):
    never = pod(phase=phase, is_ready=False, started_at=ago(900), ready_since=ago(900))
    assert kept({"a": (task(600),)}, [never]) == ({"a": task(600)}, NONE)


def test_idle_pods_that_say_so_may_go():
    assert kept({"a": ()}) == ({}, NONE)


# How many

A, B, C = pod("a"), pod("b"), pod("c")
LEAST = {
    "nobody has to": ([A, B, C], set(), False, 0),
    "so many as must stay": ([A, B, C], {"b"}, False, 1),
    "those that come do not count": ([A, B, pod("c", phase="Pending", is_ready=False)], {"b"}, False, 1),
    "nor do those that go": ([A, B, pod("c", is_terminating=True)], {"b"}, False, 1),
    "one that is not ready goes before all that are": ([was_ready("a"), B, C], {"a"}, False, 3),
    "but after those that are not either": ([was_ready("a"), pod("b", is_ready=False), C], {"a"}, False, 2),
    "one that is not heard of goes before them too": ([pod("a", is_unknown=True), B, C], {"a"}, False, 3),
    "while pods are replaced, all": ([A, B, C], {"b"}, True, MAX_INT32),
    "unless nobody has to": ([A, B, C], set(), True, 0),
}


@pytest.mark.parametrize(("pods", "busy", "is_rolling", "least"), LEAST.values(), ids=LEAST)
def test_so_many_pods_that_none_goes_that_must_stay(pods, busy, is_rolling, least):
    found = running.active(
        POLICY, pods, {name: (task(),) for name in busy}, stays(**dict.fromkeys(busy, task())), is_rolling=is_rolling
    )
    assert (found.tasks, found.busy.pods, found.silent) == (len(busy), least, Stay())


def test_it_is_said_who_has_to_stay_and_why():
    must = stays(b=task(600), a=task(60))._replace(silent=frozenset("c"))
    found = running.active(POLICY, [A, B, C], {"a": (task(60),), "b": (task(600),)}, must, is_rolling=False)
    message = "b runs report since 11:50:00 UTC, which might not end within 60 s"
    assert found.busy == Stay(2, "TasksRunning", message)
    assert found.silent == Stay(3, "CelerySilent", "c does not answer what runs")


def test_the_words_stay_the_same_while_other_tasks_come_and_go():
    """Each change of the status is a write, and an Event."""

    def words(*others):
        must = stays(a=task(600), **{name: task(60) for name in others})._replace(silent=frozenset(("d", *others)))
        found = running.active(POLICY, [A, B, C, pod("d")], {}, must, is_rolling=False)
        return found.busy.message, found.silent.message

    assert words("b") == words("b", "c")
    assert words("b")[0] == words("c")[0] == words()[0]


def test_where_nobody_may_ask_it_is_said_why():
    must = Kept({}, frozenset({"a", "b"}))
    found = running.active(POLICY, [A, B], NotAsked("the Secret may not be read"), must, is_rolling=False)
    assert found.silent == Stay(2, "CeleryNotAsked", "the Secret may not be read")


# How long tasks take


def told(*tasks):
    return {"a": tasks}


def at(seconds, wall_seconds=0):
    """Return a moment that is so many seconds later, by a wall clock that was set to so many more."""
    steady = NOW + timedelta(seconds=seconds)
    return Moment(steady + timedelta(seconds=wall_seconds), steady)


def after(*looks):
    """Return what is known after looks, each at its second: what was told, and how many seconds the wall is ahead."""
    experience = Experience()
    for seconds, tells, *ahead in looks:
        experience = experience.after(tells, at(seconds, *ahead))
    return experience


def test_what_a_task_took_is_known_once_it_is_there_no_more():
    experience = after((0, told(task(10))))
    assert experience.took == {}
    experience = experience.after(told(), at(15))
    assert experience.took == {"report": Took(25, 10, at(15).steady)}
    assert (experience.last, experience.running) == ({}, {})


def test_the_longest_of_an_hour_counts():
    first, second = task(100, id_="1"), task(-5, id_="2")
    experience = after((0, told(first)), (15, told(second)), (30, told()))
    assert experience.took["report"].most == 115
    assert experience.after(told(), at(15 + 3600)).took == {}


def test_a_task_of_a_pod_that_is_silent_may_still_run():
    experience = after((0, told(task())))
    for silence in ({}, Silent(), NotAsked()):
        later = experience.after(silence, at(15))
        assert (later.took, [*later.last.values()]) == ({}, [Sighting("a", task(), ago(10), ago(10), NOW)])
    assert experience.after({}, at(3600)).last == {}


def test_one_that_two_pods_run_is_two():
    """It came back from one that was thought to be lost."""
    experience = after((0, {"a": (task(600),), "b": (task(10),)}), (15, {"a": (), "b": (task(10),)}))
    assert experience.took["report"].most == 615
    assert [each.pod for each in experience.last.values()] == ["b"]


def test_one_that_is_retried_begins_anew():
    """It keeps its id, and is there at each look."""
    experience = after(*((15 * number, told(task(1 - 15 * number))) for number in range(40)))
    assert (experience.took["report"].most, experience.running) == (16, {"report": 1})


def test_one_whose_beginning_is_not_told_began_a_tick_before_it_was_first_seen():
    silent = Task("1", "report", None, is_acknowledged=True)
    assert after((0, told(silent)), (600, told(silent)), (615, told())).took["report"].least == 615


def test_none_began_before_its_pod_was_seen_without_it():
    """Whatever the worker's clock says."""
    assert after((0, told()), (15, told(task(3600)))).running == {"report": 15}


def test_a_clock_that_is_set_makes_no_task_older():
    looks = (0, told(task(10))), (15, told(task(10)), 3600), (30, told(), 3600)
    assert after(*looks).took["report"].most == 40


MISSED = {
    "is all that is known": ([(0, told(task(1))), (60, told())], 61),
    "is of no use any more once a better is known": (
        [(0, told(task(1))), (60, told()), (75, told(task(-74, id_="2"))), (90, told())], 16,
    ),
    "says nothing that is not known better": (
        [(0, told(task(1))), (15, told()), (30, told(task(-29, id_="2"))), (90, told())], 16,
    ),
    "says much of one that was seen for longer than any": (
        [(0, told(task(1), task(20, id_="2"))), (15, told(task(20, id_="2"))), (90, told())], 110,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("looks", "seconds"), MISSED.values(), ids=MISSED)
def test_an_end_that_was_missed(looks, seconds):
    assert after(*looks).longest("report").most == seconds


def held(policy=POLICY, *, ahead=0.0, missed=(), every=15.0):
    """Return at which of forty looks a pod is kept that always runs a task of a second, by a clock that is ahead."""
    experience, found = Experience(), []
    for number in range(40):
        short = Task(str(number), "send", at(number * every + ahead - 0.5).wall, is_acknowledged=True)
        tells = {"another": ()} if number in missed else told(short)
        experience = experience.after(tells, at(number * every))
        if running.kept(policy, [pod()], tells, experience).busy:
            found.append(number)
    return found


LOOKS = {
    "by a clock that is right": {},
    "by one that is ahead": {"ahead": 20},
    "by one that is behind": {"ahead": -20},
    "if an answer is missed": {"policy": replace(POLICY, grace_seconds=30), "missed": (10,)},
    "if it is looked at each minute": {"every": 50},
}


@pytest.mark.parametrize("looks", LOOKS.values(), ids=LOOKS)
def test_tasks_of_a_second_never_keep_a_pod(looks):
    assert held(**looks) == [0]  # of the first nothing was known


# Which go first


@pytest.mark.parametrize(
    ("its", "tasks", "must", "cost"),
    [
        pytest.param(seen(), (task(), task(id_="2")), NOBODY, ("2", ""), id="one that runs tasks costs their number"),
        pytest.param(seen(), (), NOBODY, None, id="an idle one stays at nothing"),
        pytest.param(seen(cost=1), (task(),), NOBODY, None, id="what it says already is not written again"),
        pytest.param(seen(cost=3, before=""), (), NOBODY, ("0", ""), id="one that has become idle costs nothing"),
        pytest.param(seen(), (task(),), stays(a=task()), (f"{KEPT_COST + 1}", ""), id="one that must stay"),
        pytest.param(seen(), None, Kept({}, frozenset("a")), (f"{KEPT_COST}", ""), id="one that is silent must too"),
        pytest.param(seen(is_terminating=True), (task(),), NOBODY, None, id="one that goes already needs no cost"),
        pytest.param(seen(cost=7), (task(),), NOBODY, ("1", "7"), id="what somebody else wrote is remembered"),
        pytest.param(seen(cost=2, before="7"), (task(),), NOBODY, ("1", "7"), id="for as long as ours stands there"),
    ],
)
def test_only_costs_that_change_are_written(its, tasks, must, cost):
    expected = () if cost is None else (Cost(its.ref, its.uid, *cost),)
    assert running.costs([its, seen("idle")], {} if tasks is None else {"a": tasks}, must) == expected


@pytest.mark.parametrize("nothing", [Silent(), NotAsked()])
def test_if_nobody_knows_all_cost_the_same(nothing):
    pods = [seen("a", 3, before=""), seen("b")]
    assert running.costs(pods, nothing, Kept({}, frozenset("ab"))) == (Cost(pods[0].ref, pods[0].uid, "0", ""),)


def test_where_nobody_answers_one_that_was_ready_goes_after_one_that_never_was():
    """Both are not ready: the cost alone tells them apart, and the floor rests on it."""
    was = seen("a", is_ready=False, started_at=ago(7200))
    never = seen("b", is_ready=False, started_at=ago(9), ready_since=ago(9))
    pods = [was.pod, never.pod]
    must = running.kept(POLICY, pods, Silent(), Experience())
    assert running.active(POLICY, pods, Silent(), must, is_rolling=False).silent.pods == 1  # so one of the two goes
    assert running.costs([was, never], Silent(), must) == (Cost(was.ref, was.uid, f"{KEPT_COST}", ""),)


def test_afterwards_what_was_there_before_is_there_again():
    pods = [
        seen("a", 3, before=""),
        seen("b", 7),
        seen("c", 5, before="7"),
        seen("d", 5, before="", is_terminating=True),
    ]
    expected = (Cost(pods[0].ref, pods[0].uid, None, None), Cost(pods[2].ref, pods[2].uid, "7", None))
    assert running.taken_back(pods) == expected
