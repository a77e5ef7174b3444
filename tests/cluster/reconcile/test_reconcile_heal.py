"""An app comes up, and whatever is done to its children by hand is undone."""

import json

import pytest

pytest_plugins = "reconciling"

WHOLE = {
    "workers": [
        {"name": "worker", "queues": ["celery"], "replicas": 2, "env": [{"name": "A", "value": "1"}]},
        {"name": "mail", "queues": ["mail"], "disruptionBudget": {"maxUnavailable": 1}},
    ],
    "beat": {"storage": {"size": "1Gi"}},
    "flower": {},
}
CHILDREN = {
    "ConfigMap shop-probe",
    "PersistentVolumeClaim shop-beat",
    "Service shop-flower",
    "Deployment shop-worker",
    "Deployment shop-mail",
    "Deployment shop-beat",
    "Deployment shop-flower",
    "PodDisruptionBudget shop-mail",
}
SIDECAR = {"name": "side", "image": "registry.example.com/side:1"}
CONTAINER = "/spec/template/spec/containers/0"
BY_HAND = {
    "its image set": ["set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1"],
    "an env entry set": ["set", "env", "deployment/shop-worker", "BY_HAND=1"],
    "resources set": ["set", "resources", "deployment/shop-worker", "--limits=cpu=1"],
    "scaled": ["scale", "deployment/shop-worker", "--replicas=5"],
    "paused": ["rollout", "pause", "deployment/shop-worker"],
    "annotated": ["annotate", "deployment/shop-worker", "note=by-hand"],
    "labelled": ["label", "deployment/shop-worker", "note=by-hand"],
    "a label changed": ["label", "deployment/shop-worker", "app.kubernetes.io/instance=x", "--overwrite"],
    "our label changed": ["label", "deployment/shop-worker", "celeryproject.org/app=x", "--overwrite"],
    "our label removed": ["label", "deployment/shop-worker", "celeryproject.org/app-"],
    "every label removed": ["patch", "deployment/shop-worker", "-p", '{"metadata": {"labels": null}}'],
    "its owner removed": ["patch", "deployment/shop-worker", "-p", '{"metadata": {"ownerReferences": null}}'],
    "a port of the Service changed": [
        "patch",
        "service/shop-flower",
        "-p",
        '{"spec": {"ports": [{"port": 5555, "name": "x"}]}}',
    ],
    "a key of the ConfigMap added": ["patch", "configmap/shop-probe", "-p", '{"data": {"more": "x"}}'],
    "a key of the ConfigMap changed": ["patch", "configmap/shop-probe", "-p", '{"data": {"celery_check.py": "x"}}'],
    "the budget changed": ["patch", "pdb/shop-mail", "--type=merge", "-p", '{"spec": {"maxUnavailable": 2}}'],
    "applied by kubectl": ["apply", "--server-side", "--force-conflicts", "-f", "-"],
}
PATCHES = {
    "a container added": {"op": "add", "path": "/spec/template/spec/containers/-", "value": SIDECAR},
    "a volume added": {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "x", "emptyDir": {}}},
    "an env entry removed": {"op": "remove", "path": f"{CONTAINER}/env/0"},
    "arguments changed": {"op": "replace", "path": f"{CONTAINER}/args", "value": ["worker"]},
    "a probe removed": {"op": "remove", "path": f"{CONTAINER}/livenessProbe"},
    "a hook added": {"op": "add", "path": f"{CONTAINER}/lifecycle", "value": {"preStop": {"sleep": {"seconds": 1}}}},
    "a toleration added": {"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"operator": "Exists"}]},
    "the grace period changed": {
        "op": "replace",
        "path": "/spec/template/spec/terminationGracePeriodSeconds",
        "value": 1,
    },
    "rights granted": {"op": "remove", "path": f"{CONTAINER}/securityContext"},
    "the strategy changed": {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}},
}
BY_HAND |= {
    name: ["patch", "deployment/shop-worker", "--type=json", "-p", json.dumps([patch])]
    for name, patch in PATCHES.items()
}
BY_KUBECTL_APPLY = json.dumps(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-worker", "annotations": {"note": "by-hand"}},
        "spec": {"minReadySeconds": 7, "replicas": 4},
    }
)


@pytest.fixture
def settled(shop, reconciler):
    """Return the whole shop, up and ready."""
    shop.provide("shop-beat")
    shop.take(**WHOLE)
    reconciler.until_ready()
    return shop


def test_an_app_comes_up_whole_and_ready(shop, reconciler):
    shop.take(**WHOLE)
    assert reconciler.outcomes() == dict.fromkeys(CHILDREN, "created")
    assert shop.names() == CHILDREN
    assert shop.ready[:2] == ("False", "RollingOut")
    shop.provide("shop-beat")
    reconciler.until_ready()
    assert shop.ready == ("True", "AllReady", "5 of 5 pods ready")


