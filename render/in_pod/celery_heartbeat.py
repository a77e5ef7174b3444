# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Keeps a file that tells how the worker is. Loaded with `celery worker --include=celery_heartbeat`.

The file says `working` while the worker consumes; its age is then that of the main loop's last turn. It says `waiting`
while the worker is without its broker; its age is then that of the loss. Behind that is the broker's address, if there
is one. The worker holds a lock on the file, so that one left behind by the container before this one counts for
nothing. celery_check.py reads it.

Runs in the user's image, which may have no more than Python 3.8 and Celery 5.3.
"""

import fcntl
import os
from contextlib import suppress
from typing import Any

from celery import bootsteps  # type: ignore[import-untyped]
from celery.signals import worker_init  # type: ignore[import-untyped]

DIRECTORY = os.environ.get("CELERY_PROBE_DIR", "/var/run/celery")
INTERVAL_SECONDS = 2


class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer, not of the worker: only those are stopped and started again around a lost connection.

    Up to Celery 5.6 a reconnect clears every timer, and with it for ever the heartbeat of a worker step.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)
    connected = False
    timer: Any = None

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self.file = os.open(f"{DIRECTORY}/heartbeat", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.lockf(self.file, fcntl.LOCK_EX)  # gone with this process; its children do not inherit it
        self.say(b"waiting")

    def start(self, consumer: Any) -> None:
        self.connected = True
        self.say(b"working " + address(consumer.connection.info()).encode() + b"\n")
        self.timer = consumer.timer.call_after(0, self.beat, (consumer,))

    def beat(self, consumer: Any) -> None:
        """Say that the worker works; in the main loop, where there is an event loop: with Redis, RabbitMQ and SQS.

        With eventlet, gevent and other brokers the timer is a greenlet or a thread, and the process is all that it
        vouches for: their main loop stands still while the pool is full, which is no reason to restart anything.
        """
        if self.connected:
            self.say(b"working")
            self.timer = consumer.timer.call_after(INTERVAL_SECONDS, self.beat, (consumer,))

    def stop(self, consumer: Any) -> None:
        self.connected = False
        if self.timer is not None:  # a greenlet is falsy before it runs
            consumer.timer.cancel(self.timer)
        self.say(b"waiting")

    def say(self, state: bytes) -> None:
        """Write over the state before, which has the same length: no reader ever sees less than one of them."""
        with suppress(OSError):  # a broken disk shows in the file's age, and must not stop the worker
            os.pwrite(self.file, state, 0)


def address(broker: Any) -> str:
    """Return host:port; nothing for brokers that are no server: sockets, folders and services have other names."""
    host, port = broker.get("hostname"), broker.get("port")
    return f"{host}:{port}" if host and port and "/" not in host else ""


@worker_init.connect  # type: ignore[untyped-decorator]
def register(sender: Any, **_: Any) -> None:
    """Add the step; at this signal the modules are loaded, and the worker's parts not yet made."""
    sender.app.steps["consumer"].add(Heartbeat)
