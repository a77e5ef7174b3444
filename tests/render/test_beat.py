"""The Deployment of beat."""

import pytest


@pytest.fixture
def beat(children):
    def build(**fields):
        spec = {"celeryVersion": "5.7", "broker": {"url": "redis://r"}, "beat": fields}
        return children(**spec)["Deployment/shop-beat"]["spec"]

    return build


def test_there_is_one_beat_also_while_it_is_replaced(beat):
    found = beat()
    assert (found["replicas"], found["strategy"]) == (1, {"type": "Recreate"})


def test_beat_keeps_its_schedule_on_a_volume_of_its_own(beat, children):
    pod = beat()["template"]["spec"]
    assert pod["containers"][0]["volumeMounts"][0] == {"name": "celery-data", "mountPath": "/var/lib/celery"}
    assert pod["volumes"][0] == {"name": "celery-data", "emptyDir": {}}
    assert "PersistentVolumeClaim/shop-beat" not in children(beat={})


def test_storage_makes_a_claim(beat, children):
    found = children(beat={"storage": {"size": "1024Mi", "storageClassName": "fast"}})[
        "PersistentVolumeClaim/shop-beat"
    ]
    assert found["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    }
    assert beat(storage={})["template"]["spec"]["volumes"][0] == {
        "name": "celery-data",
        "persistentVolumeClaim": {"claimName": "shop-beat"},
    }


def test_a_claim_that_exists_is_used(beat, children):
    storage = {"existingClaim": "mine"}
    assert "PersistentVolumeClaim/shop-beat" not in children(beat={"storage": storage})
    volume = beat(storage=storage)["template"]["spec"]["volumes"][0]
    assert volume == {"name": "celery-data", "persistentVolumeClaim": {"claimName": "mine"}}


def test_the_arguments(beat, container):
    found = beat(
        logLevel="DEBUG",
        schedulerClass="a.b:C",
        maxIntervalSeconds=9,
        probe={"type": "Ping"},
        args=["--region=eu"],
    )
    assert container({"spec": found})["args"] == [
        "--app=shop.celery:app",
        "beat",
        "--loglevel=DEBUG",
        "--schedule=/var/lib/celery/beat-schedule",
        "--scheduler=a.b:C",
        "--max-interval=9",
        "--hostname=beat@%h",
        "--enable-remote-control",
        "--region=eu",
    ]


def test_a_beat_that_is_pinged_has_probes_and_another_none(beat, container):
    pinged, other = container({"spec": beat(probe={"type": "Ping"})}), container({"spec": beat()})
    assert pinged["livenessProbe"]["exec"]["command"] == [
        "python3",
        "/etc/celery-probe/celery_check.py",
        "ping",
        "beat",
    ]
    assert not other.keys() & {"startupProbe", "readinessProbe", "livenessProbe"}