def test_a_second_look_has_nothing_to_do(settled, reconciler):  # noqa: ARG001 (settles it)
    assert reconciler.outcomes() == {}
    assert reconciler.written == {}


@pytest.mark.parametrize("name", sorted(CHILDREN))
def test_a_child_that_is_deleted_comes_back(settled, reconciler, name):
    before = settled.children()
    settled.cluster.kubectl("delete", *name.split(), "--wait=false")
    if name.startswith("PersistentVolumeClaim"):
        settled.patch(name, {"metadata": {"finalizers": None}})  # of the pods that use it
    settled.cluster.wait_until(lambda: name not in settled.names())
    assert reconciler.outcomes() == {name: "created"}
    assert settled.children() == before


@pytest.mark.parametrize("command", BY_HAND.values(), ids=BY_HAND)
def test_what_is_changed_by_hand_is_changed_back(settled, reconciler, command):
    before = settled.children()
    settled.cluster.kubectl(*command, stdin=BY_KUBECTL_APPLY)
    assert settled.children() != before
    assert set(reconciler.outcomes().values()) == {"configured"}
    assert settled.children() == before
    assert reconciler.outcomes() == {}
    assert reconciler.written.keys() <= {"status", "create"}


def test_kubectl_rollout_restart_is_left_alone(settled, reconciler):
    settled.cluster.kubectl("rollout", "restart", "deployment/shop-worker")
    before = settled.children()
    assert reconciler.outcomes() == {}
    settled.cluster.kubectl("set", "env", "deployment/shop-worker", "BY_HAND=1")
    assert reconciler.outcomes() == {"Deployment shop-worker": "configured"}
    assert settled.children() == before
    assert "kubectl.kubernetes.io/restartedAt" in str(before)


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"annotations": {"example.com/seen": "yes"}}},
        {"metadata": {"labels": {"example.com/team": "web"}}},
        {"spec": {"template": {"metadata": {"annotations": {"example.com/injected": "yes"}}}}},
        {"spec": {"template": {"spec": {"schedulerName": "another"}}}},
    ],
    ids=str,
)
def test_what_another_controller_adds_stays(settled, reconciler, patch):
    settled.patch("Deployment shop-worker", patch, fieldManager="another-controller")
    before = settled.children()
    assert reconciler.outcomes() == {}
    assert settled.children() == before


def test_what_another_controller_changes_of_ours_is_changed_back(settled, reconciler):
    before = settled.children()
    settled.patch(
        "Deployment shop-worker", {"spec": {"replicas": 7, "paused": True}}, fieldManager="another-controller"
    )
    assert reconciler.outcomes() == {"Deployment shop-worker": "configured"}
    before["Deployment shop-worker"]["spec"]["paused"] = True
    assert settled.children() == before


def test_a_field_removed_from_the_app_is_removed_from_its_children(settled, reconciler):
    before = settled.children()
    more = {"env": [{"name": "MORE", "value": "1"}], "nodeSelector": {"a": "b"}, "podAnnotations": {"a": "b"}}
    settled.take(**WHOLE, **more)
    assert set(reconciler.outcomes().values()) == {"configured"}
    assert settled.children() != before
    settled.take(**WHOLE)
    assert set(reconciler.outcomes().values()) == {"configured"}
    assert settled.children() == before


def test_what_was_done_to_a_stopped_reconcilers_children_is_undone_when_it_starts(settled, reconciler):
    before = settled.children()
    settled.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    settled.cluster.kubectl("delete", "service", "shop-flower")
    reconciler.restart()
    assert reconciler.outcomes() == {"Deployment shop-worker": "configured", "Service shop-flower": "created"}
    assert settled.children() == before


def test_a_dry_run_says_what_it_would_do_and_does_nothing(settled, reconciler):
    settled.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    settled.cluster.kubectl("delete", "service", "shop-flower")
    settled.take(workers=WHOLE["workers"][:1], beat=WHOLE["beat"])
    before = settled.children()
    assert reconciler.outcomes(dry_run=True) == {
        "Deployment shop-worker": "configured",
        "PodDisruptionBudget shop-mail": "deleted",
        "Deployment shop-mail": "deleted",
        "Deployment shop-flower": "deleted",
    }
    assert reconciler.written == {}
    assert settled.children() == before


def test_the_log_says_each_step_once(settled, reconciler, caplog):
    settled.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    with caplog.at_level("INFO"):
        reconciler.run()
    namespace = settled.cluster.namespace
    path = "spec.template.spec.containers[0].image"
    assert caplog.messages == [f"Deployment/{namespace}/shop-worker configured {path}"]
