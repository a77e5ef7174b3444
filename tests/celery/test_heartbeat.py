"""The probes on real workers, from start to end, while the broker goes and comes."""

import os
import runpy
import signal
import time
from importlib import resources

import pytest
from kombu import Connection

PROBES = ("startup", "readiness", "liveness")
POOLS = ("prefork", "threads", "solo")


@pytest.fixture
def worker(rendered, run, broker, until):
    """Return a function that starts a worker and waits for it to be ready."""

    def start(**group):
        container = rendered(workers=[{"name": "worker", "timeLimitSeconds": 600, **group}])["worker"]
        running = run(container, broker)
        until(lambda: running.well("readiness"), "readiness")
        return running

    return start


def beats(worker, until, times=2):
    """Wait for new heartbeats."""
    file = worker.folder / "state/heartbeat"
    for _ in range(times):
        last = file.stat().st_mtime_ns
        until(lambda last=last: file.stat().st_mtime_ns > last, "a heartbeat")


def busy(worker, until):
    worker.call("wait_for", "the end")
    until((worker.folder / "started").exists, "the start of the task")


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_is_well_while_idle_and_while_busy(worker, until, pool, broker):
    one = worker(pool=pool, concurrency=1)
    beats(one, until)
    assert [one.probe(kind) for kind in PROBES] == ["", "", ""]
    busy(one, until)
    if pool != "solo" or "redis" not in broker["CELERY_BROKER_URL"]:  # there the task keeps the loop from beating
        beats(one, until)
    assert [one.probe(kind) for kind in PROBES] == ["", "", ""]
    (one.folder / "the end").touch()
    until((one.folder / "ended").exists, "the end of the task")
    beats(one, until)


def test_a_worker_that_stands_still_is_dead_until_it_moves_again(worker, until):
    still = worker()
    still.process.send_signal(signal.SIGSTOP)
    until(lambda: still.probe("liveness", "5").startswith("working without a sign of life"), "a verdict")
    assert still.well("startup")
    still.process.send_signal(signal.SIGCONT)
    until(lambda: not still.probe("liveness", "5"), "life")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_ends_its_tasks_is_not_ready(worker, until, pool):
    ending = worker(pool=pool)
    busy(ending, until)
    ending.process.send_signal(signal.SIGTERM)
    until(lambda: not ending.well("readiness"), "unreadiness")
    assert ending.well("liveness")
    (ending.folder / "the end").touch()
    assert ending.process.wait() == 0
    assert (ending.folder / "ended").exists()


def test_what_a_dead_worker_left_behind_counts_for_nothing(worker, until):
    """A container that is started again finds the files of the one before."""
    dead = worker()
    dead.process.kill()
    dead.process.wait()
    until(lambda: "is gone" in dead.probe("startup"), "the death of the children too")
    assert not any(dead.well(kind) for kind in PROBES)
    beats(worker(), until)


def test_a_worker_without_broker_is_not_ready_but_alive_and_comes_back(rendered, run, redis, until):
    running = run(rendered()["worker"], {"CELERY_BROKER_URL": redis.url})
    until(lambda: running.well("startup"), "the start, though the broker is not there yet")
    assert running.probe("readiness") == "the worker has no connection to the broker"
    redis.start()
    until(lambda: running.well("readiness"), "readiness")
    redis.stop()
    until(lambda: not running.well("readiness"), "unreadiness")
    assert running.probe("liveness", "0") == ""
    redis.start()
    until(lambda: running.well("readiness"), "readiness, again")
    beats(running, until)


def test_a_worker_that_cannot_notice_that_the_broker_is_gone_is_alive_and_comes_back(rendered, run, redis, until):
    """Busy meanwhile, it tries to send its next event before it listens to the broker, and tries for ever."""
    redis.start()
    group = {"name": "worker", "pool": "solo", "timeLimitSeconds": 600}
    running = run(rendered(workers=[group])["worker"], {"CELERY_BROKER_URL": redis.url})
    until(lambda: running.well("readiness"), "readiness")
    busy(running, until)
    until(lambda: running.probe("liveness", "3").startswith("working without a sign of life"), "an event that is due")
    redis.stop()
    (running.folder / "the end").touch()
    until((running.folder / "ended").exists, "the end of the task")
    assert running.probe("liveness", "3") == ""
    file = running.folder / "state/heartbeat"
    os.utime(file, (time.time() - 3700, time.time() - 3700))
    assert running.probe("liveness").startswith("working without a sign of life for 37")
    redis.start()
    beats(running, until)
    until(lambda: running.well("readiness"), "readiness, again")
    beats(running, until)


def test_a_worker_that_waits_for_the_broker_longer_than_celery_would_is_dead(rendered, run, redis, until):
    running = run(rendered()["worker"], {"CELERY_BROKER_URL": redis.url})
    until(lambda: running.well("startup"), "the start")
    file = running.folder / "state/heartbeat"
    os.utime(file, (time.time() - 3500, time.time() - 3500))
    assert running.well("liveness")
    os.utime(file, (time.time() - 3700, time.time() - 3700))
    assert running.probe("liveness").startswith("waiting without a sign of life for 37")


def test_before_the_app_is_loaded_nothing_is_well(rendered, run):
    container = rendered()["worker"]
    running = run({**container, "args": ["--version"]}, {})
    assert [running.probe(kind) for kind in PROBES] == ["the worker has not loaded the app yet"] * 3


def test_ping_tells_a_worker_that_answers_from_one_that_does_not(rendered, run, redis, until):
    redis.start()
    settings = {"broker_transport_options": {"global_keyprefix": "shop."}, "control_exchange": "shop"}
    spec = {"broker": {"url": redis.url}, "settings": settings}
    running = run(rendered(workers=[{"name": "worker", "probe": {"type": "Ping"}}], **spec)["worker"], {})
    until(lambda: running.well("liveness"), "an answer")
    running.process.send_signal(signal.SIGSTOP)
    assert running.probe("liveness").endswith("does not answer")
    redis.stop()
    assert running.well("liveness")


def test_ping_reaches_beat(rendered, run, redis, until, celery_version):
    if celery_version in ("5.4", "5.5", "5.6"):
        pytest.skip(f"the beat of Celery {celery_version} cannot be asked")
    redis.start()
    spec = {"celeryVersion": "5.7", "broker": {"url": redis.url}, "beat": {"probe": {"type": "Ping"}}}
    running = run(rendered(**spec)["beat"], {})
    until(lambda: running.well("liveness"), "an answer")


@pytest.fixture(scope="module")
def address():
    """Return the heartbeat's function from Connection.info() to host:port."""
    return runpy.run_path(str(resources.files("render").joinpath("in_pod/celery_heartbeat.py")))["address"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis/3", "redis:6379"),
        ("rediss://:password@redis.databases:6380", "redis.databases:6380"),
        ("redis://[::1]:7000", "::1:7000"),
        ("sentinel://one:26379;sentinel://two:26379", "one:26379"),
        ("amqp://shop@rabbitmq//", "rabbitmq:5672"),
        ("amqps://shop@rabbitmq/shop", "rabbitmq:5671"),
        ("redis+socket:///run/redis.sock", ""),
        ("filesystem://", ""),
    ],
)
def test_the_check_knocks_at_the_broker_where_it_is_a_server(address, url, expected):
    assert address(Connection(url).info()) == expected


def test_a_service_is_no_server_to_knock_at(address):
    assert address({"transport": "sqs", "hostname": None, "port": None}) == ""
