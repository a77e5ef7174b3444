"""Every safety rule with its table of cases."""

from dataclasses import replace

import pytest

from reconciler.apply import plan, verdicts
from reconciler.apply.known import Known
from reconciler.apply.plan import Relation
from reconciler.model import Change, Outcome, Verdict

APP = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "controller": True}
OWNER = APP | {"name": "shop", "uid": "the-app"}
BEFORE = OWNER | {"uid": "the-app-before"}
OTHER_APP = APP | {"name": "shop-2", "uid": "another-app"}
STRANGER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop", "uid": "a-set", "controller": True}
OF_KEDA = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "name": "shop-worker",
    "uid": "k",
    "controller": True,
}
LABELS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
OTHER_LABELS = LABELS | {"celeryproject.org/app": "shop-2"}
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
PVC = "v1 PersistentVolumeClaim"
REPLICAS = {"manager": "celery-reconcile", "operation": "Apply", "apiVersion": "apps/v1"}
REPLICAS |= {"fieldsV1": {"f:spec": {"f:replicas": {}}}}
BY_HAND = {"manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:data": {}}}


@pytest.mark.parametrize(
    ("mode", "metadata", "may"),
    [
        pytest.param("Apply", {}, {"apply", "serve", "report"}, id="Apply is all of it"),
        pytest.param("Scale", {}, {"serve", "report"}, id="Scale only scales and reports"),
        pytest.param("Off", {}, {"report"}, id="Off touches nothing, and says so"),
        pytest.param("Apply", DELETED, set(), id="an app that is being deleted is let go"),
        pytest.param("Scale", DELETED, set(), id="in Scale mode too"),
    ],
)
def test_the_mode_says_what_may_be_touched(celery_app, mode, metadata, may):
    app = celery_app({"reconcile": mode}, **metadata)
    asked = {"apply": plan.applies, "serve": plan.is_served, "report": plan.reports}
    assert {name for name, allows in asked.items() if allows(app)} == may


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
        pytest.param("Scale", {"owner": OF_KEDA}, False, id="nor the HPA that KEDA makes and labels as it"),
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
def test_a_name_that_is_taken_is_never_taken_over(celery_app, child, live, owner, message):
    verdict = plan.obstacle(celery_app(), child(live=live(owner=owner, labels={})))
    hint = ": rename the app or the worker group, or remove it"
    assert verdict == Verdict("NameConflict", message + hint, is_stalled=True)


@pytest.mark.parametrize(("owner", "labels"), [(OWNER, LABELS), (OWNER, {}), (None, LABELS)])
def test_what_is_ours_or_is_adopted_is_no_obstacle(celery_app, child, live, owner, labels):
    assert plan.obstacle(celery_app(), child(live=live(owner=owner, labels=labels))) is None
    assert plan.obstacle(celery_app(), child()) is None


@pytest.mark.parametrize("more", [{"owner": BEFORE}, {"metadata": DELETED}], ids=["left over", "being deleted"])
def test_what_is_about_to_go_is_an_obstacle_that_waiting_mends(celery_app, child, live, more):
    found = child(live=live(**more))
    assert plan.obstacle(celery_app(), found) == verdicts.waiting(plan.waits(celery_app(), found))


def test_what_was_found_out_before_comes_first(celery_app, child, live):
    unlisted = verdicts.unlisted("Deployment list: 503", is_stalled=False)
    found = replace(child(live=live(metadata=DELETED)), obstacle=unlisted)
    assert plan.obstacle(celery_app(), found) == unlisted


def test_a_child_that_cannot_be_applied_is_a_step_that_says_why(celery_app, child, live):
    taken = child(live=live(owner=STRANGER))
    [step] = plan.steps(celery_app(), [taken], [], {})
    assert (step.outcome, step.obstacle.reason) == (Outcome.SKIPPED, "NameConflict")
    assert step.result.message == step.obstacle.message


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


HPA, KEDA = "autoscaling/v2 HorizontalPodAutoscaler", "keda.sh/v1alpha1 ScaledObject"


