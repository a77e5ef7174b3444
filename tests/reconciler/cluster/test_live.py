"""What is stable of an object, and what is read out of one that may be anything."""

import pytest

from reconciler.cluster.live import Controller, Live, Mode, stable
from render import schema


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"resourceVersion": "8"}},
        {"metadata": {"generation": 5}},
        {"metadata": {"managedFields": [{"manager": "any", "operation": "Update", "fieldsV1": {}}]}},
        {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "4"}}},
        {"status": {"readyReplicas": 1}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_what_the_server_writes_by_itself_changes_no_digest(live, change):
    assert live(**change).digest == live().digest


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"uid": "another"}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"ownerReferences": []}},
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"spec": {"replicas": 4}},
        {"data": {"a": "b"}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_everything_else_does(live, change):
    assert live(**change).digest != live().digest


def test_the_order_of_keys_changes_no_digest(live):
    assert live(data={"a": 1, "b": 2}).digest == live(data={"b": 2, "a": 1}).digest


def test_stable_leaves_its_argument_as_it_was(manifest):
    annotations = {"deployment.kubernetes.io/revision": "4", "note": "any"}
    before = manifest(metadata={"annotations": annotations})
    assert stable(before)["metadata"]["annotations"] == {"note": "any"}
    assert before == manifest(metadata={"annotations": annotations})


def test_a_live_object_gives_back_what_is_stable_of_it(live, manifest):
    owners = [{"manager": "any", "operation": "Update", "fieldsV1": {"f:data": {}}}]
    found = live(data={"text": "two\nlines\u2028three"}, metadata={"managedFields": owners})
    assert found.manifest == stable(manifest(data={"text": "two\nlines\u2028three"}))
    assert found.managed_fields == owners


def test_the_controller_is_the_one_owner_that_says_so(live):
    others = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "1"}]
    controller = {"apiVersion": "v1", "kind": "Secret", "name": "one", "uid": "2", "controller": True}
    assert live(metadata={"ownerReferences": others}).controller is None
    found = live(metadata={"ownerReferences": [*others, controller]}).controller
    assert found == Controller("v1", "Secret", "one", "2")
    assert str(found) == "Secret one"


@pytest.mark.parametrize(
    ("spec", "groups", "parts"),
    [
        ({}, ("worker",), ("worker",)),
        (
            {"workers": [{"name": "a"}, {"name": "b"}], "flower": {}, "beat": {}},
            ("a", "b"),
            ("a", "b", "beat", "flower"),
        ),
        ({"workers": None}, (), ()),
        ({"workers": {"a": 1}}, (), ()),
        ({"workers": ["a", {"name": 1}, {}]}, (), ()),
    ],
)
def test_the_parts_of_an_app_are_read_out_of_anything(celery_app, spec, groups, parts):
    app = celery_app(spec)
    assert (app.groups, app.parts) == (groups, parts)


@pytest.mark.parametrize(
    ("reconcile", "mode"),
    [
        ("Apply", Mode.APPLY),
        ("Scale", Mode.SCALE),
        ("Off", Mode.OFF),
        (None, Mode.APPLY),
        ("Any", Mode.APPLY),
        ([], Mode.APPLY),
    ],
)
def test_a_mode_that_is_none_is_left_to_the_validation(celery_app, reconcile, mode):
    assert celery_app({"reconcile": reconcile}).mode is mode


@pytest.mark.parametrize(
    ("reconcile", "labels", "label"),
    [
        ("Apply", {}, "shop"),
        ("Apply", {"celeryproject.org/app": "other"}, "shop"),
        ("Scale", {}, "shop"),
        ("Scale", {"celeryproject.org/app": "other"}, "other"),
    ],
)
def test_in_scale_mode_children_are_found_by_the_apps_own_label(celery_app, reconcile, labels, label):
    assert celery_app({"reconcile": reconcile}, labels=labels).label == label


# What is kept


def test_one_that_differs_in_nothing_stable_from_one_that_was_looked_into_need_not_be_looked_into(live, manifest):
    old = live().looked_into
    assert Live.of(manifest(status={"readyReplicas": 1}), old).packed == b""
    assert Live.of(manifest(status={"readyReplicas": 1}), old).status == {"readyReplicas": 1}
    assert Live.of(manifest(spec={"replicas": 9}), old).manifest["spec"] == {"replicas": 9}


def test_one_that_was_not_looked_into_yet_is_kept_whole_whatever_its_status(live, manifest):
    """As a process begins, statuses change: what is told of one must not cost a question about it."""
    assert Live.of(manifest(status={"readyReplicas": 1}), live()).manifest == live().manifest


@pytest.mark.parametrize(
    ("change", "is_little"),
    [
        pytest.param({"status": {"readyReplicas": 1}}, True, id="a status"),
        pytest.param({"metadata": {"resourceVersion": "8", "generation": 5}}, True, id="what the server counts"),
        pytest.param({"spec": {"replicas": 9}}, False, id="a spec"),
        pytest.param({"metadata": {"uid": "another"}}, False, id="another object"),
        pytest.param({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, False, id="that it goes"),
    ],
)
def test_what_changes_little(live, change, is_little):
    assert live().changes_little_to(live(**change)) is is_little


PROGRESS = {"type": "Progressing", "reason": "ReplicaSetUpdated", "lastUpdateTime": "2026-01-01T00:00:00Z"}
FAILURE = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        pytest.param("apps/v1 Deployment", {"replicas": 2, "collisionCount": 1}, {"replicas": 2}, id="counts"),
        pytest.param(
            "apps/v1 Deployment",
            {"conditions": [PROGRESS, FAILURE, {"type": "Available"}]},
            {"conditions": [{"type": "Progressing", "reason": "ReplicaSetUpdated"}, FAILURE]},
            id="how a rollout goes, not when that was",
        ),
        pytest.param("v1 PersistentVolumeClaim", {"phase": "Bound", "capacity": {}}, {"phase": "Bound"}, id="a claim"),
        pytest.param("v1 Service", {"phase": "any"}, {}, id="none of other kinds"),
    ],
)
def test_only_what_is_told_of_a_status_is_kept(live, kind, status, told):
    assert live(kind, status=status).status == told


def test_a_claim_says_what_it_asks_for(live):
    spec = {"resources": {"requests": {"storage": "5Gi"}}}
    assert live("v1 PersistentVolumeClaim", "shop-beat", spec=spec).storage == "5Gi"
    assert live("v1 PersistentVolumeClaim", "shop-beat", spec={}).storage == ""


def test_what_a_newer_crd_has_is_no_error_of_the_apps(celery_app):
    app = celery_app({"fromTheFuture": {"a": 1}, "workers": [{"name": "worker", "andThis": True}]})
    spec = app.document(schema.load()).data["spec"]
    assert ("fromTheFuture" in spec, spec["workers"]) == (False, [{"name": "worker"}])
