"""reconciler/status/text.py: what people read."""

import json

import click

from reconciler.model import CELERY_APP, DEPLOYMENT, AppResult, Change, Outcome, Ref, StepResult
from reconciler.status import text

SHOP = Ref(CELERY_APP.api_version, "CeleryApp", "shop", "shop")
WORKER = Ref(DEPLOYMENT.api_version, "Deployment", "shop", "shop-worker")


def app(name, reconcile="Apply", generation=1, **status):
    metadata = {"namespace": "shop", "name": name, "generation": generation}
    return {"metadata": metadata, "spec": {"reconcile": reconcile}} | ({"status": status} if status else {})


def ready(status, message=""):
    return [{"type": "Ready", "status": status, "reason": "Any", "message": message}]


def table(*apps, width=None):
    return text.table((row for each in apps for row in text.rows(each)), width)


WORKER_STATUS = {"name": "worker", "replicas": 2, "readyReplicas": 2, "desiredReplicas": 2, "waitSeconds": 20}
MAIL_STATUS = {"name": "mail", "replicas": 1, "desiredReplicas": 3, "reason": "no node has room"}
BROKEN = app(
    "shop",
    conditions=ready("False", "mail: 0 of 3 are ready"),
    workers=[WORKER_STATUS, MAIL_STATUS],
    beat={"ready": True},
    flower={"ready": False, "reason": "0 of 1 pods ready"},
)


def test_apps_are_a_table_with_a_row_for_each_component():
    off = app("off", "Off", conditions=ready("Unknown", "reconcile is Off"))
    fine = app("fine", "Scale", conditions=ready("True", "2 of 2 pods ready"))
    noted = app("noted", conditions=ready("True", "2 of 2 pods ready; mail is not scaled: paused"))
    edited = app("edited", generation=2, observedGeneration=1, conditions=ready("True", "2 of 2 pods ready"))
    assert click.unstyle(table(BROKEN, off, fine, noted, edited, app("new", observedGeneration=-1))).splitlines() == [
        "NAMESPACE  APP     COMPONENT  READY    RECONCILE  WAIT  WHY",
        "shop       shop               False    Apply            mail: 0 of 3 are ready",
        "shop       shop    worker     2/2                 20s",
        "shop       shop    mail       0/3                       no node has room",
        "shop       shop    beat       True",
        "shop       shop    flower     False                     0 of 1 pods ready",
        "shop       off                Unknown  Off              reconcile is Off",
        "shop       fine               True     Scale",
        "shop       noted              True     Apply            mail is not scaled: paused",
        "shop       edited             True     Apply            changed since, and not looked at yet",
        "shop       new                Unknown  Apply            not looked at yet",
    ]


def test_who_else_writes_is_a_reason_though_all_is_ready():
    def fought(status, ready):
        message = (
            "spec.replicas of Deployment shop-worker is set back again and again" if status == "True" else "nobody"
        )
        return [*ready, {"type": "Contradicted", "status": status, "reason": "Any", "message": message}]

    fine = app("fine", conditions=fought("True", ready("True", "2 of 2 pods ready")))
    broken = app("broken", conditions=fought("True", ready("False", "mail: 0 of 3 are ready")))
    over = app("over", conditions=fought("False", ready("True", "2 of 2 pods ready")))
    assert [row.why for each in (fine, broken, over) for row in text.rows(each)] == [
        "Contradicted: spec.replicas of Deployment shop-worker is set back again and again",
        "mail: 0 of 3 are ready; Contradicted: spec.replicas of Deployment shop-worker is set back again and again",
        "",
    ]


def test_lines_are_no_longer_than_asked_for_unless_nothing_is_to_be_cut():
    long = app("shop", conditions=ready("False", "é" * 300))
    assert max(map(len, click.unstyle(table(long, width=120)).splitlines())) == 120
    assert "é" * 300 in table(long)


def test_what_is_well_is_green():
    unknown = app("new", workers=[WORKER_STATUS, MAIL_STATUS])
    lines = table(unknown, *(app(each, conditions=ready(each)) for each in ("True", "False"))).splitlines()
    colours = {"green": "\x1b[32m", "red": "\x1b[31m", "yellow": "\x1b[33m"}
    seen = [next((name for name, code in colours.items() if code in line), "") for line in lines]
    assert seen == ["", "yellow", "green", "red", "green", "red"]


def test_the_same_for_programs():
    assert json.loads(text.as_json([BROKEN, app("off", "Off")])) == [
        {
            "namespace": "shop",
            "app": "shop",
            "ready": "False",
            "reconcile": "Apply",
            "why": "mail: 0 of 3 are ready",
        },
        {
            "namespace": "shop",
            "app": "shop",
            "component": "worker",
            "ready": "True",
            "readyReplicas": 2,
            "desiredReplicas": 2,
            "waitSeconds": 20,
        },
        {
            "namespace": "shop",
            "app": "shop",
            "component": "mail",
            "ready": "False",
            "readyReplicas": 0,
            "desiredReplicas": 3,
            "why": "no node has room",
        },
        {"namespace": "shop", "app": "shop", "component": "beat", "ready": "True"},
        {"namespace": "shop", "app": "shop", "component": "flower", "ready": "False", "why": "0 of 1 pods ready"},
        {"namespace": "shop", "app": "off", "ready": "Unknown", "reconcile": "Off", "why": "not looked at yet"},
    ]


def test_changes_are_shown_field_by_field():
    changes = (
        Change("spec.replicas", 1, 2),
        Change("spec.template.spec.containers[0].image", "shop:1", "shop:2"),
        Change("metadata.labels.team", None, "tür"),
    )
    steps = (StepResult(WORKER, Outcome.CONFIGURED, changes=changes), StepResult(WORKER, Outcome.SKIPPED, "not ours"))
    results = [AppResult(SHOP, steps), AppResult(SHOP, problem="ServerUnavailable: 503")]
    assert list(text.changes(results)) == [
        "Deployment/shop/shop-worker configured",
        "  spec.replicas: 1 → 2",
        '  spec.template.spec.containers[0].image: "shop:1" → "shop:2"',
        '  metadata.labels.team: none → "tür"',
        "Deployment/shop/shop-worker skipped not ours",
        "CeleryApp/shop/shop failed ServerUnavailable: 503",
    ]


def test_a_new_child_is_shown_whole_and_one_that_goes_by_name():
    desired = {"kind": "Deployment", "spec": {"a": "on"}}
    created = StepResult(WORKER, Outcome.CREATED, changes=(Change("", None, desired),))
    deleted = StepResult(WORKER, Outcome.DELETED, changes=(Change("", {"kind": "Deployment"}, None),))
    assert list(text.changes([AppResult(SHOP, (created, deleted))])) == [
        "Deployment/shop/shop-worker created",
        "  + kind: Deployment",
        "  + spec:",
        '  +   a: "on"',
        "Deployment/shop/shop-worker deleted",
    ]


def test_what_the_server_says_of_an_object_does_not_name_it_twice():
    skipped = StepResult(WORKER, Outcome.SKIPPED, f"{WORKER} dry-run: 404 the cluster does not know this kind")
    shown = ["Deployment/shop/shop-worker skipped dry-run: 404 the cluster does not know this kind"]
    assert list(text.changes([AppResult(SHOP, (skipped,))])) == shown


def test_nothing_to_change_is_nothing_to_say():
    assert list(text.changes([AppResult(SHOP)])) == []
