"""What is said about an app, as kstatus and people read it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.apply.verdict import Verdict
from reconciler.memory import Known
from reconciler.model import Change, Outcome, Ref, StepResult
from reconciler.scaling.model import Condition, Decision, History
from reconciler.status import report
from reconciler.work import Work

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, UTC)
LATER = NOW + timedelta(hours=1)
TEN_O_CLOCK = "2026-01-01T12:00:00Z"
LABELS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
READY = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "observedGeneration": 1}
MISSING = "mail: there is no Deployment; flower: there is no Deployment"
PROGRESS = "ProgressDeadlineExceeded"


@pytest.fixture
def deployment(live):
    """Return a function: the Deployment of a component with this status."""

    def deployment(component="worker", asked=3, **status):
        more = {"labels": LABELS | {"celeryproject.org/component": component}, "metadata": {"generation": 1}}
        return live(name=f"shop-{component}", spec={"replicas": asked}, status=READY | status, **more)

    return deployment


def status_of(app, lives, verdict, now, **decisions):
    """Return the status of an app with these children, this verdict and these decisions about its groups."""
    return report.status(Work(app, {}, Known(verdict=verdict), decisions=decisions), lives, now)


def summary(status):
    """Return each condition's status, then reason and message of all."""
    statuses = {each["type"]: each["status"] for each in status["conditions"]}
    [(reason, message)] = {(each["reason"], each["message"]) for each in status["conditions"]}
    return (*(statuses[kind] for kind in ("Ready", "Reconciling", "Stalled")), reason, message)


@pytest.mark.parametrize(
    ("status", "conditions"),
    [
        ({}, ("True", "False", "False", "AllReady", "3 of 3 pods ready")),
        (
            {"readyReplicas": 1, "availableReplicas": 1},
            ("False", "True", "False", "RollingOut", "Deployment shop-worker: 1 of 3 pods ready"),
        ),
        (
            {"readyReplicas": 3, "availableReplicas": 2},
            ("False", "True", "False", "RollingOut", "Deployment shop-worker: 2 of 3 pods ready"),
        ),
        (
            {"replicas": 4, "updatedReplicas": 1},
            ("False", "True", "False", "RollingOut", "Deployment shop-worker: 1 of 3 pods updated"),
        ),
        (
            {"replicas": 5, "updatedReplicas": 3},
            ("False", "True", "False", "RollingOut", "Deployment shop-worker: 2 old pods still run"),
        ),
        (
            {"observedGeneration": 0},
            ("False", "True", "False", "RollingOut", "Deployment shop-worker: waits for the Deployment controller"),
        ),
        (
            {"readyReplicas": 0, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]},
            ("False", "True", "False", "RollingOut", "Deployment shop-worker: 0 of 3 pods ready (quota)"),
        ),
        (
            {"readyReplicas": 0, "conditions": [{"type": "Progressing", "status": "False", "reason": PROGRESS}]},
            ("False", "False", "True", PROGRESS, "Deployment shop-worker: 0 of 3 pods ready"),
        ),
        (
            {"conditions": [{"type": "Progressing", "status": "False", "reason": PROGRESS}]},
            ("True", "False", "False", "AllReady", "3 of 3 pods ready"),
        ),
    ],
)
def test_conditions_say_how_far_the_pods_are(celery_app, deployment, status, conditions):
    assert summary(status_of(celery_app(), [deployment(**status)], None, NOW)) == conditions


def test_an_app_scaled_to_zero_is_ready(celery_app, deployment):
    zero = deployment(
        asked=0, **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 0)
    )
    assert summary(status_of(celery_app(), [zero], None, NOW))[0] == "True"


@pytest.mark.parametrize(
    ("verdict", "conditions"),
    [
        (Verdict("NameConflict", "taken", is_stalled=True), ("False", "False", "True", "NameConflict", "taken")),
        (Verdict("Unavailable", "no answer"), ("Unknown", "True", "False", "Unavailable", "no answer")),
    ],
)
def test_what_holds_an_app_back_comes_before_its_pods(celery_app, deployment, verdict, conditions):
    assert summary(status_of(celery_app(), [deployment()], verdict, NOW)) == conditions


@pytest.mark.parametrize(
    ("reconcile", "message"),
    [
        ("Apply", MISSING),
        ("Scale", f"{MISSING}. Something else applies them: reconcile is Scale"),
    ],
)
def test_a_component_that_is_not_there_is_missed(celery_app, deployment, reconcile, message):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}], "flower": {}, "reconcile": reconcile})
    status = status_of(app, [deployment()], None, NOW)
    assert summary(status) == ("False", "True", "False", "ChildrenMissing", message)
    assert status["workers"][1] == {"name": "mail", "reason": "there is no Deployment"}


