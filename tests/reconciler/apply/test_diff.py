"""What an apply would change, by the API server's answer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import deepdiff
import pytest

from reconciler.apply import diff
from reconciler.model import Change

BY_HAND = {"manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1"}


@pytest.fixture
def asked(child, live, manifest):
    """Return a function: a child that has the one spec, and would have the other after an apply."""
    return lambda before, after: child(live=live(spec=before), answer=manifest(spec=after))


def test_nothing_differs_but_what_the_server_writes(child, live, manifest):
    answer = manifest(metadata={"resourceVersion": "9", "generation": 5}, status={"readyReplicas": 1})
    assert diff.changes(child(live=live(), answer=answer)) == ()


def test_a_child_that_is_new_or_was_not_asked_about_has_no_changes(child, live, manifest):
    assert diff.changes(child(answer=manifest())) == ()
    assert diff.changes(child(live=live())) == ()


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"replicas": 3}, {"replicas": 5}, [Change("spec.replicas", 3, 5)]),
        ({"replicas": 3, "a": 1}, {"replicas": 3}, [Change("spec.a", 1, None)]),
        ({"replicas": 3}, {"replicas": 3, "a": {"b": 1}}, [Change("spec.a", None, {"b": 1})]),
        ({"replicas": 3, "l": [{"n": 1}]}, {"replicas": 3, "l": [{"n": 2}]}, [Change("spec.l[0].n", 1, 2)]),
        ({"replicas": 3, "l": [1]}, {"replicas": 3, "l": [1, 2]}, [Change("spec.l[1]", None, 2)]),
        ({"replicas": 3, "p": 1}, {"replicas": 3, "p": "1"}, [Change("spec.p", 1, "1")]),
        (
            {"replicas": 3, "b": 1, "a": 1},
            {"replicas": 3, "b": 2, "a": 2},
            [Change("spec.a", 1, 2), Change("spec.b", 1, 2)],
        ),
    ],
)
def test_every_difference_is_named_by_its_path(asked, before, after, changes):
    assert diff.changes(asked(before, after)) == tuple(changes)


def test_what_was_added_by_hand_is_a_change_though_an_apply_would_leave_it(child, live, manifest):
    there = {"spec": {"replicas": 3, "paused": True}}
    there |= {"metadata": {"managedFields": [BY_HAND | {"fieldsV1": {"f:spec": {"f:paused": {}}}}]}}
    found = child(live=live(**there), answer=manifest(**there))
    assert diff.changes(found) == (Change("spec.paused", before=True, after=None),)


def test_replicas_that_are_not_named_stay_as_they_are(child, live, manifest):
    """An apply without them would reset them to 1 if they were applied before."""
    found = child(live=live(spec={"replicas": 5}), answer=manifest(spec={"replicas": 1}), spec={})
    assert diff.changes(found) == ()


def test_replicas_that_are_named_are_drift(asked):
    assert diff.changes(asked({"replicas": 5}, {"replicas": 3})) == (Change("spec.replicas", 5, 3),)


def test_deepdiff_never_runs_in_two_threads_at_once(asked, monkeypatch):
    child = asked({"replicas": 1, "l": [1]}, {"replicas": 1, "l": [2]})
    alone, overlaps = threading.Lock(), []

    class Seen(deepdiff.DeepDiff):
        def __init__(self, *args, **options):
            overlaps.append(not alone.acquire(blocking=False))
            time.sleep(0.01)
            super().__init__(*args, **options)
            if not overlaps[-1]:
                alone.release()

    monkeypatch.setattr(deepdiff, "DeepDiff", Seen)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(diff.changes, [child] * 4))
    assert found == [(Change("spec.l[0]", 1, 2),)] * 4
    assert overlaps == [False] * 4
