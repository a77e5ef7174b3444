"""Real brokers, and real Celery workers on them."""

import itertools
import json
import os
import socket
import subprocess
import sys
import threading

import debian
import pytest
import rabbitmq
from celery import Celery
from celery_versions import OWN, celery_bin, pytest_generate_tests  # noqa: F401 (a fixture and a hook)
from secured import certificates, place  # noqa: F401 (fixtures)
from servers import HERE, HOSTS, Certificate, Held, missing, redis, redis_program, until  # noqa: F401 (fixtures)

from reconciler.scaling.brokers import hosts, look
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.demand import Crew, Demand
from reconciler.scaling.group import Group
from reconciler.scaling.model import Unreadable

APP = """
import json, os, pathlib, sys, time
from celery import VERSION, Celery, bootsteps
from kombu import Queue
from kombu.common import QoS

app = Celery("shop", broker=os.environ["URL"])
app.conf.update(json.loads(os.environ["SETTINGS"]))


class PrefetchByConsumer(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer):
        def limit(prefetch_count):
            consumer.task_consumer.qos(prefetch_count=prefetch_count, apply_global=False)

        consumer.connection.default_channel.basic_qos(0, consumer.initial_prefetch_count, False)
        consumer.qos = QoS(limit, consumer.initial_prefetch_count)


if app.conf.get("task_default_queue_type") == "quorum" and VERSION < (5, 5):  # it does not know of them by itself
    app.conf.task_queues = [Queue("celery", queue_arguments={"x-queue-type": "quorum"})]
    app.steps["consumer"].add(PrefetchByConsumer)

@app.task(name="hold")
def hold():
    while not pathlib.Path("go").exists():
        time.sleep(0.05)

@app.task(name="nap")
def nap(seconds):
    with open("began", "a") as began:
        print(nap.request.id, time.time(), file=began)
    time.sleep(seconds)

if __name__ == "__main__":
    with app.connection_for_write(transport_options={"confirm_publish": True}) as connection:  # see publish()
        for arguments in json.load(sys.stdin):
            hold.apply_async(connection=connection, **arguments)
"""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory, certificate, pytestconfig):
    """Return a running RabbitMQ. Where it cannot be had: a skip on a laptop, a failure under CI=true."""
    versions = pytestconfig.getoption("celery") or [OWN]
    vhosts = len(versions) * rabbitmq.VHOSTS
    server = rabbitmq.Server(tmp_path_factory.mktemp("rabbitmq"), certificate, vhosts=vhosts)
    try:
        with server.running():
            yield server
    except debian.NoPackages as reason:
        missing(str(reason))


@pytest.fixture(scope="session")
def vhosts():
    return map("test-{}".format, itertools.count())


@pytest.fixture
def on_redis(redis):  # noqa: F811
    """Return the URL of a running Redis."""
    redis.start()
    return redis.url


@pytest.fixture
def on_rabbitmq(rabbitmq_server, vhosts):
    """Return the URL of an empty virtual host."""
    return rabbitmq_server.url(next(vhosts))


@pytest.fixture(params=["redis", "rabbitmq"])
def url(request):
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture
def seen():
    """Return a function that looks at a broker: for groups that are scaled by these queues, and their workers."""

    def once(broker, workers):
        kept = look.Kept(broker, HOSTS)
        try:
            return look.at(kept, workers, 10, lambda _: None)
        finally:
            kept.line.close()

    return once


@pytest.fixture
def services(monkeypatch):
    """Return the Services of a cluster, by name, to be filled with their addresses: it stands for its name server."""
    known, look_up = {}, hosts.look_up

    def found(name, port, *arguments, **options):
        if not name.endswith(".svc"):
            return look_up(name, port, *arguments, **options)
        sys.audit("socket.getaddrinfo", name, port)  # as Python does first of all
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (known[name], port))]

    monkeypatch.setattr(hosts, "look_up", found)
    return known


@pytest.fixture
def new_demand():
    """Return a function that makes a Demand whose connections are closed in the end."""
    made = []

    def make(cluster, *arguments, hosts=HOSTS, **options):
        made.append(Demand(cluster, hosts, *arguments, **options))
        return made[-1]

    yield make
    for demand in made:
        demand.close()
    until(lambda: not any(thread.name.startswith("closes") for thread in threading.enumerate()), "the end of all")


@pytest.fixture
def backlog(seen):
    """Return a function that reads the backlog of one group."""

    def read(url, *queues, options=None, tls=None):
        queues = frozenset(queues or ["celery"])
        found = seen(Broker(url, options or {}, tls), {queues: []})
        return found if isinstance(found, Unreadable) else found.backlogs[queues]

    return read


@pytest.fixture
def running(seen):
    """Return a function that asks the pods of the group mail what they have in hand."""

    def ask(url, *pods, options=None, exchange="celery"):
        workers = {(exchange, f"mail@{pod}"): pod for pod in pods or ["mail-1"]}
        found = seen(Broker(url, options or {}), {frozenset(): list(workers)})
        return {workers[node]: Held(len(load.tasks), load.uncounted) for node, load in found.loads.items()}

    return ask


@pytest.fixture(scope="session")
def crew():
    """Return a function: the group mail of an app with this broker, scaled by these queues, and its pods."""

    def crew(url, *queues, pods=(), namespace="shop", **settings):
        return Crew(namespace, Group("mail", None, frozenset(queues), url, settings), frozenset(pods))

    return crew


@pytest.fixture
def publish():
    """Return a function that sends tasks."""

    def send(url, count=1, *, task="hold", queue="celery", options=None, settings=None, **kwargs):
        with Celery("shop", broker=url) as app:
            app.conf.update(broker_transport_options=options or {}, **(settings or {}))
            # Else RabbitMQ promises nothing, and once in thousands a message was missing.
            with app.connection_for_write(transport_options={"confirm_publish": True}) as connection:
                for _ in range(count):
                    app.send_task(task, queue=queue, connection=connection, **kwargs)

    return send


@pytest.fixture
def shop(tmp_path):
    """Return the folder of the app."""
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


@pytest.fixture
def publish_by_app(celery_bin, shop):  # noqa: F811
    """Return a function that sends tasks as the app does, in the version of Celery under test."""

    def send(url, *tasks, **settings):
        command = [celery_bin / "python", "shop.py"]
        subprocess.run(command, cwd=shop, env=_environment(url, settings), check=True, input=json.dumps(tasks).encode())

    return send


@pytest.fixture
def worker(celery_bin, shop):  # noqa: F811
    """Return a function that starts a worker of two processes, and returns its process."""
    started = []

    def start(url, *flags, node="mail@mail-1", queues="celery", **settings):
        command = [
            celery_bin / "celery",
            "--app=shop",
            "worker",
            "--concurrency=2",
            f"--queues={queues}",
        ]
        command += [f"--hostname={node}", "--without-gossip", "--without-mingle", "--loglevel=INFO", *flags]
        environment = _environment(url, settings)
        output = shop / f"{node}.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=shop, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        until(lambda: f"{node} ready." in output.read_text(), output)
        return process

    yield start
    for process in started:
        kill(process)


def _environment(url, settings):
    return os.environ | {"C_FORCE_ROOT": "1", "URL": url, "SETTINGS": json.dumps(settings)}


def kill(process):
    """End a worker and its children as the kernel does when memory runs out."""
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()


@pytest.fixture(name="kill")
def kill_fixture():
    return kill


@pytest.fixture(name="until")
def until_fixture():
    return until
