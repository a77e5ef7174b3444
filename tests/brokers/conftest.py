"""Real brokers, and real Celery workers on them."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import debian
import pytest
import rabbitmq
from celery import Celery
from servers import Certificate, missing, redis, redis_program, until  # noqa: F401 (fixtures)

from reconciler.brokers.broker import Broker
from reconciler.brokers.queues import Brokers, Crew, Inquiry

APP = """
import json, os, pathlib, time
from celery import Celery

app = Celery("shop", broker=os.environ["URL"])
app.conf.update(json.loads(os.environ["SETTINGS"]))

@app.task(name="hold")
def hold():
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
"""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory, certificate):
    """Return a running RabbitMQ. Where it cannot be had: a skip on a laptop, a failure under CI=true."""
    server = rabbitmq.Server(tmp_path_factory.mktemp("rabbitmq"), certificate)
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
def brokers():
    return Brokers(timeout_seconds=10)


@pytest.fixture
def backlog(brokers):
    """Return a function that reads the backlog of one group."""

    def read(url, *queues, options=None, tls=None):
        inquiry = Inquiry("group", Broker(url, options or {}, tls), frozenset(queues or ["celery"]))
        return brokers.backlogs([inquiry])["group"]

    return read


@pytest.fixture
def running(brokers):
    """Return a function that asks the pods of the group mail what they have in hand."""

    def ask(url, *pods, options=None, exchange="celery"):
        crew = Crew("crew", Broker(url, options or {}), "mail", frozenset(pods or ["mail-1"]), exchange)
        return brokers.running([crew])["crew"]

    return ask


@pytest.fixture
def publish():
    """Return a function that sends tasks."""

    def send(url, count=1, *, queue="celery", options=None, settings=None, **kwargs):
        with Celery("shop", broker=url) as app:
            app.conf.update(broker_transport_options=options or {}, **(settings or {}))
            with app.connection_for_write() as connection:
                for _ in range(count):
                    app.send_task("hold", queue=queue, connection=connection, **kwargs)

    return send


@pytest.fixture
def worker(tmp_path):
    """Return a function that starts a worker of two processes, and returns its process."""
    started = []
    (tmp_path / "shop.py").write_text(APP)

    def start(url, *flags, node="mail@mail-1", queues="celery", **settings):
        command = [
            Path(sys.executable).parent / "celery",
            "--app=shop",
            "worker",
            "--concurrency=2",
            f"--queues={queues}",
        ]
        command += [f"--hostname={node}", "--without-gossip", "--without-mingle", "--loglevel=INFO", *flags]
        environment = os.environ | {"C_FORCE_ROOT": "1", "URL": url, "SETTINGS": json.dumps(settings)}
        output = tmp_path / f"{node}.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        until(lambda: f"{node} ready." in output.read_text(), output)
        return process

    yield start
    for process in started:
        kill(process)


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
