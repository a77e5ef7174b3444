"""Every field that a version of Celery may be given, on a real worker and a real beat of it."""

import pytest
from fields import GROUP, SINCE

BEAT = {"schedulerClass": "celery.beat:PersistentScheduler", "maxIntervalSeconds": 1, "logLevel": "DEBUG"}


@pytest.fixture
def on_redis(redis):
    redis.start()
    return {"CELERY_BROKER_URL": redis.url}


def test_a_worker_takes_every_field_of_its_version(rendered, run, on_redis, until, celery_version):
    later = [fields for since, fields in SINCE.items() if since <= celery_version]
    group = {name: value for fields in (GROUP, *later) for name, value in fields.items()}
    worker = run(rendered(celeryVersion=celery_version, workers=[{"name": "worker", **group}])["worker"], on_redis)
    until(lambda: worker.well("readiness"), "readiness")
    worker.call("wait_for", "the end")
    until((worker.folder / "started").exists, "the start of the task")
    worker.process.terminate()
    (worker.folder / "the end").touch()
    assert worker.process.wait() == 0
    assert (worker.folder / "ended").exists()


def test_beat_takes_every_field_of_its_version(rendered, run, on_redis, until, celery_version):
    beat = run(rendered(celeryVersion=celery_version, beat=BEAT)["beat"], on_redis)
    until(lambda: list((beat.folder / "celery").iterdir()), "the schedule")
    until(lambda: "DEBUG" in (beat.folder / "log").read_text(), "what it says at that level")
    beat.process.terminate()
    assert beat.process.wait() == 0
