"""Events of an app: what was done, what holds it back, who contradicts."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Change, Outcome, Ref, StepResult, Verdict
from reconciler.status import events, report
from reconciler.status.report import Account

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, UTC)
LATER = NOW + timedelta(hours=1)
LABELS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
READY = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 1}
WORKER = Ref("apps/v1", "Deployment", "web", "shop-worker")
WORDS = "Deployment shop-worker: spec.replicas is set back again and again, flagger writes it too"


@pytest.fixture
def deployment(live):
    """Return a function: the worker Deployment with this status."""
    return lambda **status: live(labels=LABELS, metadata={"generation": 1}, status=READY | status)


def status_of(app, lives, verdict=None, warnings=()):
    return report.status(Account(app, tuple(lives), verdict, warnings=warnings), NOW)


def said(app, lives, verdict=None, results=(), warnings=()):
    found = events.events(app, status_of(app, lives, verdict, warnings), results, NOW)
    return [(event["type"], event["reason"], event["note"]) for event in found]


def test_becoming_ready_is_an_event_once(celery_app, deployment):
    lives = [deployment()]
    assert said(celery_app(), lives) == [("Normal", "Ready", "3 of 3 pods ready")]
    assert said(celery_app(status=status_of(celery_app(), lives)), lives) == []


def test_rolling_out_is_no_event(celery_app, deployment):
    assert said(celery_app(), [deployment(readyReplicas=1)]) == []


@pytest.mark.parametrize("why", [Verdict("NameConflict", "any", is_stalled=True), Verdict("Unavailable", "any")])
def test_what_holds_an_app_back_is_a_warning_once(celery_app, deployment, why):
    assert said(celery_app(), [deployment()], why) == [("Warning", why.reason, "any")]
    assert said(celery_app(status=status_of(celery_app(), [], why)), [deployment()], why) == []


def test_each_set_of_warnings_is_one_event(celery_app, deployment):
    app, lives = celery_app(), [deployment(readyReplicas=1)]
    assert said(app, lives, warnings=["a", "b"]) == [("Warning", "Warned", "a; b")]
    app = celery_app(status=status_of(app, lives, warnings=["a", "b"]))
    assert said(app, lives, warnings=["a", "b"]) == []
    assert said(app, lives, warnings=["b"]) == [("Warning", "Warned", "b")]
    assert said(app, lives) == []


def test_what_was_written_is_one_event(celery_app, deployment):
    def result(outcome, kind, name):
        return StepResult(Ref("any", kind, "web", name), outcome)

    results = [
        result(Outcome.CREATED, "ConfigMap", "shop-probe"),
        result(Outcome.SKIPPED, "Service", "shop-flower"),
        result(Outcome.DELETED, "Deployment", "shop-old"),
        result(Outcome.FAILED, "Deployment", "shop-new"),
    ]
    app = celery_app(status=status_of(celery_app(), [deployment()]))
    expected = [("Normal", "Applied", "created ConfigMap shop-probe, deleted Deployment shop-old")]
    assert said(app, [deployment()], results=results) == expected


def test_of_what_was_changed_the_fields_are_named(celery_app, deployment):
    app = celery_app(status=status_of(celery_app(), [deployment()]))
    healed = StepResult(WORKER, Outcome.CONFIGURED, changes=tuple(Change(f"spec.{each}", 1, 2) for each in "abcde"))
    note = "configured Deployment shop-worker (spec.a, spec.b, spec.c, 2 more)"
    assert said(app, [deployment()], results=[healed]) == [("Normal", "Applied", note)]


def test_a_change_of_the_number_of_pods_is_an_event(celery_app, deployment):
    app = celery_app(status=status_of(celery_app(), [deployment()]))
    scaled = StepResult(WORKER, Outcome.SCALED, "too much to do", (Change("spec.replicas", 3, 5),))
    expected = [("Normal", "Scaled", "Deployment shop-worker from 3 to 5: too much to do")]
    assert said(app, [deployment()], results=[scaled]) == expected


def test_a_note_has_at_most_1024_bytes(celery_app):
    [(_, _, note)] = said(celery_app(), [], Verdict("Any", "é" * 2000, is_stalled=True))
    assert note == "é" * 512


def test_the_events_of_a_look_have_names_of_their_own(celery_app, deployment):
    status = status_of(celery_app(), [deployment()])
    refs = [WORKER, WORKER._replace(name="shop-mail")]
    scaled = [StepResult(ref, Outcome.SCALED, "any", (Change("spec.replicas", 3, 5),)) for ref in refs]
    found = list(events.events(celery_app(), status, scaled, NOW))
    assert [event["reason"] for event in found] == ["Scaled", "Scaled", "Ready"]
    assert len({event["metadata"]["name"] for event in found}) == 3


def test_the_whole_event_of_a_contradiction(celery_app):
    event = events.contradiction(celery_app(), WORDS, NOW, 3, LATER)
    name = event["metadata"].pop("name")
    assert name.startswith("shop.1767268800.123456.contradicted-")
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "namespace": "web", "name": "shop"}
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "web"},
        "eventTime": "2026-01-01T12:00:00.123456Z",
        "type": "Warning",
        "reason": "Contradicted",
        "action": "Reconcile",
        "note": WORDS,
        "regarding": app | {"uid": "the-app"},
        "reportingController": "celery-reconcile",
        "reportingInstance": "celery-reconcile",
        "series": {"count": 3, "lastObservedTime": "2026-01-01T13:00:00.123456Z"},
    }


def test_a_contradiction_is_one_event_of_which_only_the_series_grows(celery_app):
    found = [
        events.contradiction(celery_app(), WORDS, NOW, count, NOW + timedelta(minutes=count)) for count in (3, 4, 5)
    ]
    assert [event.pop("series") for event in found] == [
        {"count": count, "lastObservedTime": f"2026-01-01T12:0{count}:00.123456Z"} for count in (3, 4, 5)
    ]
    assert found[0] == found[1] == found[2]


def test_a_series_begins_with_the_second_time(celery_app):
    """The API server refuses a series of one."""
    assert "series" not in events.contradiction(celery_app(), WORDS, NOW, 1, NOW)
    assert events.contradiction(celery_app(), WORDS, NOW, 2, NOW)["series"]["count"] == 2


@pytest.mark.parametrize("other", [(f"{WORDS}.", NOW), (WORDS, LATER)], ids=["about something else", "begun later"])
def test_another_contradiction_is_another_event(celery_app, other):
    names = {
        events.contradiction(celery_app(), words, began, 3, LATER)["metadata"]["name"]
        for words, began in ((WORDS, NOW), other)
    }
    assert len(names) == 2
