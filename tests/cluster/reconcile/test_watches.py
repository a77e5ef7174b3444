"""What changes is heard at once and nothing is lost: of watches that begin late, break, are silent, forget, or lie."""

import json
import time

import fault_proxy
import pytest
from fault_proxy import answer

pytest_plugins = ("reconciling", "processes")

FOREVER = "--interval=3600"  # what happens within a test is not done by waiting
WORKER = "Deployment shop-worker"
NEWER = "registry.example.com/shop:2"
IMPATIENT = (
    "-c",
    "from reconciler import cli; from reconciler.cluster import client; client.SILENCE_SECONDS = 2; cli.main()",
)
KEDA = {
    "workers": [
        {
            "name": "worker",
            "queues": ["celery"],
            "scaling": {"engine": "KEDA", "maxReplicas": 9, "queue": {"averageLength": 4}},
        }
    ]
}
REDIS = {"broker": {"url": "redis://redis/0"}}


def runs(shop, image=NEWER):
    found = shop.cluster.request("GET", shop.path(WORKER))
    return found.status == 200 and found.body["spec"]["template"]["spec"]["containers"][0]["image"] == image


def wait_until_it_runs(shop, image=NEWER):
    shop.cluster.wait_until(lambda: runs(shop, image))


def forgotten(exchange):
    """Say within the watch that the server has forgotten what was after that resourceVersion."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
    exchange.send(200, json.dumps({"type": "ERROR", "object": status}).encode() + b"\n", {})


def mute(exchange):
    """Keep the watch open and alive, but tell of no change."""
    exchange.head(200, {"Transfer-Encoding": "chunked"})
    kind = "CeleryApp" if "celeryapps" in exchange.path else "ConfigMap"
    bookmark = {"type": "BOOKMARK", "object": {"kind": kind, "metadata": {"resourceVersion": "2"}}}
    line = json.dumps(bookmark).encode() + b"\n"
    while True:
        exchange.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        time.sleep(0.2)


def test_what_changes_between_the_list_and_the_watch_is_not_lost(running, shop, proxy):
    def late(exchange):
        shop.take(image=NEWER)
        fault_proxy.forward(exchange)

    shop.take()
    with proxy.fault(late, on="GET .*/celeryapps.*watch=", times=1), running(FOREVER):
        wait_until_it_runs(shop)


@pytest.mark.parametrize("fault", [answer(410), forgotten, answer(500), answer(403), fault_proxy.reset])
def test_a_watch_that_fails_is_opened_again_and_nothing_is_lost(running, shop, proxy, fault):
    shop.take()
    with proxy.fault(fault, on="watch=", times=22), running(FOREVER):
        wait_until_it_runs(shop, "registry.example.com/shop:1")
        shop.take(image=NEWER)
        wait_until_it_runs(shop)
        shop.cluster.kubectl("delete", "deployment", "shop-worker")
        wait_until_it_runs(shop)


def test_a_watch_that_falls_silent_is_given_up(running, shop, proxy):
    with proxy.fault(fault_proxy.silence, on="watch=", times=11), running(FOREVER, program=IMPATIENT):
        shop.take()
        wait_until_it_runs(shop, "registry.example.com/shop:1")


def test_what_a_watch_does_not_tell_the_next_list_does(running, shop, proxy):
    with proxy.fault(mute, on="watch="), running("--interval=2"):
        shop.take()
        wait_until_it_runs(shop, "registry.example.com/shop:1")
        shop.take(image=NEWER)
        wait_until_it_runs(shop)


@pytest.mark.usefixtures("keda_crds")
def test_nothing_is_asked_for_while_nothing_changes(running, shop, cluster, proxy):
    def is_quiet():
        before = len(proxy.requests)
        time.sleep(2)
        return len(proxy.requests) == before

    shop.take()
    with running(FOREVER):
        cluster.wait_until(lambda: shop.ready[0] == "True")
        cluster.wait_until(lambda: sum("watch=" in line for line in proxy.requests) == 12)
        cluster.wait_until(is_quiet)
        assert is_quiet()


def test_a_kind_that_is_installed_later_is_served_and_its_end_survived(running, shop, plane, keda_crds):
    names = [crd["metadata"]["name"] for crd in keda_crds]
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

    def remove():
        for name in names:
            plane.request("DELETE", f"{path}/{name}").accepted()
        plane.wait_until(lambda: all(plane.request("GET", f"{path}/{name}").status == 404 for name in names))

    def install():
        for crd in keda_crds:
            plane.apply(crd).accepted()

    remove()
    try:
        with running(FOREVER):
            shop.take(**REDIS, **KEDA)
            shop.cluster.wait_until(lambda: shop.ready[1] == "NotFound")
            assert WORKER in shop.names()
            install()
            shop.cluster.wait_until(lambda: "ScaledObject shop-worker" in shop.names())
            remove()
            shop.take(image=NEWER)
            wait_until_it_runs(shop)
    finally:
        install()
