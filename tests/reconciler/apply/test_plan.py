"""Every safety rule with its table of cases."""

from dataclasses import replace

import pytest

from reconciler.apply import plan
from reconciler.apply.plan import Relation
from reconciler.model import Change, Outcome

APP = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "controller": True}
OWNER = APP | {"name": "shop", "uid": "the-app"}
BEFORE = OWNER | {"uid": "the-app-before"}
OTHER_APP = APP | {"name": "shop-2", "uid": "another-app"}
STRANGER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop", "uid": "a-set", "controller": True}
LABELS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
OTHER_LABELS = LABELS | {"celeryproject.org/app": "shop-2"}
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
PVC = "v1 PersistentVolumeClaim"
REPLICAS = {"manager": "celery-reconcile", "operation": "Apply", "apiVersion": "apps/v1"}
REPLICAS |= {"fieldsV1": {"f:spec": {"f:replicas": {}}}}
BY_HAND = {"manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:data": {}}}


@pytest.mark.parametrize(
    ("mode", "metadata", "applies", "reports"),
    [
        pytest.param("Apply", {}, True, True, id="Apply is all of it"),
        pytest.param("Scale", {}, False, True, id="Scale only reports"),
        pytest.param("Off", {}, False, False, id="Off touches nothing"),
        pytest.param("Apply", DELETED, False, False, id="an app that is being deleted is let go"),
        pytest.param("Scale", DELETED, False, False, id="in Scale mode too"),
    ],
)
def test_the_mode_says_what_may_be_touched(celery_app, mode, metadata, applies, reports):
    app = celery_app({"reconcile": mode}, **metadata)
    assert (plan.applies(app), plan.reports(app)) == (applies, reports)


@pytest.mark.parametrize(
    ("more", "relation"),
    [
        pytest.param({}, Relation.OURS, id="our UID makes it ours"),
        pytest.param({"labels": {}}, Relation.OURS, id="whatever its label says"),
        pytest.param({"owner": None}, Relation.ORPHAN, id="labelled and without a controller it is adopted"),
        pytest.param(
            {"owner": STRANGER | {"controller": False}},
            Relation.ORPHAN,
            id="also when an owner does not control it",
        ),
        pytest.param({"owner": None, "labels": {}}, Relation.FOREIGN, id="without label and controller it is foreign"),
        pytest.param({"owner": None, "labels": OTHER_LABELS}, Relation.FOREIGN, id="with another app's label too"),
        pytest.param({"owner": BEFORE}, Relation.LEFTOVER, id="an app of our name and another UID was deleted"),
        pytest.param({"owner": OTHER_APP}, Relation.FOREIGN, id="another app's is foreign"),
        pytest.param({"owner": STRANGER}, Relation.FOREIGN, id="another controller's is foreign"),
        pytest.param(
            {"owner": STRANGER | {"uid": "any"}},
            Relation.FOREIGN,
            id="of our name but another kind: foreign",
        ),
    ],
)
def test_the_controller_decides_whose_an_object_is(celery_app, live, more, relation):
    assert plan.relation(celery_app(), live(**more)) is relation


@pytest.mark.parametrize(
    ("mode", "more", "belongs"),
    [
        pytest.param("Apply", {}, True, id="what is ours"),
        pytest.param("Apply", {"owner": None}, True, id="what we adopt"),
        pytest.param("Apply", {"owner": STRANGER}, False, id="not what is another's"),
        pytest.param("Apply", {"owner": BEFORE}, False, id="not what is left over"),
        pytest.param("Scale", {"owner": None}, True, id="in Scale mode what is labelled"),
        pytest.param("Scale", {"owner": STRANGER}, True, id="whoever applied it"),
        pytest.param("Scale", {}, True, id="even we ourselves, before"),
        pytest.param("Scale", {"owner": OTHER_APP}, False, id="but not what another app controls"),
        pytest.param("Scale", {"labels": OTHER_LABELS}, False, id="nor what is labelled otherwise"),
    ],
)
def test_what_is_reported_as_the_apps(celery_app, live, mode, more, belongs):
    assert plan.belongs(celery_app({"reconcile": mode}), live(**more)) is belongs


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        (None, "Deployment shop-worker exists already and is not part of this app"),
        (STRANGER, "Deployment shop-worker exists already and belongs to ReplicaSet shop"),
        (OTHER_APP, "Deployment shop-worker exists already and belongs to CeleryApp shop-2"),
    ],
)
def test_a_name_that_is_taken_stops_the_app(celery_app, child, live, owner, message):
    children = [child(name="shop-mail"), child(live=live(owner=owner, labels={}))]
    verdict = plan.conflict(celery_app(), children)
    assert (verdict.reason, verdict.is_stalled) == ("NameConflict", True)
    assert verdict.message.startswith(message)


@pytest.mark.parametrize(("owner", "labels"), [(OWNER, LABELS), (OWNER, {}), (None, LABELS), (BEFORE, LABELS)])
def test_what_is_or_was_ours_is_no_conflict(celery_app, child, live, owner, labels):
    assert plan.conflict(celery_app(), [child(live=live(owner=owner, labels=labels)), child()]) is None


