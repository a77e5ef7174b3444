"""Groups that scale by their queues: a real Redis and real Celery workers, named as the pods that only seem to run.

The pods and the ReplicaSet controller that picks among them are those of the control plane.
"""

import json
import os
import subprocess
import sys
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest
import servers
from celery import Celery
from kombu import pools
from servers import redis, redis_program, until  # noqa: F401 (fixtures)

from reconciler.scaling.demand import Demand
from reconciler.scaling.model import Policy
from reconciler.scaling.simulation import simulate
from reconciler.scaling.simulation.contender import Contender
from reconciler.scaling.simulation.simulate import World
from reconciler.scaling.simulation.traffic import Step, Traffic

pytest_plugins = "reconciling"

CELERY = str(Path(sys.executable).with_name("celery"))
SHOP = """
import os, pathlib, time
from celery import Celery

app = Celery("shop", broker=os.environ["URL"])

@app.task(name="hold", acks_late=True)
def hold():
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
"""
SECRETS = Path(__file__).parents[3] / "kustomize/components/queue-scaling/broker-secrets.yaml"
WORKER = "Deployment shop-worker"
POLICIES = [{"type": "Pods", "value": 2, "periodSeconds": 15}, {"type": "Percent", "value": 50, "periodSeconds": 30}]
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}


@pytest.fixture
def broker(redis):  # noqa: F811
    redis.start()
    return redis


@pytest.fixture
def take(shop, broker):
    """Return a function: the shop with a group of this scaling, two tasks a pod at a time."""

    def take(**scaling):
        scaling = {"maxReplicas": 9, "queue": {"averageLength": 2}, "behavior": AT_ONCE} | scaling
        group = {"name": "worker", "queues": ["celery"], "concurrency": 2, "scaling": scaling}
        shop.take(broker={"url": broker.url}, workers=[group])
        return shop

    return take


@pytest.fixture
def publish(broker):
    def publish(count, queue="celery"):
        with Celery("shop", broker=broker.url) as app:
            for _ in range(count):
                app.send_task("hold", queue=queue)

    return publish


@pytest.fixture
def work(broker, tmp_path):
    """Return a function that starts Celery's worker of a pod."""
    (tmp_path / "shop.py").write_text(SHOP)
    workers = []

    def work(pod, *flags, ends_tasks=False):
        if ends_tasks:
            (tmp_path / "go").touch()
        command = [CELERY, "--app=shop", "worker", f"--hostname=worker@{pod}", "--concurrency=2", "--loglevel=ERROR"]
        options = ["--prefetch-multiplier=1", "--without-gossip", "--without-mingle", *flags]
        environment = os.environ | {"URL": broker.url, "C_FORCE_ROOT": "1"}
        with (tmp_path / "log").open("ab") as log:
            workers.append(
                subprocess.Popen([*command, *options], cwd=tmp_path, env=environment, stdout=log, stderr=log)
            )
        with Celery("shop", broker=broker.url) as app:
            until(lambda: app.control.inspect([f"worker@{pod}"]).ping(), "the worker")
        return workers[-1]

    yield work
    (tmp_path / "go").touch()
    for each in workers:
        each.terminate()
    for each in workers:
        each.wait()


def pods(shop):
    path = f"/api/v1/namespaces/{shop.cluster.namespace}/pods"
    items = shop.cluster.request("GET", path).accepted().body["items"]
    return {item["metadata"]["name"]: item["metadata"].get("annotations", {}) for item in items}


def replicas(shop):
    return shop.get(WORKER)["spec"]["replicas"]


def reason(shop, kind="ScalingActive"):
    [found] = [each for each in shop.live["status"]["conditions"] if each["type"] == kind]
    return found["reason"], found["message"]


def test_as_many_pods_as_the_messages_need(take, reconciler, publish):
    shop = take()
    publish(9)
    reconciler.run()
    shop.cluster.wait_until(lambda: reconciler.run() and replicas(shop) == 5)
    assert reason(shop)[0] == "ValidMetricFound"


@pytest.fixture
def asleep(shop, broker, reconciler):
    """Return the shop with a group at zero, and one that has a pod, after a tick."""
    scaling = {"maxReplicas": 9, "queue": {"averageLength": 2}, "behavior": AT_ONCE}
    zero = {"name": "worker", "queues": ["celery"], "scaling": {**scaling, "minReplicas": 0, "cooldownSeconds": 60}}
    other = {"name": "other", "queues": ["other"], "scaling": scaling}
    shop.take(broker={"url": broker.url}, workers=[zero, other])
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == 2)
    shop.patch(WORKER, {"spec": {"replicas": 0}})
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == 1)
    assert replicas(shop) == 0
    return shop