@pytest.mark.parametrize(
    ("wanted", "there", "makes_room"),
    [
        pytest.param(KEDA, (HPA, {}), True, id="KEDA in place of an HPA"),
        pytest.param(HPA, (KEDA, {}), True, id="and the other way round"),
        pytest.param(KEDA, (HPA, {"name": "shop-mail"}), False, id="another group's goes when all is well"),
        pytest.param(KEDA, (HPA, {"owner": STRANGER}), False, id="another's is not ours to remove"),
        pytest.param(KEDA, (HPA, {"metadata": DELETED}), False, id="one that is going already need not"),
        pytest.param("v1 Service", (HPA, {}), False, id="what is no autoscaler needs no room"),
    ],
)
def test_an_autoscaler_makes_room_for_another(celery_app, child, live, wanted, there, makes_room):
    (kind, more), new = there, child(wanted)
    old = live(kind, **more)
    assert (plan.predecessor(celery_app(), new, [old]) == old) is makes_room
    steps = plan.prunes(celery_app(), [new], [old])
    assert all(step.child is (new if makes_room else None) for step in steps)


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
    kept, changed = child(name="shop-kept", live=live(name="shop-kept")), child(live=live(), changes=[change])
    children = [child("v1 ConfigMap", "shop-probe"), kept, changed]
    steps = plan.steps(celery_app(), children, [old, kept.live, changed.live], {})
    assert [(step.outcome, step.ref.name) for step in steps] == [
        (Outcome.CREATED, "shop-probe"),
        (Outcome.CONFIGURED, "shop-worker"),
        (Outcome.DELETED, "shop-flower"),
    ]
    assert steps[1].changes == (change,)


def test_a_child_that_waits_holds_back_no_other_child(celery_app, child, live):
    waiting = child(live=live(metadata=DELETED))
    steps = plan.steps(celery_app(), [waiting, child(name="shop-mail")], [waiting.live], {})
    assert [(step.outcome, step.ref.name) for step in steps] == [
        (Outcome.SKIPPED, "shop-worker"),
        (Outcome.CREATED, "shop-mail"),
    ]


def test_what_is_left_for_later_is_skipped_and_says_why(celery_app, child, live):
    changed, old = child(live=live(), changes=[Change("spec.a", 1, 2)]), live(name="shop-old")
    later = {changed.ref: "waits", old.ref: "waits too"}
    steps = plan.steps(celery_app(), [changed, child(name="shop-mail")], [changed.live, old], later)
    assert [(step.outcome, step.ref.name, step.message) for step in steps] == [
        (Outcome.SKIPPED, "shop-worker", "waits"),
        (Outcome.CREATED, "shop-mail", ""),
        (Outcome.SKIPPED, "shop-old", "waits too"),
    ]


def test_what_is_unchanged_is_not_even_left_for_later(celery_app, child, live):
    unchanged = child(live=live())
    assert plan.steps(celery_app(), [unchanged], [], {unchanged.ref: "waits"}) == ()


def test_steps_are_a_function_of_what_is_given(celery_app, child, live):
    app, children = celery_app(), [child(), child(name="shop-mail", live=live(name="shop-mail"))]
    assert plan.steps(app, children, [], {}) == plan.steps(replace(app), list(children), [], {})


# Claims


@pytest.mark.parametrize(
    ("there", "desired", "applied"),
    [
        pytest.param("10Gi", "5Gi", "10Gi", id="one that was made larger stays so"),
        pytest.param("5Gi", "10Gi", "10Gi", id="one that is to grow grows"),
        pytest.param("5Gi", "5Gi", "5Gi", id="one that fits stays"),
        pytest.param("1024Mi", "1Gi", "1Gi", id="whatever the unit"),
        pytest.param("", "5Gi", "5Gi", id="one whose size is not known"),
        pytest.param(None, "5Gi", "5Gi", id="one that is new"),
    ],
)
def test_a_claim_is_never_shrunk(child, live, there, desired, applied):
    def spec(storage):
        requests = {"requests": {"storage": storage}} if storage else {}
        return {"accessModes": ["ReadWriteOnce"], "resources": requests}

    found = None if there is None else live(PVC, "shop-beat", spec=spec(there))
    before = child(PVC, "shop-beat", live=found, spec=spec(desired))
    after = plan.never_shrunk(before)
    assert after.desired == before.desired | {"spec": spec(applied)}
    assert before.desired["spec"] == spec(desired)


