"""Bounds, rates and windows, case by case as in Kubernetes' own horizontal_test.go."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from reconciler.scaling import behavior
from reconciler.scaling.behavior import Changes, Move
from reconciler.scaling.model import SCALE_DOWN, SCALE_UP, Behavior, History, Policy, RateLimit, Record, Rules

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = Policy(1, 1000, (), None, Behavior(), 300, paused=False, concurrency=1)

WITHIN, TOO_MANY, TOO_FEW = "DesiredWithinRange", "TooManyReplicas", "TooFewReplicas"
UP_LIMIT, DOWN_LIMIT = "ScaleUpLimit", "ScaleDownLimit"


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def evenly(*changes, seconds=120):
    """Return the changes, spread over the time before now."""
    step = seconds / len(changes)
    return tuple(Record(ago(int(seconds - step * (i + 1) + step / 2)), change) for i, change in enumerate(changes))


def pods(value, seconds=60):
    return RateLimit("Pods", value, seconds)


def percent(value, seconds=60):
    return RateLimit("Percent", value, seconds)


class Row(NamedTuple):
    """A case; by default from 1 to 1000 pods, with the default behavior and no history."""

    move: tuple[int, int]
    """From so many pods to so many desired."""
    want: int
    reason: str
    bounds: tuple[int, int] = (1, 1000)
    up: tuple[RateLimit, ...] = SCALE_UP.policies
    down: tuple[RateLimit, ...] = SCALE_DOWN.policies
    ups: tuple[Record, ...] = ()
    downs: tuple[Record, ...] = ()
    select: str = "Max"

    @property
    def rules(self):
        return Behavior(
            SCALE_UP._replace(policies=self.up, select=self.select),
            SCALE_DOWN._replace(policies=self.down, select=self.select),
        )


BOUNDS = {
    "within the bounds": Row((5, 7), 7, WITHIN, (3, 8)),
    "fewer than allowed": Row((3, 1), 2, TOO_FEW, (2, 8)),
    "zero, where allowed": Row((1, 0), 0, WITHIN, (0, 10)),
    "more than allowed, from more still": Row((20, 1000), 10, TOO_MANY, (1, 10)),
    "more than allowed": Row((100, 1000), 150, TOO_MANY, (100, 150)),
    "nothing to do": Row((5, 5), 5, WITHIN),
}

UP = {
    "twice as many": Row((10, 50), 20, UP_LIMIT),
    "four more, if few": Row((1, 50), 5, UP_LIMIT),
    "a percent is rounded up": Row((3, 1000), 4, UP_LIMIT, (1, 2000), (percent(1),)),
    "10 percent of 100, in floating point": Row((100, 1000), 111, UP_LIMIT, up=(percent(10),)),
    "the pods are more": Row((10, 500), 110, UP_LIMIT, up=(pods(100), percent(100))),
    "the percent is more": Row((10, 500), 20, UP_LIMIT, up=(pods(2), percent(100))),
    "the lesser of both": Row((1, 500), 2, UP_LIMIT, up=(pods(2), percent(50)), select="Min"),
    "not at all": Row((10, 500), 10, UP_LIMIT, select="Disabled"),
    "no limit by pods": Row((10, 50), 50, WITHIN, up=(pods(100),)),
    "pods": Row((10, 50), 40, UP_LIMIT, up=(pods(30),)),
    "percent": Row((10, 50), 30, UP_LIMIT, up=(percent(200),)),
    "the bound, and pods": Row((100, 500), 200, TOO_MANY, (1, 200), (pods(300),), ups=evenly(1, 5, 9)),
    "the bound, and percent": Row((100, 500), 200, TOO_MANY, (1, 200), (percent(10000),), ups=evenly(1, 5, 9)),
    "more came of late than may": Row((100, 500), 100, UP_LIMIT, up=(pods(5, 120),), ups=evenly(1, 5, 9)),
    "pods that came of late count": Row((100, 500), 235, UP_LIMIT, up=(pods(150, 120),), ups=evenly(1, 5, 9)),
    "percent of what was before": Row((100, 500), 255, UP_LIMIT, up=(percent(200, 120),), ups=evenly(1, 5, 9)),
    "so do pods that went": Row((6, 24), 16, UP_LIMIT, up=(percent(300, 300),), ups=evenly(4), downs=evenly(2)),
    "old changes do not": Row((100, 200), 200, WITHIN, up=(pods(1000, 60),), ups=evenly(8, 12, 9, 11)),
    "each limit has its own time": Row((100, 200), 180, UP_LIMIT, up=(pods(120, 120), percent(80, 1)), ups=evenly(40)),
    "a change exactly as old is old": Row((10, 20), 15, UP_LIMIT, up=(pods(5, 60),), ups=(Record(ago(60), 5),)),
}

DOWN = {
    "as few as asked": Row((10, 5), 5, WITHIN, downs=evenly(1, 5, 9)),
    "the pods are more": Row((100, 2), 80, DOWN_LIMIT, down=(pods(20), percent(1))),
    "more than the percent, if less": Row((100, 2), 98, DOWN_LIMIT, down=(pods(2), percent(1))),
    "the lesser of both": Row((5, 1), 3, DOWN_LIMIT, down=(pods(2), percent(50)), select="Min"),
    "a percent is rounded down": Row((5, 1), 2, DOWN_LIMIT, down=(percent(50),)),
    "not at all": Row((10, 1), 10, DOWN_LIMIT, select="Disabled"),
    "the bound, and pods": Row((10, 0), 1, TOO_FEW, down=(pods(100),)),
    "the bound, and percent": Row((10, 2), 5, TOO_FEW, (5, 1000), down=(percent(100),)),
    "pods": Row((10, 2), 5, DOWN_LIMIT, down=(pods(5),)),
    "percent": Row((10, 5), 5, WITHIN, down=(percent(50),)),
    "pods and what went of late": Row((100, 0), 1, TOO_FEW, down=(pods(115, 120),), downs=evenly(1, 5, 9)),
    "the same with another bound": Row((100, 0), 5, TOO_FEW, (5, 1000), down=(pods(130, 120),), downs=evenly(1, 5, 9)),
    "all may go": Row((100, 2), 5, TOO_FEW, (5, 1000), down=(percent(100, 120),), downs=evenly(1, 5, 9)),
    "more went of late than may": Row((100, 2), 100, DOWN_LIMIT, down=(pods(5, 120),), downs=evenly(1, 5, 9)),
    "percent of what was before": Row((100, 0), 56, DOWN_LIMIT, down=(percent(50, 120),), downs=evenly(2, 4, 6)),
    "up and down": Row((10, 1), 6, DOWN_LIMIT, down=(percent(50, 180),), ups=evenly(2), downs=evenly(4)),
    "fewer may go than went": Row((100, 0), 100, DOWN_LIMIT, down=(percent(10, 120),), downs=evenly(10, 10, 10)),
    "more than all may go": Row((10, 5), 5, WITHIN, down=(percent(1000, 120),), downs=evenly(10, 10, 10)),
    "old changes do not count": Row((100, 5), 5, WITHIN, down=(pods(1000, 60),), downs=evenly(8, 12, 9, 11)),
}  # fmt: skip


def _params(*tables):
    return [pytest.param(row, id=name) for table in tables for name, row in table.items()]


@pytest.mark.parametrize("row", _params(BOUNDS, UP, DOWN))
def test_rates_are_those_of_the_hpa(row):
    policy = replace(BASE, min_replicas=row.bounds[0], max_replicas=row.bounds[1], behavior=row.rules)
    changes = Changes(History(scale_ups=row.ups, scale_downs=row.downs), NOW)
    found = behavior.by_rate(policy, Move(*row.move), changes)
    assert (found.replicas, found.reason) == (row.want, row.reason)


def minutes(*recommendations):
    """Return recommendations of (replicas, minutes ago)."""
    return tuple(Record(ago(60 * minute), count) for count, minute in recommendations)


WINDOWS = {
    "nothing was recommended before": ((), (100, 5), (0, 0), 5, (5,)),
    "the highest of the window, to shrink": (minutes((4, 2), (5, 1)), (100, 3), (0, 180), 5, (4, 5, 3)),
    "the lowest of the window, to grow": (minutes((4, 2), (5, 1)), (1, 7), (300, 0), 4, (4, 5, 7)),
    "lower ones do not hold back a scale-in": (minutes((1, 2), (2, 1)), (100, 3), (300, 0), 3, (1, 2, 3)),
    "higher ones do not hold back growth": (minutes((4, 2), (5, 1)), (1, 3), (0, 300), 3, (4, 5, 3)),
    "old ones count for nothing, the last gives its place": (minutes((10, 10), (9, 9)), (100, 3), (0, 0), 3, (10, 3)),
    "nor to grow": (minutes((10, 10), (9, 9)), (1, 100), (0, 0), 100, (10, 100)),
    "the last old one gives its place": (
        minutes((10, 10), (4, 1), (5, 2), (9, 9)), (100, 3), (0, 180), 5, (10, 4, 5, 3),
    ),
    "only what is too old for both windows": (
        minutes((10, 100), (6, 1), (5, 2), (9, 3)), (1, 100), (300, 0), 5, (100, 6, 5, 9),
    ),
    "no growth while it goes down": (minutes((2, 100), (3, 3)), (2, 1), (300, 300), 2, (1, 3)),
    "no scale-in while it goes up": (minutes((2, 100), (1, 3)), (2, 3), (300, 300), 2, (3, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("before", "move", "windows", "want", "after"), WINDOWS.values(), ids=WINDOWS)
def test_windows_are_those_of_the_hpa(before, move, windows, want, after):
    up = Rules(windows[0], 0.1, "Max", (pods(1000),))
    down = Rules(windows[1], 0.1, "Max", (pods(1000),))
    policy = replace(BASE, behavior=Behavior(up, down))
    found = behavior.normalized(policy, Move(*move), History(recommendations=before), NOW)
    assert found.replicas == want
    assert tuple(record.replicas for record in found.recommendations) == after
    held = "ScaleUpStabilized" if move[1] >= move[0] else "ScaleDownStabilized"
    assert found.able.reason == ("ReadyForNewScale" if want == move[1] else held)


EVENTS = {
    "the first": ((), (pods(10), percent(100)), (5,)),
    "an old one gives its place": (((7, 61),), (pods(10), percent(100)), (5,)),
    "a young one stays": (((7, 58),), (pods(10), percent(100)), (7, 5)),
    "an old and a young one": (((7, 61), (6, 59)), (pods(10),), (5, 6)),
    "the last old one by the longest time": (
        ((8, 29), (6, 59), (7, 61), (9, 61)), (pods(10, 60), percent(100, 30)), (8, 6, 7, 5),
    ),
    "both are young": (((7, 58), (6, 59)), (pods(10, 120), percent(100, 30)), (7, 6, 5)),
}  # fmt: skip


@pytest.mark.parametrize(("before", "rates", "after"), EVENTS.values(), ids=EVENTS)
def test_changes_are_remembered_as_long_as_a_rate_asks_for_them(before, rates, after):
    records = tuple(Record(ago(seconds), change) for change, seconds in before)
    rules = Behavior(SCALE_UP._replace(policies=rates), SCALE_DOWN._replace(policies=rates))
    policy, history = replace(BASE, behavior=rules), History(scale_ups=records, scale_downs=records)
    up = behavior.changed(policy, history, Move(10, 15), NOW)
    down = behavior.changed(policy, history, Move(10, 5), NOW)
    assert (tuple(record.replicas for record in up.scale_ups), up.scale_downs) == (after, records)
    assert (tuple(record.replicas for record in down.scale_downs), down.scale_ups) == (after, records)


def test_nothing_is_remembered_without_a_change():
    assert behavior.changed(BASE, History(), Move(2, 2), NOW) == History()


@pytest.mark.parametrize(
    ("current", "want"),
    [(0, (2, TOO_FEW)), (1, (2, TOO_FEW)), (2, None), (5, None), (6, (5, TOO_MANY)), (10**9, (5, TOO_MANY))],
)
def test_what_is_out_of_bounds_goes_to_the_bound(current, want):
    found = behavior.repaired(replace(BASE, min_replicas=2, max_replicas=5), current)
    assert (found and (found.replicas, found.reason)) == want
