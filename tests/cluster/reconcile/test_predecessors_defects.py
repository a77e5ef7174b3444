"""What users of the operators before this one suffered, each tried on ours.

The official Celery-Kubernetes-Operator (kopf, to 2023): https://github.com/celery/Celery-Kubernetes-Operator
celery-operator by RyanSiu1995 (Go): https://github.com/RyanSiu1995/celery-operator
"""

import fault_proxy
import pytest

pytest_plugins = "reconciling"

WORKER = "Deployment shop-worker"
WHOLE = {
    "workers": [{"name": "worker", "queues": ["celery"]}, {"name": "mail", "queues": ["mail"]}],
    "beat": {},
    "flower": {},
}
INJECTION = "shop:1\n        securityContext:\n          privileged: true"


def container(shop, name=WORKER):
    """Return the only container of this child's pods."""
    [container] = shop.get(name)["spec"]["template"]["spec"]["containers"]
    return container


# Healing. It handled events of the app alone, so that it never looked at what had become of the children.


def test_a_deleted_child_comes_back(shop, reconciler):
    shop.take(**WHOLE)
    reconciler.run()
    before = shop.children()
    shop.cluster.kubectl("delete", "deployment,service", "--all")
    reconciler.run()
    assert shop.children() == before


def test_an_edited_image_is_put_back(shop, reconciler):
    shop.take()
    reconciler.run()
    shop.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    reconciler.run()
    assert container(shop)["image"] == "registry.example.com/shop:1"


# Its end. It created what had to be new (409 at the second attempt), and held every app by a finalizer.


@pytest.mark.parametrize("children", range(1, 5))
def test_killed_after_the_first_children_it_makes_the_others(scenes, children):
    (undisturbed, reconciler), (shop, killed) = next(scenes), next(scenes)
    undisturbed.take(**WHOLE)
    reconciler.run()
    shop.take(**WHOLE)
    assert not killed.survives(writes=children)
    assert len(shop.names()) == children
    killed.run()
    assert shop.children() == undisturbed.children()


def test_without_it_an_app_is_deleted_all_the_same_and_its_children_too(shop, reconciler):
    shop.take(**WHOLE)
    reconciler.run()
    shop.delete()
    shop.cluster.wait_until(lambda: not shop.names())
    assert shop.cluster.kubectl("get", "celeryapps", "--output=name").stdout == ""


# Input. It pasted the values into YAML text, and validated nothing.


def test_a_line_break_in_an_image_is_refused(shop):
    answer = shop.cluster.apply(shop.manifest(image=INJECTION))
    assert (answer.status, answer.body["details"]["causes"][0]["field"]) == (422, "spec.image")


def test_a_line_break_where_any_text_may_be_stays_in_it(shop, reconciler):
    shop.take(
        env=[{"name": "TEXT", "value": INJECTION}],
        workers=[{"name": "worker", "queues": ["celery"], "args": [f"--text={INJECTION}"]}],
    )
    reconciler.run()
    found = container(shop)
    assert f"--text={INJECTION}" in found["args"]
    assert {"name": "TEXT", "value": INJECTION} in found["env"]
    assert "privileged" not in found["securityContext"]


@pytest.mark.parametrize("image", ["1.10", "1e3", "0x10", "yes", "null", "registry.example.com/shop:010"])
def test_an_image_is_text_whatever_it_looks_like(shop, reconciler, image):
    shop.take(image=image)
    reconciler.run()
    assert container(shop)["image"] == image


def test_resources_need_not_be_there_and_the_status_says_how_the_app_is(shop, reconciler):
    shop.take()
    assert set(reconciler.outcomes().values()) == {"created"}
    reconciler.until_ready()
    assert container(shop)["resources"] == {}
    assert shop.conditions == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}


def test_an_impossible_number_is_refused_by_its_path(shop):
    answer = shop.cluster.apply(shop.manifest(workers=[{"name": "worker", "queues": ["celery"], "replicas": -1}]))
    assert (answer.status, answer.body["details"]["causes"][0]["field"]) == (422, "spec.workers[0].replicas")


def test_what_only_the_kind_of_a_child_forbids_is_said_in_the_status(shop, reconciler):
    auth = {"basicAuth": {"secretKeyRef": {"name": "shop-flower", "key": "users"}}}
    shop.take(flower={"auth": auth, "service": {"type": "NodePort", "nodePort": 1}})  # each cluster has its own range
    reconciler.run()
    status, reason, message = shop.ready
    assert (status, reason, shop.conditions["Stalled"]) == ("False", "Invalid", "True")
    assert "spec.ports[0].nodePort" in message
    assert "Service shop-flower" not in shop.names()


