"""What an app says about itself: conditions as kstatus reads them, columns, Events; and when it cannot be served."""

from datetime import timedelta

import pytest

from reconciler.model import CHILD_KINDS
from reconciler.service import shown
from reconciler.status import quiet

pytest_plugins = "reconciling"

LISTS = len(CHILD_KINDS) + 2

NOWHERE = {"nodeSelector": {"example.com/no": "such-node"}}


def column(shop, *args):
    """Return what `kubectl get` shows about the app, without its age."""
    printed = shop.cluster.kubectl("get", "celeryapp", "shop", "--no-headers", *args).stdout.split()
    return printed[1:-1]


def events(shop):
    """Return type, reason and note of each Event about the app, oldest first."""
    path = f"/apis/events.k8s.io/v1/namespaces/{shop.cluster.namespace}/events"
    items = shop.cluster.request("GET", path, fieldSelector="regarding.kind=CeleryApp").body["items"]
    return [(each["type"], each["reason"], each["note"]) for each in sorted(items, key=lambda each: each["eventTime"])]


def test_the_first_visit_sets_every_condition(shop, reconciler):
    shop.take()
    reconciler.run()
    assert shop.conditions == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}
    assert shop.live["status"]["observedGeneration"] == shop.live["metadata"]["generation"]


def test_kubectl_shows_at_a_glance_whether_it_runs(shop, reconciler):
    shop.take(workers=[{"name": "worker", "replicas": 2}])
    reconciler.run()
    assert column(shop) == ["False", "RollingOut", "0/2", "Apply"]
    reconciler.until_ready()
    assert column(shop) == ["True", "AllReady", "2/2", "Apply"]


def test_kubectl_wait_understands_it(shop, reconciler):
    shop.take()
    reconciler.until_ready()
    shop.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=5s", "celeryapp/shop")
    shop.take(image="registry.example.com/shop:2")
    waited = shop.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=1s", "celeryapp/shop", check=False)
    assert waited.returncode == 1  # the old generation was ready, the new one is not yet
    reconciler.until_ready()
    shop.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=5s", "celeryapp/shop")


def test_what_an_hpa_says_of_itself_is_the_apps(shop, reconciler):
    shop.take(
        workers=[{"name": "worker", "scaling": {"engine": "HPA", "maxReplicas": 2, "cpu": {"averageValue": "1"}}}]
    )

    def said():
        reconciler.run()
        hpa = shop.get("HorizontalPodAutoscaler shop-worker").get("status", {}).get("conditions", ())
        hpa = {each["type"]: (each["status"], each["reason"]) for each in hpa}
        app = {each["type"]: (each["status"], each["reason"]) for each in shop.live["status"]["conditions"]}
        [worker] = shop.live["status"]["workers"]
        is_told = worker.get("reason", "").startswith(
            ("HorizontalPodAutoscaler shop-worker: ", "Deployment shop-worker: ")
        )
        return is_told and "ScalingActive" in hpa and app.get("ScalingActive") == hpa["ScalingActive"]

    shop.cluster.wait_until(said)


NO_DRAIN = [{"name": "worker", "disruptionBudget": {"minAvailable": 1}}]


def warned(shop):
    """Return status and message of the condition Warned, and the notes of its Events."""
    found = [each for each in shop.live["status"]["conditions"] if each["type"] == "Warned"]
    notes = [note for _, reason, note in events(shop) if reason == "Warned"]
    return [(each["status"], each["message"]) for each in found], notes


@pytest.mark.parametrize("mode", ["Apply", "Scale"])
def test_what_will_hurt_is_a_condition_and_one_event(shop, reconciler, mode):
    shop.take(reconcile=mode)
    reconciler.run()
    assert warned(shop) == ([], [])
    shop.take(reconcile=mode, workers=NO_DRAIN)
    reconciler.run()
    [(status, message)], notes = warned(shop)
    assert (status, notes) == ("True", [message])
    assert message.startswith("spec.workers[0].disruptionBudget.minAvailable: lets no pod go while there is 1,")
    reconciler.run()
    reconciler.restart()
    reconciler.run()
    assert warned(shop) == ([("True", message)], [message])
    shop.take(reconcile=mode)
    reconciler.run()
    assert warned(shop) == ([("False", "nothing is known of the spec that will hurt")], [message])