def test_only_claims_have_a_size(child, live):
    found = child(live=live())
    assert plan.never_shrunk(found) == found


# A new release


IMAGE = Change("spec.template.spec.containers[0].image", "shop:1", "shop:2")
REPLICAS_CHANGE = Change("spec.replicas", 1, 2)


@pytest.mark.parametrize(
    ("change", "reported", "is_made", "upgrade"),
    [
        pytest.param(IMAGE, 2, False, True, id="pods roll and nobody has changed the app"),
        pytest.param(IMAGE, 1, False, False, id="the app was changed"),
        pytest.param(IMAGE, None, False, False, id="the app is new"),
        pytest.param(IMAGE, 2, True, False, id="somebody has changed what we had made"),
        pytest.param(REPLICAS_CHANGE, 2, False, False, id="no pod rolls"),
        pytest.param(None, 2, False, False, id="nothing changes"),
    ],
)
def test_an_upgrade_rolls_pods_of_an_app_that_nobody_has_changed(
    celery_app, child, live, change, reported, is_made, upgrade
):
    app = celery_app(status={"observedGeneration": reported} if reported else {})
    found = child(live=live(), changes=[change] if change else [])
    known = Known(clean={found.ref: (found.digest, b"as it was")} if is_made else {})
    assert plan.is_upgrade(app, found, known) is upgrade


def test_a_change_of_the_app_that_could_not_be_made_at_once_is_no_upgrade(celery_app, child, live):
    """Its status is of the new generation by then. But within one process only the app makes a child another."""
    app, found = celery_app(status={"observedGeneration": 2}), child(live=live(), changes=[IMAGE])
    assert not plan.is_upgrade(app, found, Known(clean={found.ref: (b"as it was desired", found.live.digest)}))


def test_only_deployments_have_pods_that_roll(celery_app, child, live):
    found = child("v1 ConfigMap", "shop-probe", live=live("v1 ConfigMap", "shop-probe"), changes=[IMAGE])
    assert not plan.is_upgrade(celery_app(status={"observedGeneration": 2}), found, Known())


# Whose scaling


@pytest.mark.parametrize(
    ("mode", "other", "shares"),
    [
        pytest.param("Scale", {}, True, id="another of the same label"),
        pytest.param("Scale", {"mode": "Apply", "name": "prod"}, True, id="also one that applies them"),
        pytest.param("Scale", {"mode": "Off"}, False, id="not one that is off"),
        pytest.param("Scale", {"deletionTimestamp": "any"}, False, id="nor one that is being deleted"),
        pytest.param("Scale", {"label": "mail"}, False, id="nor one of another label"),
        pytest.param("Apply", {}, False, id="what an app makes itself is its own"),
    ],
)
def test_two_that_scale_the_same_share_it(celery_app, mode, other, shares):
    mine = celery_app({"reconcile": mode}, name="a", labels={"celeryproject.org/app": "prod"})
    label, reconcile = other.get("label", "prod"), other.get("mode", "Scale")
    metadata = {key: value for key, value in other.items() if key in ("name", "deletionTimestamp")}
    metadata = {"name": "b", "uid": "another", "labels": {"celeryproject.org/app": label}} | metadata
    assert plan.shares(mine, celery_app({"reconcile": reconcile}, **metadata)) is shares


def test_nobody_shares_with_itself(celery_app):
    app = celery_app({"reconcile": "Scale"})
    assert not plan.shares(app, app)


@pytest.mark.parametrize(("mode", "scales"), [("Apply", True), ("Scale", True), ("Off", False)])
def test_groups_are_scaled_in_every_mode_but_off(celery_app, mode, scales):
    worker = {"name": "worker", "scaling": {"maxReplicas": 5, "cpu": {"averageValue": "1"}}}
    assert plan.scales(celery_app({"reconcile": mode, "workers": [worker]})) is scales
    assert not plan.scales(celery_app({"reconcile": mode, "workers": [worker]}, **DELETED))
    assert not plan.scales(celery_app({"reconcile": mode}))
