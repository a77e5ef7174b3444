"""Which app is looked at next, by a clock that the test sets."""

import threading
from types import SimpleNamespace

import pytest

from reconciler.model import CELERY_APP, Ref
from reconciler.service import queue as module
from reconciler.service.queue import OF_A_NAMESPACE, OF_ALL, SOON_SECONDS, Queue

LONG = 2 * SOON_SECONDS


@pytest.fixture
def clock():
    return SimpleNamespace(seconds=100.0)


@pytest.fixture
def woken():
    return []


@pytest.fixture
def made(clock, woken):
    """Return a function: a queue of which so many may be at work."""
    return lambda concurrency=2: Queue(lambda: clock.seconds, concurrency, lambda: woken.append(clock.seconds))


def app(name, namespace="web"):
    return Ref(CELERY_APP.api_version, CELERY_APP.name, namespace, name)


def taken(queue):
    """Return everybody who can be taken now."""
    return list(iter(queue.take, None))


A, B, C, D = map(app, "abcd")


def test_nobody_is_in_an_empty_queue(made):
    queue = made()
    assert (queue.take(), queue.depth, queue.is_busy, queue.stuck_seconds) == (None, 0, False, 0)
    assert queue.pause_seconds == float("inf")


def test_each_app_is_in_it_once_and_they_come_in_their_order(made):
    queue = made(concurrency=8)
    for each in (A, B, A, C, B, A):
        queue.add(each)
    assert taken(queue) == [A, B, C]


@pytest.mark.parametrize(
    ("after_seconds", "at"),
    [
        pytest.param([5, 10], 5, id="the first is the earliest"),
        pytest.param([10, 5], 5, id="the last is the earliest"),
        pytest.param([10, 5, 7], 5, id="one in between is the earliest"),
        pytest.param([10, 0], 0, id="at once is earlier than later"),
        pytest.param([0, 10], 0, id="and stays so"),
    ],
)
def test_the_earliest_time_counts_and_counts_once(made, clock, after_seconds, at):
    queue, began = made(), clock.seconds
    for seconds in after_seconds:
        queue.add(A, seconds)
    if at:
        clock.seconds = began + at - 0.001
        assert queue.take() is None
    clock.seconds = began + at
    assert queue.take() == A
    queue.done(A)
    clock.seconds = began + 1000
    assert queue.take() is None


def test_the_earliest_time_counts_though_time_passes_between(made, clock):
    queue = made()
    queue.add(A, 10)
    clock.seconds += 6
    queue.add(A, 6)
    queue.add(A, 3)
    clock.seconds += 3
    assert queue.take() == A
    clock.seconds += 100
    assert queue.take() is None


def test_one_that_is_at_work_is_not_taken_again_but_looked_at_once_more_afterwards(made):
    queue = made()
    queue.add(A)
    assert queue.take() == A
    queue.add(A)
    queue.add(A)
    assert (queue.take(), queue.depth) == (None, 1)
    queue.done(A)
    assert (queue.take(), queue.take()) == (A, None)


def test_one_that_is_at_work_may_be_due_later(made, clock):
    queue = made()
    queue.add(A)
    queue.take()
    queue.add(A, 5)
    queue.done(A)
    assert queue.take() is None
    clock.seconds += 5
    assert queue.take() == A


def test_one_at_work_does_not_hold_up_those_behind_it(made):
    queue = made()
    queue.add(A)
    queue.take()
    queue.add(A)
    queue.add(B)
    assert queue.take() == B


def test_so_many_are_at_work_at_a_time(made):
    queue = made(concurrency=2)
    for each in (A, B, C, D):
        queue.add(each)
    assert taken(queue) == [A, B]
    queue.done(B)
    assert taken(queue) == [C]
    assert (queue.depth, queue.is_busy) == (1, True)


def test_one_that_lasts_long_frees_its_place_but_is_still_at_work(made, clock):
    queue = made(concurrency=1)
    for each in (A, B):
        queue.add(each)
    assert taken(queue) == [A]
    clock.seconds += SOON_SECONDS
    queue.add(A)
    assert taken(queue) == [B]
    queue.done(B)
    assert (queue.take(), queue.is_busy) == (None, True)


def test_of_a_namespace_so_many_may_hang_and_no_more(made, clock):
    queue = made(concurrency=2)
    for number in range(100):
        queue.add(app(f"hangs-{number}", "hanging"))
    hanging = []
    for _ in range(100):
        hanging += taken(queue)
        clock.seconds += LONG
    assert len(hanging) == len(set(hanging)) == 2 * OF_A_NAMESPACE
    queue.done(hanging[0])
    assert len(taken(queue)) == 1


def test_a_namespace_that_hangs_does_not_keep_another_waiting(made, clock):
    queue = made(concurrency=2)
    for number in range(100):
        queue.add(app(f"hangs-{number}", "hanging"))
    while taken(queue):
        clock.seconds += LONG
    queue.add(A)
    assert queue.take() == A


def test_as_one_begins_to_hang_the_next_is_another_namespaces(made, clock):
    queue = made(concurrency=1)
    for number in range(3):
        queue.add(app(f"hangs-{number}", "hanging"))
    queue.add(A)
    assert [each.namespace for each in taken(queue)] == ["hanging"]
    clock.seconds += LONG
    assert taken(queue) == [A]