def test_how_an_image_is_pulled_is_for_the_app_to_say(shop, reconciler):
    shop.take(
        workers=[
            {"name": "worker", "queues": ["celery"]},
            {"name": "mail", "queues": ["mail"], "imagePullPolicy": "Always"},
        ]
    )
    reconciler.run()
    assert container(shop)["imagePullPolicy"] == "IfNotPresent"  # the API server's default
    assert container(shop, "Deployment shop-mail")["imagePullPolicy"] == "Always"


# Change. It patched what was there, and so could add but never remove.


def test_a_field_that_is_removed_from_the_app_is_removed_from_its_children(shop, reconciler):
    shop.take()
    reconciler.run()
    before = shop.children()
    shop.take(env=[{"name": "MORE", "value": "1"}], nodeSelector={"disk": "fast"}, resources={"limits": {"cpu": "1"}})
    reconciler.run()
    assert shop.children() != before
    shop.take()
    reconciler.run()
    assert shop.children() == before


def test_a_component_that_is_removed_from_the_app_is_deleted(shop, reconciler):
    shop.take(**WHOLE)
    reconciler.run()
    shop.take()
    reconciler.run()
    assert shop.names() == {"ConfigMap shop-probe", WORKER}


def test_a_renamed_group_is_another_deployment_not_another_container(shop, reconciler):
    shop.take(workers=[{"name": "mail", "queues": ["mail"]}])
    reconciler.run()
    shop.take(workers=[{"name": "post", "queues": ["post"]}])
    reconciler.run()
    assert shop.names() == {"ConfigMap shop-probe", "Deployment shop-post"}
    assert container(shop, "Deployment shop-post")["name"] == "worker"


@pytest.mark.usefixtures("keda_crds")
def test_a_change_does_not_undo_what_an_autoscaler_decided(shop, reconciler):
    scaling = {"scaling": {"engine": "KEDA", "maxReplicas": 9, "cpu": {"averageValue": "1"}}}
    shop.take(workers=[{"name": "worker", **scaling}])
    reconciler.run()
    shop.patch(WORKER, {"spec": {"replicas": 5}}, fieldManager="an-autoscaler")
    shop.take(workers=[{"name": "worker", "queues": ["celery"], "concurrency": 8, **scaling}])
    assert reconciler.outcomes() == {WORKER: "configured"}
    assert "--concurrency=8" in container(shop)["args"]
    assert shop.get(WORKER)["spec"]["replicas"] == 5


def test_a_change_rolls_and_does_not_delete_first(shop, reconciler):
    shop.take()
    reconciler.run()
    before = shop.get(WORKER)
    shop.take(image="registry.example.com/shop:2")
    reconciler.run()
    after = shop.get(WORKER)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


# Seeing. It listed by label in all namespaces, took a failed list for an empty one, told of nothing but its handlers.


def test_apps_of_one_name_in_two_namespaces_leave_each_other_alone(scenes):
    (one, reconciler), (other, _) = next(scenes), next(scenes)
    for shop in (one, other):
        shop.take(**WHOLE)
        shop.cluster.kubectl("label", "celeryapp", "shop", f"pair={one.cluster.namespace}")
    everywhere = {"namespace": None, "selector": f"pair={one.cluster.namespace}"}
    reconciler.run(**everywhere)
    before = other.children()
    one.cluster.kubectl("patch", "celeryapp", "shop", "--type=merge", "--patch", '{"spec": {"flower": null}}')
    reconciler.run(**everywhere)
    assert "Deployment shop-flower" not in one.names()
    assert other.children() == before


def test_a_list_that_failed_is_not_an_empty_one(shop, reconciler, access):
    shop.take(**WHOLE)
    reconciler.run()
    before = shop.children()
    with fault_proxy.running(shop.cluster) as proxy:
        through = access._replace(server=f"https://127.0.0.1:{proxy.server_port}")
        restarted = type(reconciler)(shop.cluster, through)
        with proxy.fault(fault_proxy.answer(500), on="GET .*/deployments"):
            restarted.run()
            assert restarted.written == {"status": 1, "create": 1}  # and an Event
            assert shop.ready[1:] == ("ListFailed", "Deployment list: 500 by the fault proxy")
            shop.take()
            restarted.run()
    assert restarted.written == {"status": 1}
    assert shop.children() == before


def test_kubectl_tells_how_an_app_is_and_of_which_generation(shop, reconciler):
    shop.take()
    reconciler.until_ready()
    shop.take(workers=[{"name": "worker", "queues": ["celery"], "replicas": 3}])
    reconciler.until_ready()
    live = shop.live
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"] == 2
    head, line = shop.cluster.kubectl("get", "celeryapps").stdout.splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "WORKERS", "RECONCILE", "AGE"]
    assert line.split()[:4] == ["shop", "True", "AllReady", "3/3"]
