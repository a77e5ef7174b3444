"""managedFields, as kubectl and the API server wrote them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


# Whether the server need not be asked

ANNOTATION = "deployment.kubernetes.io/revision"
DESIRED = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop-worker", "labels": {"app": "shop"}},
    "spec": {
        "replicas": 3,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "worker",
                        "image": "shop:1",
                        "args": ["celery", "worker"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                    },
                    {"name": "side", "image": "side:1"},
                ]
            }
        },
    },
}
WORKER = 'k:{"name":"worker"}'
FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    WORKER: {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:args": {},
                        "f:env": {
                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                        },
                        "f:resources": {"f:requests": {"f:cpu": {}, "f:memory": {}}},
                    },
                    'k:{"name":"side"}': {".": {}, "f:name": {}, "f:image": {}},
                }
            }
        },
    },
}


def in_worker(fields):
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": {WORKER: fields}}}}}


def changed(value, path, new):
    """Return the value with something else at the path; without it where it is None."""
    head, *rest = path
    below = changed(value[head], rest, new) if rest else new
    if isinstance(value, list):
        return [*value[:head], below, *value[head + 1 :]]
    return {key: each for key, each in (value | {head: below}).items() if each is not None}


IN_WORKER = ("spec", "template", "spec", "containers", 0)
CONTAINERS = DESIRED["spec"]["template"]["spec"]["containers"]
ENV = CONTAINERS[0]["env"]
HAND = {"name": "HAND", "value": "x"}


@pytest.mark.parametrize(
    ("path", "there", "more", "is_applied"),
    [
        pytest.param((), None, [], True, id="all is there as it is desired"),
        pytest.param(("spec", "paused"), True, [owner("kubectl-edit", PAUSED)], False, id="a field added by kubectl"),
        pytest.param(
            (*IN_WORKER, "env"),
            [*ENV, HAND],
            [owner("kubectl-set", in_worker({"f:env": {'k:{"name":"HAND"}': {".": {}, "f:name": {}}}}))],
            False,
            id="a variable added by kubectl",
        ),
        pytest.param(
            (*IN_WORKER, "env"),
            [*ENV, HAND],
            [owner("webhook", in_worker({"f:env": {'k:{"name":"HAND"}': {".": {}, "f:name": {}}}}))],
            False,
            id="a variable added by a webhook: another list, so ask",
        ),
        pytest.param(("spec", "paused"), True, [ours(PAUSED)], False, id="a field that we own and no longer desire"),
        pytest.param(
            (*IN_WORKER, "env"),
            ENV,
            [ours(in_worker({"f:env": {'k:{"name":"OLD"}': {".": {}}}}))],
            False,
            id="an item that we own and no longer desire",
        ),
        pytest.param((*IN_WORKER, "image"), "shop:2", [], False, id="another value"),
        pytest.param((*IN_WORKER, "image"), None, [], False, id="a field that is gone"),
        pytest.param(("spec", "replicas"), 5, [], False, id="other replicas"),
        pytest.param(("spec", "replicas"), 3.0, [], False, id="a number of another type: ask"),
        pytest.param(("spec", "replicas"), True, [], False, id="no number at all"),
        pytest.param(
            (*IN_WORKER, "resources", "requests", "cpu"), "0.5", [], False, id="a quantity spelled otherwise: ask"
        ),
        pytest.param((*IN_WORKER, "env"), ENV[::-1], [], False, id="a list in another order: ask"),
        pytest.param(IN_WORKER[:-1], CONTAINERS[::-1], [], False, id="containers in another order: ask"),
        pytest.param((*IN_WORKER, "args"), ["celery"], [], False, id="a shorter list"),
        pytest.param(("spec", "progressDeadlineSeconds"), 600, [], True, id="a default of the server's"),
        pytest.param((*IN_WORKER, "imagePullPolicy"), "IfNotPresent", [], True, id="a default within a list"),
        pytest.param(("status",), {"readyReplicas": 3}, [], True, id="a status"),
        pytest.param(
            ("metadata", "annotations"),
            {ANNOTATION: "4"},
            [owner("kube-controller-manager", {"f:metadata": {"f:annotations": {f"f:{ANNOTATION}": {}}}})],
            True,
            id="an annotation of a controller's",
        ),
        pytest.param(
            ("spec", "template", "metadata"),
            {"annotations": {"kubectl.kubernetes.io/restartedAt": "any"}},
            [owner("kubectl-rollout", template({".": {}} | RESTART))],
            True,
            id="a restart",
        ),
        pytest.param(
            ("spec", "replicas"), 3, [owner("kubectl", REPLICAS, subresource="scale")], True, id="kubectl scale, as is"
        ),
    ],
)
def test_an_apply_surely_changes_nothing(path, there, more, is_applied):
    live = changed(DESIRED, path, there) if path else DESIRED
    assert ownership.is_applied(live, [ours(FIELDS), *more], DESIRED) is is_applied


def test_of_a_scaled_group_any_replicas_will_do_but_not_while_we_hold_them():
    desired = changed(DESIRED, ("spec", "replicas"), None)
    fields = FIELDS | {"f:spec": {"f:template": FIELDS["f:spec"]["f:template"]}}
    assert ownership.is_applied(DESIRED, [ours(fields)], desired)
    assert not ownership.is_applied(DESIRED, [ours(FIELDS)], desired)


@pytest.mark.parametrize(
    "owners",
    [
        pytest.param([], id="nobody"),
        pytest.param([owner("kubectl", FIELDS, "Apply")], id="kubectl"),
        pytest.param([owner("celery-reconcile", FIELDS)], id="an update under our name"),
        pytest.param([owner("celery-reconcile", FIELDS, "Apply", "status")], id="ours, of the status"),
    ],
)
def test_what_is_not_ours_has_to_become_so(owners):
    assert not ownership.is_applied(DESIRED, owners, DESIRED)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("abc", min_size=1), below, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("abc", min_size=1), VALUES, max_size=3)


@given(OBJECTS, OBJECTS)
def test_whatever_is_not_there_to_the_letter_is_asked_about(there, desired):
    found = ownership.is_applied(KIND | there, [ours({"f:kind": {}})], KIND | desired)
    if found:
        assert json.dumps(over(there, desired), sort_keys=True) == json.dumps(there, sort_keys=True)
    assert ownership.is_applied(KIND | desired, [ours({"f:kind": {}})], KIND | desired)


KIND = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3}}


def over(there, desired):
    """Return what is there with what is desired written over it."""
    if isinstance(there, dict) and isinstance(desired, dict):
        return there | {key: over(there.get(key), value) for key, value in desired.items()}
    if isinstance(there, list) and isinstance(desired, list) and len(there) == len(desired):
        return [over(*pair) for pair in zip(there, desired, strict=True)]
    return desired


# Who else writes


@pytest.mark.parametrize(
    ("paths", "owners", "who"),
    [
        pytest.param(
            ["spec.template.spec.containers[0].image"],
            [owner("keel", in_worker({"f:image": {}})), owner("flagger", in_worker({"f:args": {}}))],
            "keel",
            id="of a list, whoever owns the field of any item",
        ),
        pytest.param(
            ["spec.template.spec.containers[0].env[1].value"],
            [owner("webhook", in_worker({"f:env": {'k:{"name":"B"}': {".": {}, "f:value": {}}}}))],
            "webhook",
            id="of a list in a list",
        ),
        pytest.param(
            ["spec.template.spec.containers[0].env[2]"],
            [owner("webhook", in_worker({"f:env": {'k:{"name":"HAND"}': {".": {}, "f:name": {}, "f:value": {}}}}))],
            "webhook",
            id="of an item as a whole",
        ),
        pytest.param(
            ["spec.template.spec.containers[0].args[1]"],
            [owner("webhook", in_worker({"f:args": {}}))],
            "webhook",
            id="of an atomic list",
        ),
        pytest.param(
            ["spec.replicas"],
            [owner("hpa", {"f:spec": {"f:replicasMax": {}}})],
            "",
            id="not of a field whose name begins like it",
        ),
        pytest.param(
            [f"metadata.annotations.{ANNOTATION}"],
            [owner("linkerd", {"f:metadata": {"f:annotations": {f"f:{ANNOTATION}": {}}}})],
            "linkerd",
            id="of an annotation with dots",
        ),
        pytest.param([""], [owner("keel", PAUSED)], "", id="of an object that is gone: nobody"),
        pytest.param([], [owner("keel", PAUSED)], "", id="of nothing"),
        pytest.param(["spec.paused"], [], "", id="nobody is left"),
        pytest.param(["spec.paused"], [ours(PAUSED)], "another celery-reconcile", id="only our name: another of us"),
        pytest.param(["spec.paused"], [ours(PAUSED), owner("keel", PAUSED)], "keel", id="ours is said of no other"),
        pytest.param(
            ["spec.paused", "spec.replicas"],
            [owner("b", PAUSED), owner("a", REPLICAS), owner("b", REPLICAS)],
            "b, a",
            id="each once",
        ),
    ],
)
def test_who_else_writes(paths, owners, who):
    assert ownership.writers(owners, paths) == who