def test_in_all_so_many_may_hang_and_no_more(made, clock):
    queue = made(concurrency=1)
    for number in range(OF_ALL + 10):
        queue.add(app("hangs", f"tenant-{number}"))
    hanging = []
    for _ in range(OF_ALL + 10):
        hanging += taken(queue)
        clock.seconds += LONG
    assert len(hanging) == OF_ALL
    assert queue.pause_seconds == float("inf")
    queue.done(hanging[-1])
    assert len(taken(queue)) == 1


def test_namespaces_take_turns_however_many_apps_they_have(made):
    queue = made(concurrency=1)
    for name in ("1", "2", "3", "4"):
        queue.add(app(name, "large"))
    for name in ("1", "2"):
        queue.add(app(name, "small"))
    queue.add(app("1", "tiny"))
    order = []
    while found := queue.take():
        order.append(f"{found.namespace}/{found.name}")
        queue.done(found)
    assert order == ["large/1", "small/1", "tiny/1", "large/2", "small/2", "large/3", "large/4"]


def test_a_namespace_that_is_served_and_comes_again_is_the_last(made):
    queue = made(concurrency=1)
    for namespace in ("a", "b", "c"):
        queue.add(app("x", namespace))
    first = queue.take()
    queue.done(first)
    queue.add(first)
    order = []
    while found := queue.take():
        order.append(found.namespace)
        queue.done(found)
    assert order == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("later", "at_work", "seconds"),
    [
        pytest.param([], False, float("inf"), id="nobody is to come"),
        pytest.param([7, 3, 5], False, 3, id="until the earliest is due"),
        pytest.param([7], True, SOON_SECONDS, id="until one at work lasts long"),
        pytest.param([SOON_SECONDS / 2], True, SOON_SECONDS / 2, id="or somebody is due before"),
    ],
)
def test_how_long_there_will_be_nobody_to_take(made, later, at_work, seconds):
    queue = made(concurrency=1)
    if at_work:
        queue.add(D)
        queue.take()
    for name, after in zip((A, B, C), later, strict=False):
        queue.add(name, after)
    assert queue.take() is None
    assert queue.pause_seconds == pytest.approx(seconds)


def test_one_that_hangs_is_not_waited_for(made, clock):
    queue = made(concurrency=1)
    queue.add(A)
    queue.take()
    clock.seconds += LONG
    assert queue.pause_seconds == float("inf")


def test_who_is_due_is_not_waited_for(made, clock):
    queue = made()
    queue.add(A, 1)
    clock.seconds += 5
    assert queue.pause_seconds == 0


def test_a_pause_ends_when_somebody_can_be_taken(made, clock):
    """However the numbers are rounded: else the loop would turn without rest, or too late."""
    queue = made(concurrency=1)
    queue.add(A)
    queue.take()
    queue.add(B)
    turns = 0
    while queue.take() is None and turns < 10:
        clock.seconds += queue.pause_seconds
        turns += 1
    assert turns <= 2


def test_it_is_stuck_while_no_look_comes_to_an_end(made, clock):
    """One that takes for ever is its own tenant's trouble, and no reason to start anew for all."""
    queue = made(concurrency=8)
    clock.seconds += 50
    queue.add(A)
    queue.take()
    clock.seconds += 3
    queue.add(B)
    queue.take()
    clock.seconds += 4
    assert queue.stuck_seconds == 7
    queue.done(B)
    assert queue.stuck_seconds == 0
    clock.seconds += 2
    assert queue.stuck_seconds == 2
    queue.done(A)
    clock.seconds += 2
    assert queue.stuck_seconds == 0


def test_the_depth_is_of_those_that_are_due(made, clock):
    queue = made(concurrency=1)
    for each, after in ((A, 0), (B, 0), (C, 5)):
        queue.add(each, after)
    queue.take()
    assert queue.depth == 1
    clock.seconds += 5
    queue.take()
    assert queue.depth == 2 - 1


def test_what_is_new_wakes_and_what_is_known_does_not(made, woken):
    queue = made()
    for after, times in ((5, 0), (0.5, 1), (0.5, 1), (9, 1), (0.2, 2), (0, 3), (0, 3)):
        queue.add(A, after)
        assert len(woken) == times, "who takes looks every second by itself"
    queue.done(queue.take())
    assert len(woken) == 4


def test_from_many_threads_nobody_is_lost_and_nobody_is_looked_at_twice_at_a_time():
    queue = Queue(lambda: 0.0, 8, lambda: None)
    apps = [app(str(number), f"tenant-{number % 7}") for number in range(50)]
    at_work, looks, twice, left = set(), dict.fromkeys(apps, 0), [], threading.Event()

    def look():
        while not left.is_set() or queue.depth:
            if found := queue.take():
                twice.extend({found} & at_work)
                at_work.add(found)
                looks[found] += 1
                at_work.discard(found)
                queue.done(found)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        for each in apps:
            queue.add(each)
    left.set()
    for thread in threads:
        thread.join()
    while found := queue.take():  # what was added and had not ripened when the last thread went
        looks[found] += 1
        queue.done(found)
    assert twice == []
    assert all(looks.values())
    assert (queue.depth, queue.is_busy) == (0, False)


def test_the_bounds_leave_room_for_several_namespaces():
    assert module.OF_ALL >= 2 * module.OF_A_NAMESPACE > 2
