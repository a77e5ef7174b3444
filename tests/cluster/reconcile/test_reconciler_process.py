"""celery-reconcile as it runs in a pod: the real process, under its RBAC with a real token, on a real API server.

Between the two is a proxy that fails on demand.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import fault_proxy
import pytest
from fault_proxy import answer

from reconciler.service import queue

pytest_plugins = ("reconciling", "processes")

LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "celery-reconcile"}}
WORKER = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop-worker"}}
APP = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
CONDITION = {"type": "Ready", "status": "False", "reason": "Any", "message": "any words"}
IMAGE, NEWER = "registry.example.com/shop:1", "registry.example.com/shop:2"
IMPATIENT = ("-c", "from reconciler import cli; from reconciler.service import run; run.STUCK_SECONDS = 4; cli.main()")
FOREVER = "--interval=3600"  # what happens within a test is not done by waiting


class Shop:
    """An app in the cluster, and the Deployment of its worker."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.take(IMAGE)

    def take(self, image):
        spec = {"image": image, "app": "shop.celery:app"}
        app = {
            "apiVersion": "celeryproject.org/v1alpha1",
            "kind": "CeleryApp",
            "metadata": {"name": "shop"},
            "spec": spec,
        }
        self._cluster.apply(app).accepted()

    def lose_worker(self):
        self._cluster.kubectl("delete", "deployment", "shop-worker")

    def runs(self, image=IMAGE):
        """Say whether the worker's Deployment is there with this image."""
        answer = self._cluster.request("GET", self._cluster.path(WORKER))
        return answer.status == 200 and answer.body["spec"]["template"]["spec"]["containers"][0]["image"] == image

    def wait_until_it_runs(self, image=IMAGE):
        self._cluster.wait_until(lambda: self.runs(image))


@pytest.fixture
def shop(cluster, installed):  # noqa: ARG001 (its kind)
    return Shop(cluster)


# Once


def test_once_makes_what_is_not_there(once, shop):
    assert once("run", "--once").returncode == 0
    assert shop.runs()


def test_a_dry_run_says_what_it_would_do_and_does_nothing(once, shop, proxy, cluster):
    ended = once("run", "--once", "--dry-run")
    assert ended.returncode == 0
    assert f"INFO Deployment/{cluster.namespace}/shop-worker would be created\n" in ended.stderr
    assert not shop.runs()
    assert [line for line in proxy.requests if not line.startswith("GET") and "dryRun=All" not in line] == []


def test_diff_shows_what_would_be_changed(once, shop, cluster):
    ended = once("diff")
    assert (ended.returncode, f"Deployment/{cluster.namespace}/shop-worker created" in ended.stdout) == (1, True)
    assert not shop.runs()
    once("run", "--once")
    assert (once("diff").returncode, once("diff").stdout) == (0, "")
    shop.take(NEWER)
    ended = once("diff")
    assert ended.returncode == 1
    assert '.image: "registry.example.com/shop:1" → "registry.example.com/shop:2"' in ended.stdout


@pytest.mark.usefixtures("shop")
def test_status_is_a_table_of_apps(once, cluster):
    once("run", "--once")
    cluster.wait_until(lambda: cluster.is_rolled_out(WORKER))
    once("run", "--once")
    rows = [line.split() for line in once("status").stdout.splitlines()]
    assert rows == [
        ["NAMESPACE", "APP", "COMPONENT", "READY", "RECONCILE", "WAIT", "WHY"],
        [cluster.namespace, "shop", "True", "Apply"],
        [cluster.namespace, "shop", "worker", "1/1"],
    ]
    shown = json.loads(once("status", "--output=json", "shop").stdout)
    where = {"namespace": cluster.namespace, "app": "shop"}
    assert shown == [
        where | {"ready": "True", "reconcile": "Apply"},
        where | {"component": "worker", "ready": "True", "readyReplicas": 1, "desiredReplicas": 1},
    ]


