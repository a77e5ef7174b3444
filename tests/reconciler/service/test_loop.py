"""reconciler/service/loop.py: when passes begin, and what survives one that fails."""

import os
import signal
import threading
import time

import pytest

from reconciler.cluster import errors
from reconciler.model import PassResult
from reconciler.service import loop, watch
from reconciler.service.bell import Bell
from reconciler.service.loop import Rhythm, Work
from reconciler.service.metrics import Metrics


def work(a_pass, leads=lambda: True, begun=lambda: None):
    return Work(a_pass, fresh_memory=lambda: "fresh", leads=leads, turned=lambda: None, begun=begun)


def passes(metrics, result):
    return metrics.registry.get_sample_value("celery_reconcile_passes_total", {"result": result})


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture(autouse=True)
def without_rest(monkeypatch):
    monkeypatch.setattr(loop, "SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(loop, "FIRST_RETRY_SECONDS", 0.0)


# How long to rest


@pytest.mark.parametrize(
    ("failures", "retry_in", "jitter", "seconds"),
    [
        pytest.param(0, None, 0.0, 10.0, id="the interval"),
        pytest.param(0, None, 1.0, 11.0, id="a tenth more"),
        pytest.param(0, None, -1.0, 9.0, id="a tenth less"),
        pytest.param(0, 3.0, 0.0, 3.0, id="an app that backs off is due earlier"),
        pytest.param(0, 60.0, 0.0, 10.0, id="an app that backs off is due later"),
    ],
)
def test_the_rest_after_a_pass(failures, retry_in, jitter, seconds):
    assert Rhythm(10.0).pause_seconds(failures, retry_in, jitter) == pytest.approx(seconds)


def test_passes_that_fail_are_tried_again_later_each_time(monkeypatch):
    monkeypatch.setattr(loop, "FIRST_RETRY_SECONDS", 1.0)
    seconds = [Rhythm(10.0).pause_seconds(failures, None, 0.0) for failures in (1, 2, 3, 4, 5, 5000)]
    assert seconds == [1, 2, 4, 8, 10, 10]


def test_watches_that_break_are_opened_again_later_each_time():
    seconds = [watch.pause_seconds(failures, 0.0) for failures in (0, 1, 2, 3, 9, 10, 5000)]
    assert seconds == [0, 1, 2, 4, 256, 300, 300]


# Passes


def test_once_is_once(bell, metrics):
    given = PassResult((), "memory")
    assert loop.run(work(lambda _memory, _now: given), Rhythm(10.0, once=True), bell, metrics) is given
    assert passes(metrics, "done") == 1


def test_the_memory_of_a_pass_goes_into_the_next(bell, metrics):
    seen = []

    def a_pass(memory, _now):
        seen.append(memory)
        bell.stop() if len(seen) == 3 else bell.ring()
        return PassResult((), f"after {len(seen)}")

    loop.run(work(a_pass), Rhythm(10.0), bell, metrics)
    assert seen == ["fresh", "after 1", "after 2"]


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (errors.ListFailed("Deployment list: 503"), "failed"),
        (errors.Halted("not any more"), "halted"),
        (ZeroDivisionError("a fault of our own"), "failed"),
    ],
)
def test_a_pass_that_fails_is_followed_by_another(bell, metrics, failure, result):
    seen = []

    def a_pass(memory, _now):
        seen.append(memory)
        if len(seen) == 2:
            raise failure
        if len(seen) == 3:
            bell.stop()
        else:
            bell.ring()
        return PassResult((), f"after {len(seen)}")

    loop.run(work(a_pass), Rhythm(10.0), bell, metrics)
    assert seen == ["fresh", "after 1", "after 1"]
    assert (passes(metrics, "done"), passes(metrics, result)) == (2, 1)


def test_a_server_that_asks_to_be_left_alone_is(bell, metrics, monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_RETRY_AFTER_SECONDS", 0.2)
    begun = []

    def a_pass(_memory, _now):
        begun.append(time.monotonic())
        bell.stop() if len(begun) == 2 else bell.ring()
        raise errors.ListFailed("Deployment list: 429", retry_after_seconds=60)

    assert loop.run(work(a_pass), Rhythm(10.0), bell, metrics) is None
    assert begun[1] - begun[0] >= 0.2


def test_a_stop_ends_even_that_rest(bell):
    threading.Timer(0.01, bell.stop).start()
    bell.rest_until(time.monotonic() + 3600)


def test_who_does_not_lead_does_nothing_and_forgets(bell, metrics):
    turns = iter([True, False, False, True])
    seen = []

    def a_pass(memory, _now):
        seen.append(memory)
        bell.stop() if len(seen) == 2 else bell.ring()
        return PassResult((), "remembered")

    loop.run(work(a_pass, leads=lambda: next(turns)), Rhythm(10.0), bell, metrics)
    assert seen == ["fresh", "fresh"]


def test_watches_begin_after_the_first_pass_that_is_done(bell, metrics):
    story = []

    def a_pass(_memory, _now):
        story.append("pass")
        bell.stop() if len(story) > 4 else bell.ring()
        if len(story) == 1:
            raise errors.ListFailed("Deployment list: 503")
        return PassResult((), "memory")

    loop.run(work(a_pass, begun=lambda: story.append("begun")), Rhythm(10.0), bell, metrics)
    assert story == ["pass", "pass", "begun", "pass", "pass"]


def test_who_is_stopped_before_the_first_pass_makes_none(bell, metrics):
    bell.stop()
    assert loop.run(work(lambda _memory, _now: pytest.fail("no")), Rhythm(10.0), bell, metrics) is None


# The bell


def test_the_bell_ends_a_rest(bell):
    threading.Thread(target=bell.ring).start()
    bell.wait(3600)


def test_what_rang_before_a_pass_does_not_cause_another(bell):
    for _ in range(3):
        bell.ring()
    bell.quiet()
    bell.wait(0.001)  # returns by itself


def test_a_signal_stops_and_a_second_one_would_end_the_process(bell):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        bell.stop_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        bell.wait(3600)
        assert bell.stopped
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