def test_a_kind_we_may_not_list_stops_only_apps_that_use_it(child):
    unreadable = {"Ingress": "Ingress list: 403 forbidden"}
    assert plan.unseen([child()], unreadable) is None
    verdict = plan.unseen([child(), child("networking.k8s.io/v1 Ingress", "shop-flower")], unreadable)
    assert (verdict.reason, verdict.message, verdict.is_stalled) == ("Forbidden", "Ingress list: 403 forbidden", True)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param({}, "", id="what is ours need not wait"),
        pytest.param(
            {"metadata": DELETED},
            "Deployment shop-worker is being deleted",
            id="what is being deleted has to be gone first",
        ),
        pytest.param(
            {"metadata": DELETED | {"finalizers": ["a/b", "c/d"]}},
            "Deployment shop-worker is being deleted, held by a/b, c/d",
            id="and may be held",
        ),
        pytest.param(
            {"owner": BEFORE},
            "Deployment shop-worker belongs to a deleted CeleryApp shop and is about to be collected",
            id="what is left of an app of the same name is collected first",
        ),
    ],
)
def test_what_is_about_to_go_is_waited_for(celery_app, child, live, more, reason):
    assert plan.waits(celery_app(), child(live=live(**more))) == reason


def test_a_child_that_is_not_there_need_not_wait(celery_app, child):
    assert plan.waits(celery_app(), child()) == ""


@pytest.mark.parametrize(
    ("more", "is_desired", "may"),
    [
        pytest.param({}, False, True, id="ours and no longer desired"),
        pytest.param({}, True, False, id="not what is desired"),
        pytest.param({"kind": PVC}, False, False, id="never a volume"),
        pytest.param({"owner": None}, False, False, id="not what merely bears our label"),
        pytest.param({"owner": STRANGER}, False, False, id="nor what another controls"),
        pytest.param({"owner": OTHER_APP}, False, False, id="nor another app"),
        pytest.param({"owner": BEFORE}, False, False, id="nor an app of our name before us"),
        pytest.param({"labels": {}}, False, False, id="nor what has lost our label"),
        pytest.param({"metadata": DELETED}, False, False, id="nor what is being deleted already"),
    ],
)
def test_what_may_be_pruned(celery_app, live, more, is_desired, may):
    found = live(**more)
    assert plan.may_prune(celery_app(), found, {found.ref} if is_desired else set()) is may


def test_an_empty_desired_set_prunes_nothing(celery_app, live):
    assert plan.prunes(celery_app(), [], [live()]) == ()


def test_nothing_is_pruned_while_a_child_waits(celery_app, child, live):
    waiting = child(live=live(metadata=DELETED))
    assert plan.prunes(celery_app(), [waiting], [live(name="shop-old")]) == ()


def test_pruning_goes_backwards_through_the_kinds(celery_app, child, live):
    old = [
        live("v1 ConfigMap", "shop-probe"),
        live(name="shop-a"),
        live(name="shop-b"),
        live("v1 Service", "shop-flower"),
    ]
    steps = plan.prunes(celery_app(), [child()], old)
    assert [step.ref.name for step in steps] == ["shop-b", "shop-a", "shop-flower", "shop-probe"]
    assert {(step.outcome, step.live.uid) for step in steps} == {
        (Outcome.DELETED, f"uid of {step.ref.name}") for step in steps
    }


@pytest.mark.parametrize(
    ("relations", "may"),
    [((None, LABELS), True), ((OWNER, LABELS), True), ((STRANGER, LABELS), False), ((BEFORE, LABELS), False)],
)
def test_the_server_is_only_asked_about_what_may_be_applied(celery_app, child, live, relations, may):
    owner, labels = relations
    assert plan.may_ask(celery_app(), child(live=live(owner=owner, labels=labels))) is may


def test_an_apply_to_an_object_that_was_seen_carries_its_uid(child, live):
    assert child(live=live()).guarded["metadata"]["uid"] == "uid of shop-worker"


def test_an_apply_to_none_creates_or_fails(child):
    """No object has resourceVersion 1: the first revision is that of an empty store."""
    assert child().guarded["metadata"]["resourceVersion"] == "1"
    assert "uid" not in child().guarded["metadata"]


@pytest.mark.parametrize(
    ("entry", "spec", "mends"),
    [
        pytest.param(REPLICAS, {"replicas": 3}, False, id="nothing to do before an apply"),
        pytest.param(BY_HAND, {"replicas": 3}, True, id="what was added by hand becomes ours"),
        pytest.param(REPLICAS, {}, True, id="replicas that are named no longer are let go of"),
    ],
)
def test_ownership_is_mended_before_the_apply(child, live, entry, spec, mends):
    metadata = {"managedFields": [entry]}
    found = child(live=live(metadata=metadata), answer={"metadata": metadata}, spec=spec)
    assert plan.mends_ownership(found) is mends


def test_steps_are_in_the_order_of_the_children_with_pruning_last(celery_app, child, live):
    change = Change("spec.replicas", 2, 3)
    old = live("v1 Service", "shop-flower")
    kept, changed = child(name="shop-kept", live=live(name="shop-kept")), child(live=live())
    children = [child("v1 ConfigMap", "shop-probe"), kept, changed]
    steps = plan.steps(celery_app(), children, {changed.ref: (change,)}, [old, kept.live, changed.live])
    assert [(step.outcome, step.ref.name) for step in steps] == [
        (Outcome.CREATED, "shop-probe"),
        (Outcome.CONFIGURED, "shop-worker"),
        (Outcome.DELETED, "shop-flower"),
    ]
    assert steps[1].changes == (change,)


def test_a_child_that_waits_holds_back_nothing_but_itself_and_pruning(celery_app, child, live):
    waiting = child(live=live(metadata=DELETED))
    steps = plan.steps(celery_app(), [waiting, child(name="shop-mail")], {}, [waiting.live, live(name="shop-old")])
    assert [(step.outcome, step.ref.name) for step in steps] == [
        (Outcome.SKIPPED, "shop-worker"),
        (Outcome.CREATED, "shop-mail"),
    ]


def test_steps_are_a_function_of_what_is_given(celery_app, child, live):
    app, children = celery_app(), [child(), child(name="shop-mail", live=live(name="shop-mail"))]
    assert plan.steps(app, children, {}, []) == plan.steps(replace(app), list(children), {}, [])
