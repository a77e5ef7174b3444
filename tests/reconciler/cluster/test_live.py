"""What is stable of an object, and what is read out of one that may be anything."""

import pytest

from reconciler.cluster.live import Controller, Mode, stable


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