def test_the_whole_status(celery_app, deployment, live):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}], "beat": {}, "flower": {}}, generation=4)
    mail = deployment("mail", readyReplicas=1, availableReplicas=1)
    lives = [mail, deployment("beat"), deployment("flower", 4), live("v1 ConfigMap", "shop-probe"), deployment()]
    status = status_of(app, lives, None, NOW)
    message = "Deployment shop-flower: 3 of 4 pods ready; Deployment shop-mail: 1 of 3 pods ready"
    common = {"reason": "RollingOut", "message": message, "observedGeneration": 4, "lastTransitionTime": TEN_O_CLOCK}
    assert status == {
        "observedGeneration": 4,
        "conditions": [
            {"type": "Ready", "status": "False", **common},
            {"type": "Reconciling", "status": "True", **common},
            {"type": "Stalled", "status": "False", **common},
        ],
        "workersReady": "4/6",
        "workers": [
            {"name": "worker", "replicas": 3, "readyReplicas": 3, "desiredReplicas": 3},
            {"name": "mail", "replicas": 3, "readyReplicas": 1, "desiredReplicas": 3, "reason": "1 of 3 pods ready"},
        ],
        "beat": {"ready": True},
        "flower": {"ready": False},
        "children": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "shop-probe", "ready": True},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-beat", "ready": True},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-flower", "ready": False},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-mail", "ready": False},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-worker", "ready": True},
        ],
    }


@pytest.mark.parametrize(("phase", "ready"), [("Bound", True), ("Pending", False), ("Lost", False)])
def test_a_claim_is_ready_once_it_is_bound(celery_app, live, phase, ready):
    claim = live("v1 PersistentVolumeClaim", "shop-beat", status={"phase": phase})
    assert status_of(celery_app(), [claim], None, NOW)["children"][0]["ready"] is ready


def test_the_same_status_is_no_news(celery_app, deployment):
    first = status_of(celery_app(), [deployment()], None, NOW)
    app = celery_app(status=first)
    again = status_of(app, [deployment()], None, LATER)
    assert again == first
    assert not report.is_news(app, again)


@pytest.mark.parametrize("add", [{"conditions": [{"type": "Audited", "status": "True"}]}])
def test_the_order_of_lists_and_conditions_of_others_are_no_news(celery_app, deployment, add):
    spec = {"workers": [{"name": "worker"}, {"name": "mail"}]}
    lives = [deployment(), deployment("mail")]
    first = status_of(celery_app(spec), lives, None, NOW)
    kept = first | {"workers": first["workers"][::-1], "conditions": add["conditions"] + first["conditions"][::-1]}
    app = celery_app(spec, status=kept)
    assert not report.is_news(app, status_of(app, lives, None, LATER))


def test_what_is_gone_from_the_spec_is_news(celery_app, deployment):
    first = status_of(celery_app({"beat": {}}), [deployment(), deployment("beat")], None, NOW)
    app = celery_app(status=first)
    assert report.is_news(app, status_of(app, [deployment()], None, NOW))


def test_a_condition_keeps_the_time_of_its_last_transition(celery_app, deployment):
    first = status_of(celery_app(), [deployment(readyReplicas=1)], None, NOW)
    app = celery_app(status=first)
    later = status_of(app, [deployment()], None, LATER)
    times = {each["type"]: each["lastTransitionTime"] for each in later["conditions"]}
    assert times == {"Ready": "2026-01-01T13:00:00Z", "Reconciling": "2026-01-01T13:00:00Z", "Stalled": TEN_O_CLOCK}


def said(app, lives, verdict=None, results=()):
    status = status_of(app, lives, verdict, NOW)
    return [(event["type"], event["reason"], event["note"]) for event in report.events(app, status, results, NOW)]


def test_becoming_ready_is_an_event_once(celery_app, deployment):
    lives = [deployment()]
    assert said(celery_app(), lives) == [("Normal", "Ready", "3 of 3 pods ready")]
    assert said(celery_app(status=status_of(celery_app(), lives, None, NOW)), lives) == []


def test_rolling_out_is_no_event(celery_app, deployment):
    assert said(celery_app(), [deployment(readyReplicas=1)]) == []


def test_what_holds_an_app_back_is_a_warning_once(celery_app, deployment):
    why = Verdict("NameConflict", "taken", is_stalled=True)
    assert said(celery_app(), [deployment()], why) == [("Warning", "NameConflict", "taken")]
    assert said(celery_app(status=status_of(celery_app(), [], why, NOW)), [deployment()], why) == []