def test_a_warning_changes_nothing_else(shop, reconciler):
    shop.take(workers=NO_DRAIN)
    reconciler.until_ready()
    assert "PodDisruptionBudget shop-worker" in shop.names()
    assert shop.conditions == {"Ready": "True", "Reconciling": "False", "Stalled": "False", "Warned": "True"}


def test_pods_that_do_not_come_up_are_named_and_in_the_end_stalled(shop, reconciler):
    shop.take(**NOWHERE)
    reconciler.run()
    words = "Deployment shop-worker: 0 of 1 pods ready: Unschedulable: no node takes it: node(s) didn't match"
    shop.cluster.wait_until(lambda: reconciler.run() and shop.ready[2].startswith(words))
    assert shop.ready[:2] == ("False", "Unschedulable")
    shop.cluster.wait_until(lambda: reconciler.run() and reconciler.requests.keys() == {"list"})
    assert [event[:2] for event in events(shop)][1:] == [("Warning", "Unschedulable")]
    shop.take(**NOWHERE, reconcile="Scale")  # a deadline that a test can wait for is drift in Apply mode
    shop.patch("Deployment shop-worker", {"spec": {"progressDeadlineSeconds": 1}})
    shop.cluster.wait_until(lambda: reconciler.serve().conditions["Stalled"] == "True")
    assert (shop.ready[1], shop.conditions["Reconciling"]) == ("Unschedulable", "False")


def test_what_only_events_of_a_pod_tell_is_asked_once_and_later_again(shop, reconciler):
    shop.take()
    reconciler.until_ready()
    pods = f"/api/v1/namespaces/{shop.cluster.namespace}/pods"
    [pod] = shop.cluster.request("GET", pods).body["items"]
    long_ago = {"lastTransitionTime": "2020-01-01T00:00:00Z"}
    conditions = [
        {"type": "Ready", "status": "False"} | long_ago,
        {"type": "PodScheduled", "status": "True"} | long_ago,
    ]
    status = {"status": {"containerStatuses": [], "conditions": conditions}}
    path = f"{pods}/{pod['metadata']['name']}/status"
    shop.cluster.request("PATCH", path, status, content_type="application/merge-patch+json").accepted()
    regarding = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": shop.cluster.namespace,
        **{k: pod["metadata"][k] for k in ("name", "uid")},
    }
    event = {"metadata": {"name": "any"}, "involvedObject": regarding, "type": "Warning", "reason": "FailedMount"}
    event |= {"message": "no such map", "lastTimestamp": pod["metadata"]["creationTimestamp"]}
    shop.cluster.request("POST", pods.replace("/pods", "/events"), event).accepted()
    message = "Deployment shop-worker: 0 of 1 pods ready: FailedMount: no such map"
    shop.cluster.wait_until(lambda: reconciler.run() and shop.ready[1:] == ("FailedMount", message))
    reconciler.run()
    assert reconciler.requests == {"list": LISTS}
    reconciler.ahead += timedelta(seconds=quiet.LONGEST_PAUSE_SECONDS)
    reconciler.run()
    assert reconciler.requests == {"list": LISTS + 1}


def test_events_tell_changes_once(shop, reconciler):
    shop.take()
    reconciler.until_ready()
    reconciler.run()
    created = "created ConfigMap shop-probe, created Deployment shop-worker"
    assert events(shop) == [("Normal", "Applied", created), ("Normal", "Ready", "1 of 1 pods ready")]
    shop.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    reconciler.until_ready()
    reconciler.run()
    healed = "configured Deployment shop-worker (spec.template.spec.containers[0].image)"
    assert ("Normal", "Applied", healed) in events(shop)[2:]


def test_what_is_refused_is_stalled_with_the_servers_reason_and_said_once(shop, reconciler):
    shop.take(beat={"storage": {"size": "1Gi"}})
    reconciler.run()
    shop.take(beat={"storage": {"size": "1Gi", "accessMode": "ReadWriteMany"}})
    for _ in range(3):
        reconciler.ahead += reconciler.retry_in
        reconciler.run()
    status, reason, message = shop.ready
    assert (status, reason, shop.conditions["Stalled"]) == ("False", "Invalid", "True")
    assert message.startswith(f"PersistentVolumeClaim/{shop.cluster.namespace}/shop-beat dry-run: 422")
    assert [event[:2] for event in events(shop)][1:] == [("Warning", "Invalid")]