@pytest.fixture
def between_ticks(reconciler, monkeypatch):
    """Return a function: what the loop does from one tick to the next, which never comes."""
    monkeypatch.setattr(reconciler.looks.ticks, "_next", float("inf"))
    looks = reconciler.looks

    def turn():
        looks.ticks.turn()
        while ref := looks.queue.take():
            looks.look(looks.cache.apps.get(ref), lambda: True)
            looks.queue.done(ref)
        return True

    return turn


def test_the_first_message_does_not_wait_for_the_tick(asleep, publish, between_ticks):
    """Nor does it bring more than one pod, or have anything else decided."""
    publish(20)
    publish(20, queue="other")
    asleep.cluster.wait_until(lambda: between_ticks() and replicas(asleep) == 1)
    assert reason(asleep)[0] == "ValidMetricFound"
    for _ in range(5):
        assert between_ticks()
    assert replicas(asleep) == 1
    assert asleep.get("Deployment shop-other")["spec"]["replicas"] == 1


def test_from_zero_on_the_first_message_and_back_after_the_cooldown(take, reconciler, publish, work):
    shop = take(minReplicas=0, cooldownSeconds=60)
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == 1)
    one = work(*pods(shop))
    reconciler.run()
    reconciler.ahead = timedelta(seconds=61)
    assert reconciler.outcomes() == {WORKER: "scaled"}
    assert replicas(shop) == 0
    assert reconciler.outcomes() == {}
    one.terminate()
    one.wait()
    publish(1, queue="celery")
    assert reconciler.outcomes() == {WORKER: "scaled"}
    assert replicas(shop) == 1
    shop.cluster.wait_until(lambda: len(pods(shop)) == 1)
    work(*pods(shop), ends_tasks=True)
    shop.cluster.wait_until(lambda: reconciler.run().apps[0].scaling["worker"]["queue"] == 0)
    assert replicas(shop) == 1
    reconciler.ahead = timedelta(seconds=600)
    reconciler.run()
    assert replicas(shop) == 0


def test_idle_pods_go_first_and_never_one_too_many(take, reconciler, publish, work):
    shop = take(minReplicas=1)
    reconciler.run()
    publish(8)
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == replicas(shop) == 4)
    with_work = sorted(pods(shop))[:2]  # the others do not get any: their workers are not up yet
    for pod in with_work:
        work(pod)
    with Celery("shop", broker=shop.live["spec"]["broker"]["url"]) as app:
        until(lambda: sum(map(len, (app.control.inspect().active() or {}).values())) == 4, "four tasks that run")
        app.control.purge()
        for pod in sorted(pods(shop))[2:]:
            work(pod)
    cost, before = "controller.kubernetes.io/pod-deletion-cost", "celeryproject.org/deletion-cost-before"
    shop.cluster.kubectl("annotate", "pods", *with_work, f"{cost}=-7")  # as if these were to go first
    shop.cluster.wait_until(lambda: reconciler.run() and sorted(pods(shop)) == with_work)

    def costs():
        return {(each.get(cost), each.get(before)) for each in pods(shop).values()}

    shop.cluster.wait_until(lambda: reconciler.run() and costs() == {("-7", None)})  # ours is of no use any more


def test_a_pod_stays_for_as_long_as_its_task_might_not_end(take, reconciler, publish, work):
    """Four tasks would fit into two pods. But nobody knows how long they take."""
    shop = take()
    publish(8)
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == replicas(shop) == 4)
    with Celery("shop", broker=shop.live["spec"]["broker"]["url"]) as app:
        app.control.purge()
        for pod in pods(shop):
            work(pod)

        def busy():
            told = app.control.inspect().active() or {}
            return sorted(node.partition("@")[2] for node, tasks in told.items() if tasks)

        until(lambda: len(app.control.inspect().active() or {}) == 4, "four workers")
        publish(4)
        until(lambda: sum(map(len, app.control.inspect().active().values())) == 4, "four tasks that run")
        shop.cluster.wait_until(lambda: reconciler.run() and sorted(pods(shop)) == busy())
        assert len(busy()) >= 2
        assert {reconciler.run() and tuple(sorted(pods(shop))) for _ in range(3)} == {tuple(busy())}
        assert reason(shop, "ScalingLimited")[0] == "TasksRunning"


