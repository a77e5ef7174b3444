"""reconciler/service/bell.py: what ends a rest."""

import os
import signal
import threading

import pytest

from reconciler.service.bell import Bell


@pytest.fixture
def bell():
    return Bell()


def test_the_bell_ends_a_rest(bell):
    threading.Thread(target=bell.ring).start()
    bell.wait(3600)
    assert not bell.stopped


def test_what_rang_before_ends_one_rest_and_no_other(bell):
    for _ in range(3):
        bell.ring()
    bell.wait(3600)
    bell.wait(0.001)  # returns by itself
    bell.ring()
    bell.wait(3600)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_rest_of_no_time_is_none(bell, seconds):
    bell.wait(seconds)


def test_a_stop_ends_a_rest(bell):
    threading.Thread(target=bell.stop).start()
    bell.wait(3600)
    assert bell.stopped


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