def test_what_was_written_is_one_event(celery_app, deployment):
    def result(outcome, kind, name):
        return StepResult(Ref("any", kind, "web", name), outcome)

    results = [
        result(Outcome.CREATED, "ConfigMap", "shop-probe"),
        result(Outcome.SKIPPED, "Service", "shop-flower"),
        result(Outcome.DELETED, "Deployment", "shop-old"),
        result(Outcome.FAILED, "Deployment", "shop-new"),
    ]
    app = celery_app(status=status_of(celery_app(), [deployment()], None, NOW))
    expected = [("Normal", "Applied", "created ConfigMap shop-probe, deleted Deployment shop-old")]
    assert said(app, [deployment()], results=results) == expected


def test_a_note_has_at_most_1024_bytes(celery_app):
    [event] = report.events(
        celery_app(), status_of(celery_app(), [], Verdict("Any", "é" * 2000, is_stalled=True), NOW), [], NOW
    )
    assert event["note"] == "é" * 512


def test_a_message_has_at_most_32768_characters(celery_app):
    status = status_of(celery_app(), [], Verdict("Any", "é" * 40_000), NOW)
    assert len(status["conditions"][0]["message"]) == 32_768


def decision(active="True", limited="False", **more):
    conditions = (
        Condition("ScalingActive", active, "ValidMetricFound" if active == "True" else "FailedGetMetric", "so it is"),
        Condition("ScalingLimited", limited, "DesiredWithinRange" if limited == "False" else "TooMany", "thus"),
    )
    return Decision(3, "ReadyForNewScale", "it fits", conditions, History(), History(), **more)


def scaling_of(status):
    return {
        each["type"]: (each["status"], each["reason"], each["message"])
        for each in status["conditions"]
        if each["type"].startswith("Scaling")
    }


def test_what_holds_one_group_back_is_said_of_the_app(celery_app, deployment):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}]})
    lives = [deployment(), deployment("mail")]
    status = status_of(app, lives, None, NOW, worker=decision(), mail=decision("False", "True"))
    assert scaling_of(status) == {
        "ScalingActive": ("False", "FailedGetMetric", "mail: so it is"),
        "ScalingLimited": ("True", "TooMany", "mail: thus"),
    }
    assert [each["reason"] for each in status["workers"]] == ["it fits", "it fits"]


def test_when_nothing_holds_them_back_all_groups_speak(celery_app, deployment):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}]})
    lives = [deployment(), deployment("mail")]
    status = status_of(app, lives, None, NOW, worker=decision(), mail=decision())
    assert scaling_of(status)["ScalingActive"] == ("True", "ValidMetricFound", "worker: so it is; mail: so it is")


def test_a_condition_that_a_decision_leaves_open_stays(celery_app, deployment):
    first = status_of(celery_app(), [deployment()], None, NOW, worker=decision(limited="True"))
    app = celery_app(status=first)
    open_one = decision()
    open_one = replace(open_one, conditions=open_one.conditions[:1])
    again = status_of(app, [deployment()], None, LATER, worker=open_one)
    assert scaling_of(again)["ScalingLimited"] == ("True", "TooMany", "worker: thus")


def test_without_scaling_there_is_no_word_of_it(celery_app, deployment):
    first = status_of(celery_app(), [deployment()], None, NOW, worker=decision())
    assert scaling_of(status_of(celery_app(status=first), [deployment()], None, LATER)) == {}


def test_pods_that_are_missing_come_before_how_many_there_shall_be(celery_app, deployment):
    status = status_of(celery_app(), [deployment(readyReplicas=1)], None, NOW, worker=decision())
    assert status["workers"][0]["reason"] == "1 of 3 pods ready"


def test_a_change_of_the_number_of_pods_is_an_event(celery_app, deployment):
    first = status_of(celery_app(), [deployment()], None, NOW)
    ref = Ref("apps/v1", "Deployment", "web", "shop-worker")
    scaled = StepResult(ref, Outcome.SCALED, "too much to do", (Change("spec.replicas", 3, 5),))
    [event] = report.events(celery_app(status=first), first, [scaled], LATER)
    assert (event["reason"], event["note"]) == ("Scaled", "Deployment shop-worker from 3 to 5: too much to do")


def test_the_events_of_a_pass_have_names_of_their_own(celery_app, deployment):
    status = status_of(celery_app(), [deployment()], None, NOW)
    refs = [Ref("apps/v1", "Deployment", "web", name) for name in ("shop-worker", "shop-mail")]
    scaled = [StepResult(ref, Outcome.SCALED, "any", (Change("spec.replicas", 3, 5),)) for ref in refs]
    events = list(report.events(celery_app(), status, scaled, NOW))
    assert [event["reason"] for event in events] == ["Scaled", "Scaled", "Ready"]
    assert len({event["metadata"]["name"] for event in events}) == 3