def test_while_celery_is_silent_nothing_goes(take, reconciler, publish, broker):
    shop = take()
    publish(8)
    reconciler.run()
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == replicas(shop) == 4)
    shop.cluster.wait_until(lambda: reconciler.run() and shop.conditions["Ready"] == "True")
    with Celery("shop", broker=broker.url) as app:
        app.control.purge()
    reconciler.run()
    assert (replicas(shop), reason(shop, "ScalingLimited")[0]) == (4, "CelerySilent")
    reconciler.ahead = timedelta(days=1)
    reconciler.run()
    assert (replicas(shop), reason(shop, "ScalingLimited")[0]) == (4, "CelerySilent")


def test_unless_it_is_asked_not_to_wait_for_ever(take, reconciler, publish, broker):
    shop = take(whenSilent="ScaleIn")
    publish(8)
    reconciler.run()
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == replicas(shop) == 4)
    shop.cluster.wait_until(lambda: reconciler.run() and shop.conditions["Ready"] == "True")
    with Celery("shop", broker=broker.url) as app:
        app.control.purge()
    reconciler.run()
    assert (replicas(shop), reason(shop, "ScalingLimited")[0]) == (4, "CelerySilent")
    reconciler.ahead = timedelta(seconds=121)
    reconciler.run()
    assert replicas(shop) == 1


def test_a_broker_that_is_away_holds_its_groups_and_nobody_else(take, reconciler, publish, broker, shop):
    other = type(shop)(shop.cluster, "other")
    take()
    publish(8)
    reconciler.run()
    shop.cluster.wait_until(lambda: reconciler.run() and replicas(shop) == 4)
    broker.stop()
    other.take()
    reconciler.run()
    assert replicas(shop) == 4
    assert reason(shop)[0] == "FailedGetExternalMetric"
    assert "Deployment other-worker" in other.names()


def test_after_an_outage_no_pod_goes_whose_tasks_still_run(take, reconciler, publish, work, broker, tmp_path):
    """The broker comes back without a message, and the workers one after the other."""
    shop = take()
    publish(8)
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == replicas(shop) == 4)
    for pod in pods(shop):
        work(pod)

    def told():
        with Celery("shop", broker=broker.url) as app:
            return app.control.inspect().active() or {}

    until(lambda: sum(map(len, told().values())) == 8, "eight tasks that run")
    reconciler.run()
    broker.stop()
    reconciler.ahead = timedelta(minutes=10)
    reconciler.run()
    assert (replicas(shop), reason(shop)[0]) == (4, "FailedGetExternalMetric")
    broker.start()
    pools.reset()  # the test's own connections are broken
    reconciler.ahead = timedelta(minutes=20)
    until(lambda: reconciler.run() and replicas(shop) == 4 and len(told()) == 4, "the workers")
    reconciler.ahead = timedelta(minutes=30)
    reconciler.run()
    assert (replicas(shop), reason(shop, "ScalingLimited")[0]) == (4, "TasksRunning")
    (tmp_path / "go").touch()
    until(lambda: len(told()) == 4 and not any(told().values()), "their end")
    reconciler.run()
    assert replicas(shop) == 1


def test_busy_workers_that_cannot_answer_stay(take, reconciler, publish, work, broker, tmp_path):
    """Of the solo pool, as long as they run a task."""
    shop = take()
    publish(12)
    shop.cluster.wait_until(lambda: reconciler.run() and len(pods(shop)) == replicas(shop) == 6)
    with Celery("shop", broker=broker.url) as app:
        app.control.purge()
        for pod in pods(shop):
            work(pod, "--pool=solo")
        publish(6)
        with app.connection() as connection:
            client = connection.default_channel.client
            until(lambda: client.hlen("unacked") == 6, "six tasks that run")
        reconciler.ahead = timedelta(minutes=10)
        reconciler.run()
        reconciler.ahead = timedelta(minutes=20)
        reconciler.run()
        assert (replicas(shop), reason(shop, "ScalingLimited")[0]) == (6, "CelerySilent")
        (tmp_path / "go").touch()
        until(lambda: len(app.control.inspect().active() or {}) == 6, "their answers")
    reconciler.run()
    assert replicas(shop) == 1


