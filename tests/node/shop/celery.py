"""The app in the images. Every task says when it starts and ends in the Redis list `records`."""

import json
import os
import socket
import time

from celery import Celery, Task
from redis import Redis

records = Redis.from_url(os.environ.get("RECORDS_URL") or os.environ["CELERY_BROKER_URL"])


class Recorded(Task):
    def __call__(self, *args, **kwargs):
        self._record("started")
        result = super().__call__(*args, **kwargs)
        self._record("ended")  # not when it was stopped: a child told to exit raises SystemExit here
        return result

    def _record(self, event):
        said = {"event": event, "task": self.name, "id": self.request.id, "time": time.time()}
        records.rpush("records", json.dumps(said | {"pod": socket.gethostname(), "process": os.getpid()}))


app = Celery("shop", task_cls=Recorded)
app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 1.0}}


@app.task(name="tick")
def tick():
    """Do nothing; the record is what counts."""


@app.task(name="nap")
def nap(seconds):
    time.sleep(seconds)


@app.task(name="hold")
def hold(until):
    """Run until the test says so."""
    while not records.exists(until):
        time.sleep(0.05)


@app.task(name="burn")
def burn(seconds):
    """Keep a CPU busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