@pytest.mark.usefixtures("shop")
def test_kubectl_explains_an_app_and_each_of_its_pods(once, cluster, environment):
    spec = {"image": IMAGE, "app": "shop.celery:app", "nodeSelector": {"example.com/no": "such-node"}}
    cluster.apply(APP | {"spec": spec}, force="true").accepted()
    once("run", "--once")
    cluster.wait_until(lambda: "Unschedulable" in cluster.kubectl("get", "pods", "-o", "json").stdout)
    once("run", "--once")
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    kubectl = [cluster.binary, "kubectl", "celery", "explain", "shop", f"--kubeconfig={cluster.kubeconfig}"]
    command = [*kubectl, f"--namespace={cluster.namespace}"]
    ended = subprocess.run(command, env=environment | {"PATH": path}, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[2].startswith("It is not ready, Unschedulable: Deployment shop-worker: 0 of 1 pods ready: Unschedul")
    assert "worker: 1 pod is wanted; 1 asked for, 1 there, 0 ready." in lines
    assert any(line.startswith("  Pod shop-worker-") and "Unschedulable: no node takes it" in line for line in lines)


@pytest.mark.usefixtures("installed")
def test_what_is_not_there_is_said(once, cluster, environment):
    assert f"there are no CeleryApps in namespace {cluster.namespace}" in once("status").stderr
    ended = once("status", "shop")
    assert (ended.returncode, ended.stderr) == (
        2,
        f"celery-reconcile: there is no CeleryApp shop in namespace {cluster.namespace}\n",
    )
    for command in ("status", "diff"):
        reconcile = [sys.executable, "-m", "reconciler", command, "--kubeconfig", cluster.kubeconfig]
        ended = subprocess.run([*reconcile, "-n", "nope"], env=environment, check=False, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (2, "celery-reconcile: there is no namespace nope\n"), command
    reconcile[3:4] = ["run", "--once"]
    ended = subprocess.run([*reconcile, "-n", "nope"], env=environment, check=False, capture_output=True, text=True)
    assert (ended.returncode, "ERROR there is no namespace nope\n" in ended.stderr) == (1, True)


@pytest.mark.usefixtures("shop")
def test_status_goes_on_with_what_changes(cluster, environment):
    command = [sys.executable, "-u", "-m", "reconciler", "status", "--watch", "--kubeconfig", cluster.kubeconfig]
    with subprocess.Popen(
        [*command, "-n", cluster.namespace], env=environment, stdout=subprocess.PIPE, text=True
    ) as shown:
        assert shown.stdout.readline().startswith("NAMESPACE")
        assert "not looked at yet" in shown.stdout.readline()
        status = {"status": {"conditions": [CONDITION | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]}}
        path = f"{cluster.path(APP)}/status"
        cluster.request("PATCH", path, status, content_type="application/merge-patch+json").accepted()
        assert shown.stdout.readline().split(maxsplit=4) == [cluster.namespace, "shop", "False", "Apply", "any words\n"]
        shown.kill()


@pytest.mark.parametrize("command", ["diff", "status"])
def test_what_cannot_be_found_out_has_a_code_of_its_own(once, proxy, command):
    with proxy.fault(answer(503)):
        ended = once(command)
    said = "celery-reconcile: CeleryApp list: 503 by the fault proxy\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("kind", "path", "code"), [("ConfigMap", "/configmaps", 2), ("Pod", "/pods", 1)])
def test_diff_says_once_what_it_could_not_list(once, proxy, kind, path, code):
    with proxy.fault(answer(503), on=path):
        ended = once("diff")
    said = f"celery-reconcile: {kind} list: 503 by the fault proxy"
    assert (ended.returncode, [line for line in ended.stderr.splitlines() if f"{kind} list" in line]) == (code, [said])


def test_what_could_not_be_read_is_a_failure(once, proxy):
    with proxy.fault(answer(503)):
        assert once("run", "--once").returncode == 1


def test_a_cluster_that_is_not_there_is_named(once, environment):
    environment["CELERY_RECONCILE_SERVICE_ACCOUNT"] = "/nowhere"
    ended = once("run", "--once")
    assert (ended.returncode, "/nowhere: no token and ca.crt" in ended.stderr) == (2, True)


# Without end


def test_a_status_that_could_not_be_written_is_written_later(running, shop, cluster, proxy):
    with proxy.fault(answer(503), on="^PATCH .*/status", times=1), running(FOREVER):
        shop.wait_until_it_runs()
        cluster.wait_until(lambda: cluster.kubectl("get", "celeryapp", "shop", "-o", "jsonpath={.status}").stdout)


def test_a_change_that_our_own_write_already_shows_is_not_taken_for_ours(running, shop, proxy):
    """The answer to a status that is written has the spec as it then is: somebody may have edited it just before."""

    def edited(exchange):
        if b"AllReady" in exchange.body:  # the last one: nothing else will wake it
            shop.take(NEWER)
        fault_proxy.forward(exchange)

    def late(exchange):
        response = exchange.forwarded()
        exchange.head(response.status, {"Transfer-Encoding": "chunked"})
        while piece := response.read1():
            time.sleep(1)  # what it tells comes after the answer to the write
            exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    status, watch = "^PATCH .*/celeryapps/shop/status", "^GET .*/celeryapps.*watch="
    with proxy.fault(edited, on=status), proxy.fault(late, on=watch), running(FOREVER):
        shop.wait_until_it_runs(NEWER)


def test_a_change_wakes_it(running, shop):
    with running(FOREVER):
        shop.wait_until_it_runs()
        shop.take(NEWER)
        shop.wait_until_it_runs(NEWER)
        shop.lose_worker()
        shop.wait_until_it_runs(NEWER)


def test_without_watches_it_looks_at_every_interval(running, shop):
    with running("--interval=1", "--no-watch"):
        shop.wait_until_it_runs()
        shop.lose_worker()
        shop.wait_until_it_runs()


def test_a_watch_that_breaks_costs_only_time(running, shop, proxy):
    with proxy.fault(fault_proxy.reset, on="watch="), running("--interval=1"):
        shop.wait_until_it_runs()
        shop.lose_worker()
        shop.wait_until_it_runs()


def test_a_watch_that_broke_is_opened_again(running, shop, cluster, proxy):
    with running(FOREVER):
        with proxy.fault(fault_proxy.reset, on="watch="):
            shop.wait_until_it_runs()
            cluster.wait_until(lambda: any("watch=" in line for line in proxy.requests))
        shop.lose_worker()
        shop.wait_until_it_runs()


@pytest.mark.parametrize(
    "fault",
    [
        answer(401),
        answer(429, Retry_After="1"),
        answer(500),
        answer(503),
        fault_proxy.reset,
        fault_proxy.half_an_answer,
        fault_proxy.silence,
        fault_proxy.trickle,
    ],
)
def test_it_outlives_an_outage(running, shop, cluster, proxy, fault):
    with running("--interval=1", "--request-timeout=1") as reconciler:
        with proxy.fault(fault):
            cluster.wait_until(lambda: "WARNING CeleryApp list: " in reconciler.log)
            assert not shop.runs()
        shop.wait_until_it_runs()


def test_a_token_that_was_replaced_is_used(running, shop, cluster, service_account):
    good = (service_account / "token").read_text()
    (service_account / "token").write_text("expired")
    with running("--interval=1") as reconciler:
        cluster.wait_until(lambda: "401 Unauthorized" in reconciler.log)
        (service_account / "token").write_text(good)
        shop.wait_until_it_runs()


def test_it_tells_how_it_is(running, shop, cluster, proxy, port, page):
    with proxy.fault(answer(503)), running("--interval=1", f"--metrics-port={port}"):
        cluster.wait_until(lambda: page("/healthz")[0] == 200)
        assert page("/readyz")[0] == 503
    with running("--interval=1", f"--metrics-port={port}"):
        shop.wait_until_it_runs()
        cluster.wait_until(lambda: 'steps_total{kind="Deployment",outcome="created"} 1.0' in page("/metrics")[1])
        assert 'celery_reconcile_api_requests_total{code="201",verb="apply"}' in page("/metrics")[1]
        assert page("/readyz")[0] == 200


def test_logs_are_json_if_asked_for(running, shop, cluster):
    with running(FOREVER, "--log-format=json") as reconciler:
        shop.wait_until_it_runs()
        assert reconciler.end(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in reconciler.log.splitlines()]
    assert lines[0]["message"].startswith("celery-reconcile ")
    assert f"Deployment/{cluster.namespace}/shop-worker created" in [line["message"] for line in lines]


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(running, shop, number):
    with running(FOREVER) as reconciler:
        shop.wait_until_it_runs()
        assert reconciler.end(number) == 0


@pytest.fixture
def many(cluster):
    """Put so many apps into the cluster that it takes some time to look at all of them."""
    spec = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "spec": spec}
    for number in range(20):
        cluster.apply(app | {"metadata": {"name": f"shop-{number}"}}).accepted()


def writes(proxy):
    """Return the requests that changed apps or children."""
    lines = (line for line in proxy.requests if not line.startswith("GET") and "/leases" not in line)
    return [line for line in lines if "dryRun=All" not in line]


@pytest.mark.usefixtures("many")
def test_after_a_signal_the_step_in_hand_is_finished_and_no_other_begun(running, proxy, cluster):
    begun = []

    def signalled(exchange):
        reconciler.process.send_signal(signal.SIGTERM)
        time.sleep(1)  # it has noticed
        begun.extend(writes(proxy))  # of another app too, if the first took its time until here
        fault_proxy.forward(exchange)

    with proxy.fault(signalled, on="^PATCH (?!.*dryRun)", times=1), running(FOREVER, "--concurrency=1") as reconciler:
        assert reconciler.process.wait(60) == 0
    assert writes(proxy) == begun
    children = cluster.kubectl("get", "configmap,deployment", "-l", "celeryproject.org/app", "-o", "name").stdout
    assert 1 <= children.count("\n") == len(begun) < 20


# One of several


def test_it_holds_the_lease_while_it_runs_and_gives_it_back(running, election, cluster):
    with running(FOREVER, *election.arguments, "--identity=one") as reconciler:
        election.wait_for("one")
        assert reconciler.end(signal.SIGTERM) == 0
    assert election.holder() == ""
    assert cluster.get(LEASE)["spec"]["leaseTransitions"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_one_ends_the_other_goes_on(running, election, shop, number):
    with running(FOREVER, *election.arguments, "--identity=one") as one:
        shop.wait_until_it_runs()
        with running(FOREVER, *election.arguments, "--identity=two"):
            one.end(number)
            election.wait_for("two")
            shop.take(NEWER)
            shop.wait_until_it_runs(NEWER)


@pytest.mark.usefixtures("shop")
def test_who_waits_for_the_lease_asks_for_nothing_else(running, election, cluster, proxy):
    cluster.apply(LEASE | {"spec": {"holderIdentity": "one", "leaseDurationSeconds": 3600}}).accepted()
    with running("--interval=1", *election.arguments, "--identity=two") as two:
        cluster.wait_until(lambda: len(proxy.requests) > 20)
        assert two.end(signal.SIGTERM) == 0
    assert {line.split("?")[0] for line in proxy.requests} == {f"GET {cluster.path(LEASE)}"}


@pytest.mark.usefixtures("many")
def test_who_loses_the_lease_begins_no_write_until_it_has_it_again(running, election, cluster, proxy):
    def robbed(exchange):
        election.give_to("another")
        cluster.wait_until(lambda: "lost by one" in one.log)
        fault_proxy.forward(exchange)

    with running("--interval=1", *election.arguments, "--identity=one", "--concurrency=1") as one:
        with proxy.fault(robbed, on="^PATCH (?!.*dryRun)"):
            cluster.wait_until(lambda: "lost by one" in one.log)
            time.sleep(2)  # more would have begun by now
        assert 1 <= len(writes(proxy)) <= queue.OF_A_NAMESPACE
        election.give_to("")
        election.wait_for("one")
        deployments = ("get", "deployment", "-l", "celeryproject.org/app", "-o", "name")
        cluster.wait_until(lambda: cluster.kubectl(*deployments).stdout.count("\n") == 20)


@pytest.mark.parametrize("stuck", ["celeryapps", "deployments"])
def test_who_is_stuck_but_renews_the_lease_is_not_healthy(running, election, cluster, proxy, port, page, stuck):
    arguments = ("--interval=1", "--request-timeout=600", f"--metrics-port={port}", *election.arguments)
    silent = proxy.fault(fault_proxy.silence, on=f"^GET .*/{stuck}")
    with silent, running(*arguments, "--identity=one", program=IMPATIENT):
        cluster.wait_until(lambda: page("/healthz")[0] == 200)
        cluster.wait_until(lambda: page("/healthz")[0] == 503)
        assert (election.holder(), page("/readyz")[0]) == ("one", 200)


def test_when_the_lease_cannot_be_renewed_nothing_is_written(running, election, cluster, proxy, shop):
    with running("--interval=1", *election.arguments, "--identity=one") as one:
        shop.wait_until_it_runs()
        with proxy.fault(answer(503), on="/leases/"):
            cluster.wait_until(lambda: "lost by one" in one.log)
            before = len(writes(proxy))
            shop.take(NEWER)
            time.sleep(2)  # it would have been done by now
            assert len(writes(proxy)) == before
        shop.wait_until_it_runs(NEWER)
