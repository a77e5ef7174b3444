"""managedFields, as kubectl and the API server wrote them."""

import pytest

from reconciler.apply import ownership

RESTART = {"f:kubectl.kubernetes.io/restartedAt": {}}


def owner(manager, fields, operation="Update", subresource=None):
    entry = {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields}
    return entry | ({"subresource": subresource} if subresource else {})


def ours(fields):
    return owner("celery-reconcile", fields, "Apply") | {"fieldsType": "FieldsV1"}


def template(annotations):
    return {"f:spec": {"f:template": {"f:metadata": {"f:annotations": annotations}}}}


UNSCALED = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3}}
SCALED = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}}
REPLICAS = {"f:spec": {"f:replicas": {}}}
PAUSED = {"f:spec": {"f:paused": {}}}


@pytest.mark.parametrize(
    ("entry", "desired", "added"),
    [
        pytest.param(owner("kubectl-set", PAUSED), UNSCALED, PAUSED, id="what kubectl set writes is added by hand"),
        pytest.param(owner("kubectl", PAUSED, "Apply"), UNSCALED, PAUSED, id="so is what kubectl applies server-side"),
        pytest.param(owner("flagger", PAUSED), UNSCALED, {}, id="what another controller writes is not"),
        pytest.param(
            owner("kubectl-edit", {"f:spec": {"f:paused": {}, "f:ours": {}}}), UNSCALED, PAUSED, id="nor is ours"
        ),
        pytest.param(
            owner("kubectl-label", {"f:metadata": {"f:labels": {".": {}}}}), UNSCALED, {}, id="nor an empty map"
        ),
        pytest.param(owner("kubectl-rollout", template({".": {}} | RESTART)), UNSCALED, {}, id="a restart may stay"),
        pytest.param(
            owner("kubectl-rollout", template(RESTART) | {"f:data": {}}),
            UNSCALED,
            {"f:data": {}},
            id="but not what comes with it",
        ),
        pytest.param(
            owner("kubectl", REPLICAS, subresource="scale"), SCALED, {}, id="kubectl scale goes through /scale"
        ),
        pytest.param(owner("kubectl-edit", REPLICAS), SCALED, {}, id="replicas of a scaled group may be set"),
        pytest.param(owner("kubectl-edit", REPLICAS), UNSCALED, REPLICAS, id="those of another may not"),
        pytest.param(
            owner("kubectl-edit", PAUSED) | {"apiVersion": "apps/v1beta1"}, UNSCALED, {}, id="paths of another version"
        ),
        pytest.param(owner("kubectl-edit", {}) | {"fieldsV1": None}, UNSCALED, {}, id="an entry without fields"),
    ],
)
def test_what_was_added_by_hand(entry, desired, added):
    assert ownership.added_by_hand([ours({"f:spec": {"f:ours": {}}}), entry], desired) == added


@pytest.mark.parametrize(
    ("fields", "desired", "holds"),
    [(REPLICAS, SCALED, True), (REPLICAS, UNSCALED, False), (PAUSED, SCALED, False), ({}, SCALED, False)],
)
def test_replicas_are_held_while_we_own_but_no_longer_name_them(fields, desired, holds):
    assert ownership.holds_replicas([ours(fields)], desired) is holds


def test_kubectls_fields_become_ours_but_for_a_restart():
    others = [
        owner("kube-controller-manager", {"f:status": {}}, subresource="status"),
        owner("kubectl", REPLICAS, subresource="scale"),
    ]
    restarted = owner("kubectl-rollout", PAUSED | {"f:metadata": {}} | template({".": {}} | RESTART))
    restarted["fieldsV1"]["f:spec"]["f:paused"] = {}
    rewritten = ownership.rewritten([*others, ours({"f:data": {}}), restarted], UNSCALED)
    assert rewritten == [
        *others,
        owner("kubectl-rollout", template(RESTART)),
        ours(
            {
                "f:data": {},
                "f:spec": {"f:template": {"f:metadata": {"f:annotations": {".": {}}}}, "f:paused": {}},
                "f:metadata": {},
            }
        ),
    ]


def test_replicas_that_are_named_no_longer_are_let_go_of():
    assert ownership.rewritten([ours(REPLICAS | {"f:data": {}})], SCALED) == [ours({"f:data": {}})]
    assert ownership.rewritten([ours(REPLICAS)], UNSCALED) == [ours(REPLICAS)]


def test_an_object_nobody_owned_becomes_ours():
    assert ownership.rewritten([owner("kubectl-create", PAUSED)], UNSCALED) == [ours(PAUSED)]


def test_what_was_added_by_hand_is_left_out_of_what_will_be():
    fields = {
        "f:metadata": {"f:annotations": {".": {}, "f:note": {}}, "f:labels": {"f:note": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"side"}': {".": {}, "f:image": {}, "f:name": {}},
                'k:{"name":"worker"}': {"f:args": {}, "f:env": {'k:{"name":"HAND"}': {".": {}, "f:value": {}}}},
            },
            "f:finalizers": {'v:"hand"': {}},
            "f:securityContext": {"f:runAsUser": {}},
            "f:volumes": {".": {}, 'k:{"name":"hand"}': {".": {}, "f:name": {}}},
        },
    }
    worker = {"name": "worker", "image": "shop:1"}
    value = {
        "metadata": {"annotations": {"note": "x"}, "labels": {"note": "x", "app": "shop"}},
        "spec": {
            "containers": [worker | {"args": ["x"], "env": [{"name": "HAND"}, {"name": "OURS"}]}, {"name": "side"}],
            "finalizers": ["hand", "other"],
            "securityContext": {"runAsUser": 1},
            "volumes": [{"name": "hand"}],
            "replicas": 3,
        },
    }
    assert ownership.without(value, fields) == {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {
            "containers": [worker | {"env": [{"name": "OURS"}]}],
            "finalizers": ["other"],
            "securityContext": {},
            "replicas": 3,
        },
    }
