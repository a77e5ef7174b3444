"""What is rendered, read by the real Celery's own parsers."""

import logging
import os
import sys

import click
import pytest
from fields import GROUP, SINCE


@pytest.fixture
def parsed(folder, monkeypatch):
    """Return a function from a container to its sub-command's context: all read, nothing started."""
    from celery.bin.celery import celery  # noqa: PLC0415 (reads the environment when it is loaded)

    def parse(container):
        group = celery.make_context("celery", list(container["args"]), auto_envvar_prefix="CELERY")  # as its main does
        words = [*getattr(group, "_protected_args", ()), *group.args]  # click 8 keeps the first apart
        name, command, rest = celery.resolve_command(group, words)
        group.invoked_subcommand = name
        click.Command.invoke(celery, group)  # loads the app
        return command.make_context(name, rest, parent=group)

    monkeypatch.syspath_prepend(folder)
    yield parse
    sys.modules.pop("shop", None)


@pytest.fixture
def worker(rendered, parsed):
    """Return a function from a worker group to its context."""
    return lambda group=None, **spec: parsed(rendered(workers=[{"name": "worker", **(group or {})}], **spec)["worker"])


EVERYTHING = {**GROUP, **SINCE["5.5"], **SINCE["5.6"], "concurrency": 3, "pool": "solo"}


def test_every_field_of_a_group_reaches_the_worker(worker):
    found = worker(EVERYTHING, celeryVersion="5.7")
    expected = {
        "queues": ["celery", "mail"],
        "exclude_queues": None,
        "concurrency": 3,
        "prefetch_multiplier": 1,
        "disable_prefetch": True,
        "optimization": "fair",
        "max_tasks_per_child": 10,
        "max_memory_per_child": 200 * 1024,
        "time_limit": 60.0,
        "soft_time_limit": 50.0,
        "task_events": True,
        "heartbeat_interval": 10,
        "include": ["celery_heartbeat"],
        "without_gossip": True,
        "without_mingle": True,
        "without_heartbeat": False,
        "purge": False,
        "beat": None,
    }
    assert {name: found.params[name] for name in expected} == expected
    assert found.params["loglevel"] == logging.ERROR
    assert found.params["hostname"].startswith("worker@")
    assert "%" not in found.params["hostname"]
    assert found.params["pool"].__module__ == "celery.concurrency.solo"


def test_the_smallest_group_is_understood(worker):
    found = worker()
    assert (found.params["queues"], found.params["concurrency"], found.args) == (None, 2, [])


def test_queues_can_be_left_out(worker):
    assert worker({"excludeQueues": ["a", "b"]}).params["exclude_queues"] == ["a", "b"]


def test_concurrency_can_follow_the_cpu_limit(worker):
    assert worker({"concurrency": "auto"}, celeryVersion="5.7").params["concurrency"] == "auto"


def test_settings_arrive_as_what_they_are(worker):
    settings = {
        "task_acks_late": False,
        "result_expires": None,
        "worker_timer_precision": 0.5,
        "task_default_queue": "false",
        "accept_content": ["json", "pickle"],
        "broker_transport_options": {"visibility_timeout": 7200, "queue_order_strategy": "tür = $x"},
        "shop_colour": "green",
    }
    found = worker({"softShutdownSeconds": 30}, settings=settings)
    app = found.obj.app
    app.config_from_cmdline(found.args, namespace="worker")
    assert {name: app.conf[name] for name in settings} == settings
    assert app.conf.worker_soft_shutdown_timeout == 30


def test_variables_of_the_command_come_before_what_the_fields_say(rendered, parsed, monkeypatch):
    """Which render/hazards/variables.py warns of."""
    fields = {"BROKER_URL": "CELERY_BROKER_URL", "RESULT_BACKEND": "CELERY_RESULT_BACKEND", "LOADER": "CELERY_LOADER"}
    for name, ours in fields.items():
        monkeypatch.setenv(ours, "ours")
        monkeypatch.setenv(name, "celery.loaders.app:AppLoader" if name == "LOADER" else "memory://theirs")
    parsed(rendered()["worker"])
    assert {os.environ[ours] for ours in fields.values()} == {"celery.loaders.app:AppLoader", "memory://theirs"}
    monkeypatch.setenv("RESULT_BACKEND", "")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "ours")
    parsed(rendered()["worker"])
    assert os.environ["CELERY_RESULT_BACKEND"] == "ours"
    monkeypatch.delenv("BROKER_URL")
    monkeypatch.setenv("CELERY_BROKER", "memory://more")
    parsed(rendered()["worker"])
    assert os.environ["CELERY_BROKER_URL"] == "memory://more"


def test_variables_are_options_that_no_argument_says(worker, monkeypatch):
    given = {"CONCURRENCY": "8", "LOGLEVEL": "ERROR", "POOL": "solo", "TIME_LIMIT": "30", "QUEUES": "mail"}
    for name, value in given.items():
        monkeypatch.setenv(f"CELERY_WORKER_{name}", value)
    found = worker({"queues": ["celery"]}).params
    assert (found["concurrency"], found["loglevel"], found["queues"]) == (2, logging.INFO, ["celery"])
    assert (found["pool"].__module__, found["time_limit"]) == ("celery.concurrency.solo", 30.0)
    found = worker({"pool": "threads", "timeLimitSeconds": 60}).params
    assert (found["pool"].__module__, found["time_limit"]) == ("celery.concurrency.thread", 60.0)
    assert found["queues"] == ["mail"]


def test_beat_gets_the_settings_too(rendered, parsed):
    settings = {"beat_max_loop_interval": 5, "redbeat_lock_timeout": 60, "task_default_queue": "shop"}
    found = parsed(rendered(settings=settings, workers=[], beat={})["beat"])
    app = found.obj.app
    app.config_from_cmdline(found.args)
    assert {name: app.conf[name] for name in settings} == settings


@pytest.mark.parametrize("name", ["prefork", "gevent", "threads", "processes"])
def test_pools_have_the_names_that_celery_knows(worker, name):
    from celery.concurrency import ALIASES  # noqa: PLC0415

    pool = worker({"pool": name}).params["pool"]
    assert f"{pool.__module__}:{pool.__qualname__}" == ALIASES[name]


def test_every_field_of_beat_reaches_the_scheduler(rendered, parsed):
    beat = {
        "schedulerClass": "celery.beat:Scheduler",
        "maxIntervalSeconds": 30,
        "logLevel": "DEBUG",
        "probe": {"type": "Ping"},
    }
    found = parsed(rendered(celeryVersion="5.7", broker={"url": "redis://r"}, beat=beat)["beat"])
    expected = {
        "schedule": "/var/lib/celery/beat-schedule",
        "scheduler": "celery.beat:Scheduler",
        "max_interval": 30,
        "loglevel": logging.DEBUG,
        "remote_control": True,
        "hostname": "beat@%h",
        "detach": False,
    }
    assert {name: found.params[name] for name in expected} == expected
    assert found.args == []


def test_the_smallest_beat_is_understood(rendered, parsed):
    found = parsed(rendered(beat={})["beat"])
    assert (found.params["schedule"], found.params["remote_control"]) == ("/var/lib/celery/beat-schedule", None)
