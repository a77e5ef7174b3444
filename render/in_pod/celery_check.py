# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Says how the worker in this container is: exit status 0, or 1 and a line why. The kubelet runs it as a probe.

    python3 -I -S celery_check.py startup            the worker has loaded the app
    python3 -I -S celery_check.py ready              it is connected to the broker and consumes
    python3 -I -S celery_check.py alive SECONDS      its main loop has turned in the last SECONDS
    python3 celery_check.py ping NODE [KEY=VALUE …]  NODE@hostname answers through the broker

The first three read the file of celery_heartbeat.py, in a few milliseconds. A broker that is down is no reason to
restart anything, since that mends nothing and kills the tasks that run: without it a worker counts as alive. So it does
when it has not noticed yet: Celery sends events from its main loop, and waits there until the broker takes them.
"""

import fcntl
import os
import sys
import time

FILE = os.environ.get("CELERY_PROBE_DIR", "/var/run/celery") + "/heartbeat"
PATIENCE_SECONDS = 3600
"""Celery itself gives up a broker after 100 attempts, 47 minutes. Who still waits later may hang in one of them."""


def trouble(mode: str, seconds: str = "0") -> str:
    """Return what is wrong, or nothing."""
    try:
        file = os.open(FILE, os.O_RDONLY)
    except FileNotFoundError:
        return "the worker has not loaded the app yet"
    if not locked(file):
        return "the worker that wrote the heartbeat is gone, and a new one has not loaded the app yet"
    state, _, broker = os.read(file, 300).decode().partition("\n")[0].partition(" ")
    if mode == "startup":
        return ""
    if mode == "ready":
        return "" if state == "working" else "the worker has no connection to the broker"
    limit, patience = int(seconds), max(int(seconds), PATIENCE_SECONDS)
    age = int(time.time() - os.fstat(file).st_mtime)
    if age <= limit or (age <= patience and (state == "waiting" or away(broker))):
        return ""
    return f"{state} without a sign of life for {age} s, more than {limit if state == 'working' else patience} s"


def away(broker: str) -> bool:
    """Return whether nobody answers at this address."""
    import socket  # noqa: PLC0415 (there is no time for it while all is well)

    host, _, port = broker.rpartition(":")
    if not host:
        return False
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return True
    return False


def locked(file: int) -> bool:
    """Return whether a process holds the file."""
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def silence(name: str, *settings: str) -> str:
    """Return what is wrong, or nothing: also when the broker cannot be reached, which says nothing about the node."""
    import socket  # noqa: PLC0415 (the other modes have no time for imports)

    from celery import Celery  # type: ignore[import-untyped]  # noqa: PLC0415
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    app = Celery(broker=os.environ["CELERY_BROKER_URL"])
    app.config_from_cmdline(settings)
    node = f"{name}@{socket.gethostname()}"
    with app.connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=5)
            replies = app.control.ping(destination=[node], timeout=10, connection=connection)
        except (OperationalError, *connection.connection_errors):
            return ""
    return "" if replies else f"{node} does not answer"


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    sys.exit((silence(*arguments) if mode == "ping" else trouble(mode, *arguments)) or 0)
