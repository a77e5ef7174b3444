"""How fast tasks come and end, how long they wait, and the slots that this takes."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.scaling.model import Backlog, Pod
from reconciler.scaling.pace import Counters, Line, Pace, starts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def line(seconds, waiting=0, running=0, silent=(), **begun):
    """Return what is seen so many seconds after noon; each worker has four slots, and runs its share."""
    workers = {pod: Counters(running // len(begun), count, 4) for pod, count in begun.items()}
    backlog = Backlog(waiting, running)
    return Line(NOON + timedelta(seconds=seconds), backlog, workers, dict.fromkeys(silent, 4))


def looked(*lines):
    pace = Pace()
    for each in lines:
        pace = pace.after(each)
    return pace


def saturated(ticks, task_seconds, waiting):
    """Return what is known of two workers that are always busy."""
    begun = [round(15 * tick * 4 / task_seconds) for tick in range(ticks)]
    return looked(*(line(15 * tick, waiting, 8, a=count, b=count) for tick, count in enumerate(begun)))


def test_at_first_nothing_is_known():
    assert (Pace().task_seconds, Pace().wait_seconds, Pace().slots(60)) == (None, None, None)


@pytest.mark.parametrize("task_seconds", [0.2, 2, 20, 120])
def test_a_task_takes_as_long_as_slots_are_busy_for_each_that_ends(task_seconds):
    assert saturated(80, task_seconds, 100).task_seconds == pytest.approx(task_seconds, rel=0.1)


def test_a_slot_between_two_tasks_is_not_free_while_messages_wait():
    found = looked(line(0, 50, 0, a=0), line(15, 50, 0, a=6), line(30, 50, 0, a=12))
    assert found.task_seconds == 4 * 30 / 12


def test_with_nothing_in_line_slots_are_busy_as_seen():
    found = looked(line(0, 0, 1, a=0), line(15, 0, 1, a=15))
    assert found.task_seconds == 1


def test_as_long_as_none_has_ended_each_message_has_a_slot():
    assert looked(line(0, 30, 4, a=4), line(15, 30, 4, a=4)).slots(60) == 34


def test_what_waits_is_what_no_slot_has_begun_wherever_it_is():
    assert line(0, waiting=5, running=4, a=4).waiting == 5
    prefetched = Line(NOON, Backlog(5, 10), {"a": Counters(4, 4, 4)}, {})
    assert prefetched.waiting == 11


def test_a_message_waits_for_those_before_it():
    assert saturated(80, 2, 100).wait_seconds == pytest.approx(100 * 2 / 8, rel=0.05)


@pytest.mark.parametrize(("lines", "seconds"), [([line(0, a=0)], 0), ([line(0)], None), ([line(0, 9, 4, a=4)], None)])
def test_the_wait_is_told_only_if_it_is_known(lines, seconds):
    assert looked(*lines).wait_seconds == seconds


@pytest.mark.parametrize(
    ("task_seconds", "waiting", "slots"),
    [
        (0.2, 1200, 8),  # a line of 30 s is as long as it may be
        (0.2, 12_000, 80),
        (2, 100, 7),
        (20, 100, 44),
        (120, 100, 87),  # hardly more than one message for each slot
    ],
)
def test_each_slot_may_have_as_long_a_line_as_it_can_begin_in_time(task_seconds, waiting, slots):
    steady = saturated(80, task_seconds, waiting)
    assert steady.slots(60) == pytest.approx(slots, abs=1 + slots // 20)


def test_the_longer_a_message_may_wait_the_fewer_slots_it_takes():
    found = [saturated(80, 20, 100).slots(seconds) for seconds in (1, 10, 30, 60, 300, 3600)]
    assert found == sorted(found, reverse=True)


def test_pods_take_so_long_to_start_that_the_line_has_grown():
    begun = [0, 30, 60, 90]
    steady = looked(*(line(15 * tick, 100, 4, a=count) for tick, count in enumerate(begun)))
    growing = looked(*(line(15 * tick, 25 + 25 * tick, 4, a=count) for tick, count in enumerate(begun)))
    assert growing.slots(60) > steady.slots(60)


def test_where_slots_are_free_nothing_is_foreseen():
    quiet = looked(line(0, 0, 1, a=0), line(15, 0, 1, a=200))
    assert quiet.slots(60) <= 1


def test_silence_is_work():
    assert line(0, 3, 0, silent=["a", "b"]).running == 8
    found = looked(line(0, 3, 0, a=0), line(15, 3, 0, silent=["a"]), line(30, 3, 0, a=4))
    assert found.task_seconds == pytest.approx(4 * 30 / 4, rel=0.1)


@pytest.mark.parametrize(
    ("after", "begun"),
    [({"a": 15}, 5), ({"a": 3}, 3), ({"a": 12, "b": 7}, 9), ({"b": 7}, 7)],
    ids=["more", "started anew", "one that is new", "another in its place"],
)
def test_tasks_that_were_begun_since_are_counted_by_the_worker(after, begun):
    found = looked(line(0, 0, 0, a=10), line(15, 0, 0, **after))
    assert found.ended == begun


def test_of_one_that_never_answered_nothing_is_counted():
    assert looked(line(0, 5, 0, silent=["a"]), line(15, 5, 0, a=1000)).ended == 0


def test_after_an_outage_what_was_done_meanwhile_is_not_known():
    known = saturated(80, 2, 100)
    again = known.after(None).after(line(9000, 100, 8, a=10**6, b=10**6))
    assert again.task_seconds == known.task_seconds
    assert again.after(line(9000, 100, 8, a=10**6, b=10**6)).task_seconds == known.task_seconds  # no time has passed


def test_tasks_that_take_longer_than_they_did_are_noticed():
    pace = saturated(80, 2, 100)
    for tick in range(40):
        pace = pace.after(line(15 * (80 + tick), 100, 8, a=2400 + tick // 2, b=2400 + tick // 2))
    assert pace.task_seconds > 30


def test_a_pod_starts_as_fast_as_the_fastest_that_is_ready():
    def pod(name, seconds, **how):
        at = NOON + timedelta(seconds=seconds)
        return Pod(name, "Running", started_at=NOON, ready_since=at, **{"is_ready": True} | how)

    pods = [pod("a", 12), pod("b", 40), pod("c", 3, is_ready=False), Pod("d", "Pending")]
    assert starts(pods) == (12, 40)
    seen = Line(NOON, Backlog(0, 0), {}, {}, starts(pods))
    assert (Pace().start_seconds, looked(seen).start_seconds) == (30, 12)
    assert looked(seen._replace(starts=(86_400,))).start_seconds == 30