def test_an_invalid_app_keeps_what_runs_and_names_every_problem(shop, reconciler, laxer):
    shop.take(flower={})
    reconciler.until_ready()
    before = shop.children()
    with laxer():
        shop.take(image=7, workers=[{"name": "worker", "concurrency": "two"}])
        shop.cluster.kubectl("delete", "service", "shop-flower")
        reconciler.run()
        assert reconciler.written.keys() <= {"status", "create"}
        assert shop.ready[:2] == ("False", "InvalidSpec")
        assert "spec.image: " in shop.ready[2]
        assert "spec.workers[0].concurrency: " in shop.ready[2]
        reconciler.run()
        assert reconciler.requests.keys() == {"list"}
        shop.take(flower={})
    reconciler.run()
    assert shop.children() == before


def test_what_only_a_newer_crd_knows_is_no_error(shop, reconciler, laxer):
    with laxer():
        shop.take(workers=[{"name": "worker", "novelty": 2}], novelties=[{"name": "one"}])
        reconciler.until_ready()
        assert shop.names() == {"ConfigMap shop-probe", "Deployment shop-worker"}
        shop.delete()


@pytest.mark.parametrize(
    "spec", [{}, {"image": None}, {"workers": "none"}, {"workers": [1], "image": {}}, {"reconcile": 3}], ids=str
)
def test_whatever_is_stored_is_reported_not_stumbled_over(shop, reconciler, laxer, spec):
    with laxer():
        shop.cluster.apply(shop.manifest() | {"spec": spec}).accepted()
        assert reconciler.serve().conditions["Stalled"] == "True"
        assert shop.names() == set()
        shop.delete()


def test_a_status_written_by_others_is_put_right(shop, reconciler):
    shop.take()
    reconciler.until_ready()
    before = shop.live["status"]
    path = f"{shop.path('CeleryApp shop')}/status"
    lie = {"status": {"workersReady": "9/9", "conditions": []}}
    shop.cluster.request("PATCH", path, lie, content_type="application/merge-patch+json").accepted()
    reconciler.run()
    after = shop.live["status"]
    assert after["workersReady"] == "1/1"
    assert [{**each, "lastTransitionTime": ""} for each in after["conditions"]] == [
        {**each, "lastTransitionTime": ""} for each in before["conditions"]
    ]


def test_an_autoscalers_decision_is_told(shop, reconciler):
    """The HorizontalPodAutoscaler scales; the status says what it asked for."""
    scaling = {"engine": "HPA", "minReplicas": 2, "maxReplicas": 3, "cpu": {"averageValue": "100m"}}
    shop.take(workers=[{"name": "worker", "scaling": scaling}])
    assert reconciler.outcomes()["HorizontalPodAutoscaler shop-worker"] == "created"
    shop.cluster.wait_until(lambda: reconciler.run() and shop.live["status"]["workersReady"] == "2/2")
    [group] = shop.live["status"]["workers"]
    assert group == {"name": "worker", "replicas": 2, "readyReplicas": 2, "desiredReplicas": 2}


def test_what_pods_do_not_say_is_asked_of_those_that_are_shown(shop, reconciler):
    """Each of five waits for a volume; `explain` shows three, and counts the rest."""
    shop.take()
    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    labels = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
    spec = {"nodeName": "none", "containers": [{"name": "worker", "image": "registry.example.com/shop:1"}]}
    path = f"/api/v1/namespaces/{shop.cluster.namespace}/pods"
    for number in range(5):
        pod = {"metadata": {"name": f"shop-{number}", "labels": labels}, "spec": spec}
        shop.cluster.request("POST", path, pod).accepted()
        status = {"status": {"conditions": [bound]}}
        content_type = "application/merge-patch+json"
        shop.cluster.request("PATCH", f"{path}/shop-{number}/status", status, content_type=content_type).accepted()
    found, problems = shown.unready(reconciler.client, shop.live)
    assert ([each.pod.name for each in found["worker"]], problems) == ([f"shop-{each}" for each in range(5)], [])
    assert reconciler.requests == {"list": 1 + 3}
