"""Every way in which images start Celery, each a group of one app: in real pods, where probes share no environment.

Celery is in a virtual environment that is not on the PATH, the broker has a password, the root is read-only.
"""

import json
import urllib.request
from urllib.parse import quote

import images
import pytest
import secured
from celery import Celery

FLOWER_PORT = 5555
SRC = {"workingDir": "/app/src"}  # the entrypoint goes there by itself
VENV = "/app/.venv/bin"
WAYS = {
    "program": {"command": [f"{VENV}/celery"], **SRC},
    "module": {"command": [f"{VENV}/python", "-m", "celery"], **SRC},
    "wrapped": {"command": ["/app/bin/wrapper.sh", "celery"], **SRC},
    "entered": {"imageEntrypoint": "Keep"},
    "pinged": {"command": [f"{VENV}/celery"], "probe": {"type": "Ping"}, **SRC},
    "env-from": {"command": [f"{VENV}/celery"], "envFrom": [{"configMapRef": {"name": "paths"}}], **SRC},
    "script": {
        "commandLine": ["/app/bin/worker.sh", "script"],
        "probe": {"exec": {"command": ["/app/bin/alive.sh"]}},
        **SRC,
    },
}
IMAGES_OWN = "/app/lib/shop_settings.py"
FOUND = {
    "program": (f"{VENV}/python3", None, IMAGES_OWN),
    "module": (f"{VENV}/python", None, IMAGES_OWN),
    "wrapped": (f"{VENV}/python3", "wrapper", IMAGES_OWN),
    "entered": (f"{VENV}/python3", "entrypoint", IMAGES_OWN),
    "pinged": (f"{VENV}/python3", None, IMAGES_OWN),
    "env-from": (f"{VENV}/python3", None, "/app/other/shop_settings.py"),
    "script": (f"{VENV}/python3", "script", IMAGES_OWN),
    "beat": (f"{VENV}/python3", "entrypoint", IMAGES_OWN),
    "flower": (f"{VENV}/python3", "entrypoint", IMAGES_OWN),
}


@pytest.fixture
def broker(node, redis_program, tmp_path):
    """Return a Redis that asks for a password."""
    server = secured.redis_server(redis_program, tmp_path / "broker", node.place.host)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def apps(node, cluster, applied, broker, celery_versions):
    """Return the Deployments of an app for each version, in a database of its own, all rolled out."""
    for kind, name, content in (
        ("Secret", "login", {"stringData": secured.SECRETS["login"]}),
        ("ConfigMap", "paths", {"data": {"PYTHONPATH": "/app/other"}}),
    ):
        cluster.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}).accepted()
    children = [
        child
        for number, version in enumerate(celery_versions)
        for child in applied(
            f"celery-{version.replace('.', '-')}",
            version,
            broker.url,
            image=node.load(images.venv(version)),
            app="started:app",
            broker={"url": url(broker, number), **secured.LOGIN},
            securityContext={"readOnlyRootFilesystem": True},
            workers=[group(name, way) for name, way in WAYS.items()],
            beat={"imageEntrypoint": "Keep"},
            flower={
                "imageEntrypoint": "Keep",
                "env": [{"name": "FLOWER_UNAUTHENTICATED_API", "value": "true"}],
            },
        )
    ]
    deployments = [child for child in children if child["kind"] == "Deployment"]
    cluster.wait_until(lambda: all(map(cluster.is_rolled_out, deployments)), 300)
    return deployments


def url(broker, database):
    return f"redis://{broker.address}:{broker.port}/{database}"


def group(name, way):
    queues = [name, "celery"] if name == "program" else [name]  # one takes beat's
    return {"name": name, **({} if "commandLine" in way else {"queues": queues, "concurrency": 1}), **way}


def test_celery_is_started_in_every_way_and_told_to_end(cluster, apps, broker, records, celery_versions):
    def of(event):
        return [each for each in records.records() if each["event"] == event]

    pods = {pod["metadata"]["name"]: pod for pod in cluster.pods()}
    app, component = (
        {name: pod["metadata"]["labels"][f"celeryproject.org/{label}"] for name, pod in pods.items()}
        for label in ("app", "component")
    )
    sent = {}
    for number, _ in enumerate(celery_versions):
        login = ":".join(quote(each, safe="") for each in (secured.USER, secured.PASSWORD))
        with Celery(broker=url(broker, number).replace("//", f"//{login}@")) as client:
            sent |= {client.send_task("hold", ["they are told to end"], queue=way).id: way for way in WAYS}
    cluster.wait_until(lambda: {each["id"] for each in of("started")} >= set(sent))
    cluster.wait_until(lambda: "tick" in {each["task"] for each in of("ended")})
    for name in (name for name in pods if component[name] == "flower"):
        cluster.wait_until(lambda name=name: seen_by_flower(pods[name]) == set(WAYS))

    found = {
        (app[each["pod"]], component[each["pod"]], each["program"], each["by"], each["settings"])
        for each in of("imported")
    }
    names = set(app.values())
    by_its_probe = {(name, "script", *FOUND["program"]) for name in names}
    assert found - by_its_probe == {(name, part, *how) for name in names for part, how in FOUND.items()}
    assert [status["restartCount"] for pod in cluster.pods() for status in pod["status"]["containerStatuses"]] == [
        0
    ] * len(pods)

    cluster.kubectl("delete", "--wait=false", *(f"deployment/{each['metadata']['name']}" for each in apps))
    cluster.wait_until(lambda: all("deletionTimestamp" in pod["metadata"] for pod in cluster.pods()))
    records.let("they are told to end")
    cluster.wait_until(lambda: not cluster.pods())
    assert {each["id"]: component[each["pod"]] for each in of("ended") if each["task"] == "hold"} == sent


def seen_by_flower(pod):
    """Return the groups whose worker it tells of."""
    with urllib.request.urlopen(
        f"http://{pod['status']['podIP']}:{FLOWER_PORT}/api/workers?refresh=1", timeout=60
    ) as answer:
        return {node.partition("@")[0] for node in json.load(answer)}
