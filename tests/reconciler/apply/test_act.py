"""Steps that need no server; the rest is in tests/cluster/reconcile/test_reconcile_act.py."""

from reconciler.apply import act
from reconciler.apply.step import Deed, Step
from reconciler.model import Outcome


def test_what_is_skipped_stays_and_asks_nobody(live):
    step = Step(Outcome.SKIPPED, live().ref, live=live(), message="it waits")
    assert act.execute([step], cluster=None) == (Deed(step, live()),)


def test_a_result_says_what_became_of_the_child(live):
    step = Step(Outcome.SKIPPED, live().ref, live=live(), message="it waits")
    assert step.result == (live().ref, Outcome.SKIPPED, "it waits", ())
    failed = Deed(Step(Outcome.CREATED, live().ref), error=ValueError("the server's words"))
    assert failed.result == (live().ref, Outcome.FAILED, "the server's words", ())
