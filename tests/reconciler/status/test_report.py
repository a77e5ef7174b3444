"""What is said about an app, as kstatus and people read it."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import Condition, Scaling, Verdict
from reconciler.status import report
from reconciler.status.report import Account

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


def status_of(app, lives, verdict, now, **scaling):
    """Return the status of an app with these children, this verdict and what is said of its groups."""
    return report.status(Account(app, tuple(lives), verdict, scaling, (), "reconcile/a"), now)


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
        "reconciler": "reconcile/a",
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
        "flower": {"ready": False, "reason": "3 of 4 pods ready"},
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


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", True)])
def test_a_scaled_object_is_ready_unless_keda_denies_it(celery_app, live, status, ready):
    conditions = [{"type": "Ready", "status": status, "reason": "TriggerError"}]
    scaled = live("keda.sh/v1alpha1 ScaledObject", status={"conditions": conditions})
    assert status_of(celery_app(), [scaled], None, NOW)["children"][0]["ready"] is ready


def test_a_status_that_is_not_kept_up_any_more_says_nothing_else(celery_app, deployment):
    before = status_of(celery_app(), [deployment()], None, NOW)
    off = status_of(celery_app({"reconcile": "Off"}, before), [deployment()], None, LATER)
    assert off.keys() == {"observedGeneration", "reconciler", "conditions"}
    message = "reconcile is Off: nothing is applied, healed, scaled or looked at"
    assert summary(off) == ("Unknown", "False", "False", "Off", message)


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


def test_a_message_has_at_most_32768_characters(celery_app):
    status = status_of(celery_app(), [], Verdict("Any", "é" * 40_000), NOW)
    assert len(status["conditions"][0]["message"]) == 32_768


def scaling(active="True", limited="False"):
    conditions = (
        Condition("ScalingActive", active, "ValidMetricFound" if active == "True" else "FailedGetMetric", "so it is"),
        Condition("ScalingLimited", limited, "DesiredWithinRange" if limited == "False" else "TooMany", "thus"),
    )
    return Scaling("it fits", conditions)


@pytest.mark.parametrize(
    ("found", "message"),
    [(scaling(), "3 of 3 pods ready"), (scaling("False"), "3 of 3 pods ready; worker is not scaled: so it is")],
)
def test_an_app_with_a_group_that_is_not_scaled_is_not_ready_without_a_word(celery_app, deployment, found, message):
    [ready, *_] = status_of(celery_app(), [deployment()], None, NOW, worker=found)["conditions"]
    assert (ready["status"], ready["message"]) == ("True", message)


def scaling_of(status):
    return {
        each["type"]: (each["status"], each["reason"], each["message"])
        for each in status["conditions"]
        if each["type"].startswith("Scaling")
    }


def test_what_holds_one_group_back_is_said_of_the_app(celery_app, deployment):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}]})
    lives = [deployment(), deployment("mail")]
    status = status_of(app, lives, None, NOW, worker=scaling(), mail=scaling("False", "True"))
    assert scaling_of(status) == {
        "ScalingActive": ("False", "FailedGetMetric", "mail: so it is"),
        "ScalingLimited": ("True", "TooMany", "mail: thus"),
    }
    assert [each["reason"] for each in status["workers"]] == ["it fits", "it fits"]


def test_when_nothing_holds_them_back_all_groups_speak(celery_app, deployment):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}]})
    lives = [deployment(), deployment("mail")]
    status = status_of(app, lives, None, NOW, worker=scaling(), mail=scaling())
    assert scaling_of(status)["ScalingActive"] == ("True", "ValidMetricFound", "worker: so it is; mail: so it is")


def test_a_group_of_which_nothing_is_known_comes_before_those_that_scale(celery_app, deployment):
    app = celery_app({"workers": [{"name": "worker"}, {"name": "mail"}]})
    lives, unknown = [deployment(), deployment("mail")], Condition("ScalingActive", "Unknown", "NothingSaid", "any")
    status = status_of(app, lives, None, NOW, worker=scaling(), mail=Scaling("", (unknown,)))
    assert scaling_of(status)["ScalingActive"] == ("Unknown", "NothingSaid", "mail: any")


OFF = Scaling("off", (Condition("ScalingActive", "False", "ScalingDisabled", "scaling is paused"),))


@pytest.mark.parametrize(
    ("asked", "said", "ready"),
    [
        pytest.param(0, scaling("False"), ("False", "CannotScale"), id="nobody would wake it"),
        pytest.param(0, scaling(), ("True", "AllReady"), id="somebody would"),
        pytest.param(0, OFF, ("True", "AllReady"), id="it is paused"),
        pytest.param(3, scaling("False"), ("True", "AllReady"), id="it has pods"),
    ],
)
def test_a_group_without_pods_that_cannot_be_scaled_is_not_ready(celery_app, deployment, asked, said, ready):
    status = status_of(celery_app(), [deployment(asked=asked)], None, NOW, worker=said)
    [found] = [each for each in status["conditions"] if each["type"] == "Ready"]
    assert (found["status"], found["reason"]) == ready
    assert ready[0] == "True" or found["message"] == "worker: no pod runs, and it fits"


def test_a_condition_that_is_left_open_stays(celery_app, deployment):
    first = status_of(celery_app(), [deployment()], None, NOW, worker=scaling(limited="True"))
    app = celery_app(status=first)
    open_one = scaling()
    open_one = open_one._replace(conditions=open_one.conditions[:1])
    again = status_of(app, [deployment()], None, LATER, worker=open_one)
    assert scaling_of(again)["ScalingLimited"] == ("True", "TooMany", "worker: thus")


def test_without_scaling_there_is_no_word_of_it(celery_app, deployment):
    first = status_of(celery_app(), [deployment()], None, NOW, worker=scaling())
    assert scaling_of(status_of(celery_app(status=first), [deployment()], None, LATER)) == {}


def test_pods_that_are_missing_come_before_how_many_there_shall_be(celery_app, deployment):
    status = status_of(celery_app(), [deployment(readyReplicas=1)], None, NOW, worker=scaling())
    assert status["workers"][0]["reason"] == "1 of 3 pods ready"


# Who else writes

CONTESTED = "Deployment shop-worker: spec.replicas is set back again and again, flagger writes it too"
OTHER = "ConfigMap shop-probe: all of it is set back again and again, something else removes it"


def contradicted(app, lives, now, *contradictions):
    status = report.status(Account(app, tuple(lives), contradictions=contradictions), now)
    return status, [
        {key: each[key] for key in ("status", "reason", "message", "lastTransitionTime")}
        for each in status["conditions"]
        if each["type"] == "Contradicted"
    ]


def test_where_nobody_else_writes_nothing_is_said_of_it(celery_app, deployment):
    assert contradicted(celery_app(), [deployment()], NOW)[1] == []


def test_who_else_writes_is_said_and_once_there_was_somebody_also_that_there_is_nobody_any_more(celery_app, deployment):
    status, [found] = contradicted(celery_app(), [deployment()], NOW, CONTESTED, OTHER)
    message = f"{CONTESTED}; {OTHER}"
    assert found == {
        "status": "True",
        "reason": "SetBackAgain",
        "message": message,
        "lastTransitionTime": TEN_O_CLOCK,
    }
    status, [found] = contradicted(celery_app(status=status), [deployment()], LATER)
    peace = {
        "status": "False",
        "reason": "NobodyElse",
        "message": "nobody else changes what is written here",
        "lastTransitionTime": "2026-01-01T13:00:00Z",
    }
    assert found == peace
    assert contradicted(celery_app(status=status), [deployment()], LATER + timedelta(hours=1))[1] == [peace]


def test_an_app_that_is_contradicted_is_as_ready_as_it_is(celery_app, deployment):
    status, _ = contradicted(celery_app(), [deployment()], NOW, CONTESTED)
    assert {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == "True"


def test_to_be_contradicted_is_news_and_so_is_no_longer_to_be(celery_app, deployment):
    before, _ = contradicted(celery_app(), [deployment()], NOW)
    after, _ = contradicted(celery_app(status=before), [deployment()], NOW, CONTESTED)
    peace, _ = contradicted(celery_app(status=after), [deployment()], NOW)
    assert report.is_news(celery_app(status=before), after)
    assert report.is_news(celery_app(status=after), peace)


@pytest.mark.parametrize(
    ("before", "is_news"),
    [
        pytest.param({}, False, id="by us"),
        pytest.param({"reconciler": "reconcile/b"}, True, id="by another installation"),
        pytest.param({"reconciler": None}, True, id="by one that did not say who it is"),
    ],
)
def test_who_reports_is_said_and_another_is_news(celery_app, deployment, before, is_news):
    status = status_of(celery_app(), [deployment()], None, NOW)
    assert status["reconciler"] == "reconcile/a"
    assert report.is_news(celery_app(status=status | before), status) is is_news


# What will hurt


def warned(app, now, *warnings):
    status = report.status(Account(app, (), warnings=warnings), now)
    found = [each for each in status["conditions"] if each["type"] == "Warned"]
    return status, [(each["status"], each["reason"], each["message"]) for each in found]


def test_what_will_hurt_is_said_and_once_something_did_also_that_nothing_does_any_more(celery_app):
    assert warned(celery_app(), NOW)[1] == []
    status, found = warned(celery_app(), NOW, "spec.a: hurts", "spec.b: hurts too")
    assert found == [("True", "WillHurt", "spec.a: hurts; spec.b: hurts too")]
    nothing = [("False", "NothingKnown", "nothing is known of the spec that will hurt")]
    status, found = warned(celery_app(status=status), LATER)
    assert found == nothing
    assert warned(celery_app(status=status), LATER)[1] == nothing


def test_what_the_cluster_changes_on_the_way_in_is_said_beside_them(celery_app):
    def said(app, **known):
        status = report.status(Account(app, (), **known), NOW)
        return status, [each for each in status["conditions"] if each["type"] == "Warned"]

    status, [found] = said(celery_app(), altered=("the cluster changes a",))
    assert (found["status"], found["reason"]) == ("True", "ChangedOnAdmission")
    assert found["message"] == "the cluster changes a"
    _, [found] = said(celery_app(), altered=("the cluster changes a",), warnings=("spec.a: hurts",))
    assert (found["reason"], found["message"]) == ("WillHurt", "spec.a: hurts; the cluster changes a")
    assert said(celery_app(status=status))[1][0]["status"] == "False"


def test_of_many_warnings_as_many_are_said_as_there_is_room_for(celery_app):
    [(_, _, message)] = warned(celery_app(), NOW, *(f"spec.workers[{number}]: hurts" for number in range(500)))[1]
    assert len(message) < 5000
    assert message.startswith("spec.workers[0]: hurts; spec.workers[1]: hurts; ")
    said = message.count(": hurts")
    assert message.endswith(f"; and {500 - said} more, which celery-render prints")
