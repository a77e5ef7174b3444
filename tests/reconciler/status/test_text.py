"""reconciler/status/text.py: what people read."""

from reconciler.model import CELERY_APP, DEPLOYMENT, AppResult, Change, Outcome, Ref, StepResult
from reconciler.status import text

SHOP = Ref(CELERY_APP.api_version, "CeleryApp", "shop", "shop")
WORKER = Ref(DEPLOYMENT.api_version, "Deployment", "shop", "shop-worker")


def app(name, **status):
    return {"metadata": {"namespace": "shop", "name": name}} | ({"status": status} if status else {})


def condition(kind, status, message=""):
    return {"type": kind, "status": status, "reason": "Any", "message": message}


def test_apps_are_a_table_with_a_row_for_each_component():
    worker = {"name": "worker", "replicas": 2, "readyReplicas": 2, "desiredReplicas": 2, "waitSeconds": 20}
    mail = {"name": "mail", "replicas": 1, "desiredReplicas": 3, "reason": "no node has room"}
    shop = app(
        "shop",
        conditions=[condition("Ready", "False", "waits"), condition("Reconciling", "True", "mail: 0 of 3 are ready")],
        workers=[worker, mail],
        beat={"ready": True},
        flower={},
    )
    broken = app(
        "broken", conditions=[condition("Ready", "False", "-"), condition("Stalled", "True", "spec.image: no")]
    )
    fine = app("fine", conditions=[condition("Ready", "True", "everything runs")])
    assert text.table([shop, broken, fine, app("new")]).splitlines() == [
        "NAMESPACE  APP     COMPONENT  READY    WAIT  WHY",
        "shop       shop               False          mail: 0 of 3 are ready",
        "shop       shop    worker     2/2      20s",
        "shop       shop    mail       0/3            no node has room",
        "shop       shop    beat       True",
        "shop       shop    flower     False",
        "shop       broken             False          spec.image: no",
        "shop       fine               True",
        "shop       new                Unknown        not looked at yet",
    ]


def test_no_apps_are_an_empty_table():
    assert text.table([]) == "NAMESPACE  APP  COMPONENT  READY  WAIT  WHY"


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


def test_nothing_to_change_is_nothing_to_say():
    assert list(text.changes([AppResult(SHOP)])) == []
