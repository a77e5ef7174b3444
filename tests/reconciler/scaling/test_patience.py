"""Who is waited for, and who is not."""

import threading
import time

import pytest

from reconciler.scaling.brokers.patience import Late, Patience

PATIENT = 1


@pytest.fixture
def stuck():
    """Return a question that is not answered as long as the test runs."""
    end = threading.Event()
    yield end.wait
    end.set()


def test_every_question_has_its_answer():
    asked = {number: lambda number=number: number**2 for number in range(100)}
    assert Patience(60, at_once=3).ask(asked) == {number: number**2 for number in range(100)}
    assert Patience(60, at_once=3).ask({}) == {}


def test_one_that_is_late_is_told_from_an_answer(stuck):
    found = Patience(PATIENT, at_once=2).ask({"late": stuck, "none": lambda: None})
    assert found == {"late": Late(f"no answer within {PATIENT} s"), "none": None}


def test_more_that_hang_than_are_asked_at_once_let_the_rest_through(stuck):
    found = Patience(PATIENT, at_once=2).ask({**dict.fromkeys(range(9), stuck), "last": lambda: "here"})
    assert found["last"] == "here"


def test_it_ends_however_many_hang(stuck):
    found = Patience(PATIENT, at_once=1).ask(dict.fromkeys(range(100), stuck))
    assert set(found.values()) == {Late(f"no answer within {PATIENT} s"), Late("not asked, too many others hang")}


def test_a_question_is_not_asked_again_while_it_hangs(stuck):
    patience = Patience(PATIENT, at_once=4)
    for _ in range(5):
        found = patience.ask({"a": stuck, "b": lambda: "here"})
    assert found == {"a": Late("the question before is still without an answer"), "b": "here"}
    assert [thread.name for thread in threading.enumerate()].count("asks a") == 1


def test_a_question_that_came_to_an_end_late_is_asked_again():
    patience, slow = Patience(PATIENT, at_once=4), threading.Event()
    assert isinstance(patience.ask({"a": slow.wait})["a"], Late)
    slow.set()
    while any(thread.name == "asks a" for thread in threading.enumerate()):
        time.sleep(0.01)
    assert patience.ask({"a": slow.wait}) == {"a": True}


def test_who_was_late_is_asked_last():
    patience = Patience(PATIENT, at_once=1)
    order = []
    patience.ask({"a": lambda: time.sleep(3 * PATIENT)})
    while any(thread.name == "asks a" for thread in threading.enumerate()):
        time.sleep(0.01)
    patience.ask({name: lambda name=name: order.append(name) for name in "abc"})
    assert order[-1] == "a"