ARRIVALS = (0, 1, 0, 9, 0, 0, 14, 40, 0, 0, 30, 0)
"""In steps of 15 s, of tasks without end."""


def test_the_reconciler_and_the_simulation_take_the_same_steps(take, reconciler, publish):
    """One clock: what a rate allows in 15 s is allowed once in 15 s."""
    scaling = {"minReplicas": 1, "maxReplicas": 20, "behavior": {"scaleUp": {"policies": POLICIES}}}
    shop, steps = take(**scaling), []
    for number, arrivals in enumerate(ARRIVALS, 1):
        publish(arrivals)
        reconciler.ahead = timedelta(seconds=15 * number)
        reconciler.run()
        steps.append(replicas(shop))
        shop.cluster.wait_until(lambda: shop.get(WORKER).get("status", {}).get("replicas", 0) == steps[-1])
    scaling |= {"queue": {"averageLength": 2}, "cooldownSeconds": 300, "paused": False}
    ours = Contender("shop/worker", "reconciler", Policy.of({"scaling": scaling, "concurrency": 2}), 60, 1000)
    load = Traffic(tuple(Step(15 * each, arrivals, 1e6) for each, arrivals in enumerate(ARRIVALS)), 15 * len(ARRIVALS))
    run = simulate.run(ours, World(load, start_seconds=1e6))
    assert steps == [moment.replicas for moment in run.moments[: len(ARRIVALS)]]
    assert (steps[0], max(steps)) == (1, 20)
    assert len(set(steps)) > 5  # rates hold it back


@pytest.fixture
def from_secret(shop, broker):
    """Let the shop find its broker by a Secret that is not there yet."""
    where = {"secretKeyRef": {"name": "shop-broker", "key": "url"}}
    scaling = {"maxReplicas": 9, "queue": {"averageLength": 2}}
    shop.take(broker={"urlFrom": where}, workers=[{"name": "worker", "queues": ["celery"], "scaling": scaling}])
    url = b64encode(broker.url.encode()).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-broker"}, "data": {"url": url}}


def test_a_secret_is_forgotten_some_time_after_the_app_is_gone(shop, reconciler, broker, from_secret):
    demand = Demand(reconciler.client, servers.HOSTS, timeout_seconds=5.0, kept_seconds=3.0)
    reconciler.looks.end()
    reconciler.looks.ticks.demand = demand
    group = {"name": "worker", "queues": ["celery"], "scaling": {"maxReplicas": 9, "queue": {"averageLength": 2}}}
    type(shop)(shop.cluster, "other").take(broker={"url": broker.url}, workers=[group])
    shop.cluster.apply(from_secret).accepted()
    shop.cluster.kubectl("apply", "--filename", SECRETS)
    try:
        shop.cluster.wait_until(lambda: reconciler.run() and broker.url in str(vars(demand)))
    finally:
        shop.cluster.kubectl("delete", "--filename", SECRETS)
    shop.cluster.kubectl("delete", "celeryapp", "shop")
    shop.cluster.wait_until(lambda: reconciler.run() and broker.url not in str(vars(demand)))


def test_a_secret_is_read_only_where_that_is_granted(shop, reconciler, publish, from_secret):
    publish(8)
    shop.cluster.apply(from_secret).accepted()
    reconciler.run()
    reconciler.run()
    kind, message = reason(shop)
    secret = f"Secret/{shop.cluster.namespace}/shop-broker"
    assert kind == "FailedGetExternalMetric"
    assert f"{secret} may not be read until it is granted, by the component queue-scaling, or" in message
    shop.cluster.kubectl("apply", "--filename", SECRETS)
    try:
        shop.cluster.wait_until(lambda: reconciler.run() and replicas(shop) == 4)
        shop.cluster.kubectl("delete", "secret", "shop-broker")
        reconciler.looks.end()
        reconciler.looks.ticks.demand = Demand(reconciler.client, servers.HOSTS, timeout_seconds=5.0)  # a minute later
        reconciler.run()
        assert reason(shop)[1].endswith(f"{secret} is not there")
        assert replicas(shop) == 4
        assert json.dumps(shop.live).count(":6379") == 0
    finally:
        shop.cluster.kubectl("delete", "--filename", SECRETS)
