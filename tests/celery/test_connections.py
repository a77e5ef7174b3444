"""Workers, beat, Flower and the Ping check reach brokers that ask for everything, through what is rendered."""

import json
import os
import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import free_ports
import pytest

import render

IN_POD = Path(render.__file__).parent / "in_pod"
APP = """
import os, pathlib
from celery import Celery

app = Celery("shop", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ.get("CELERY_RESULT_BACKEND"))
app.conf.beat_schedule = {"tick": {"task": "touch", "schedule": 1.0, "args": ["ticked"]}}
app.conf.broker_transport_options = {"visibility_timeout": 7200}
app.conf.broker_connection_retry_on_startup = True

@app.task(name="double")
def double(number):
    return 2 * number

@app.task(name="touch", ignore_result=True)
def touch(name):
    pathlib.Path(name).touch()
"""
CALL = "import shop; print(shop.app.send_task('double', [21]).get(timeout=60))"


@pytest.fixture
def start(pods, run, folder, place):
    """Return a function that starts a component, with the Secrets of the broker in its variables and volumes."""
    (folder / "shop.py").write_text(APP)
    backend = {"url": "rpc://"} if place.broker["url"].startswith("amqps") else place.broker

    def start(component, **spec):
        spec = {"celeryVersion": "5.7", "broker": place.broker, "resultBackend": backend, **spec}
        pod = pods(**spec)[component]
        [container] = pod["containers"]
        return run(container, mounted(pod, place, folder / "tls") | variables(container, place))

    return start


def variables(container, place):
    found = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry}
    return {name: place.secrets[ref["name"]][ref["key"]] for name, ref in found.items()}


def mounted(pod, place, folder):
    """Put the certificates where the kubelet would; return the environment that says where that is."""
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source["secret"]["items"]:
                path = folder / item["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(place.secrets[source["secret"]["name"]][item["key"]])
    return {"CELERYAPP_TLS_DIR": str(folder)}


def doubled(worker):
    command = [worker.programs / "python", IN_POD / "celery_start.py", worker.programs / "python", "-c", CALL]
    done = subprocess.run(
        command, cwd=worker.folder, env=worker.environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr


def test_a_worker_takes_tasks_and_gives_results(start, place, until):
    worker = start("worker")
    until(lambda: worker.well("readiness"), "a worker that is ready")
    assert doubled(worker) == "42"
    if place.fail_over:
        place.fail_over()
        until(lambda: doubled(worker) == "42", "the same of the next master")


def test_beat_sends_what_is_due(start, folder, until):
    worker = start("worker")
    start("beat", beat={})
    until((folder / "ticked").exists, "a task of beat's")
    assert worker.process.poll() is None


def test_ping_asks_worker_and_beat(start, until, celery_version):
    worker = start("worker", workers=[{"name": "worker", "probe": {"type": "Ping"}}])
    until(lambda: worker.well("liveness"), "an answer")
    assert doubled(worker) == "42"
    assert ghost(worker).endswith("does not answer")
    if celery_version == "5.7":
        beat = start("beat", beat={"probe": {"type": "Ping"}})
        until(lambda: beat.well("liveness"), "an answer")


def ghost(running):
    """Return what the check says of a node that is not there: where it reaches no broker, it says nothing."""
    command = [running.here(part) for part in running.container["livenessProbe"]["exec"]["command"]]
    command = [*command[: command.index("ping")], "ping", "ghost"]
    command[0] = running.programs / command[0]
    return subprocess.run(command, env=running.environment, capture_output=True, text=True, check=False).stderr.strip()


@pytest.mark.parametrize("image", ["shop:1", "flower:2"], ids=["the app's image", "one of its own"])
def test_flower_sees_the_worker_and_its_queue(start, until, image):
    worker = start("worker")
    until(lambda: worker.well("readiness"), "a worker that is ready")
    port = free_ports.take(1)[0]
    environment = [{"name": "FLOWER_UNAUTHENTICATED_API", "value": "true"}]
    start("flower", flower={"port": port, "image": image, "env": environment})

    def workers():
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/workers?refresh=true", timeout=30) as answer:
                return [*json.load(answer)]
        except HTTPError as error:
            with error:
                return []
        except OSError:
            return []

    until(workers, "a worker")
    assert workers() == [f"worker@{os.uname().nodename}"]


SCRIPT = "#!/bin/sh\nexec celery --app=shop worker --concurrency=1 --hostname=worker@%h\n"
WRAPPER = '#!/bin/sh\nexport PYTHONPATH="{folder}/entrypoint:$PYTHONPATH"\nexec "$@"\n'
NOTED = "import os\nopen('seen', 'a').write(os.environ.get('CELERY_BROKER_URL', '') + '\\n')\n"
WAYS = {
    "celery": {},
    "python -m celery": {"command": ["python", "-m", "celery"]},
    "a wrapper": {"command": ["./wrapper", "celery"]},
    "the entrypoint of the image": {"imageEntrypoint": "Keep"},
    "a script": {
        "commandLine": ["./script"],
        "probe": {"exec": {"command": ["celery", "--app=shop", "inspect", "ping"]}},
    },
    "pinged": {"command": ["./wrapper", "python", "-m", "celery"], "probe": {"type": "Ping"}},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["redis"], indirect=True)
def test_each_way_to_start_reaches_it_with_the_modules_of_the_image(pods, run, folder, place, until, way):
    """As in an image with a PYTHONPATH and a sitecustomize of its own, which traces or configures."""
    for path, text in {"image/sitecustomize.py": NOTED, "image/shop_config.py": "", "entrypoint/more.py": ""}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    for name, text in {"script": SCRIPT, "wrapper": WRAPPER.format(folder=folder)}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "shop.py").write_text("import shop_config\n" + APP)
    first = {
        "name": "first",
        "command": ["python", "-c", "import shop; shop.app.connection().ensure_connection(max_retries=1)"],
    }
    workers = [{"name": "worker", "initContainers": [first], **WAYS[way]}]
    pod = pods(celeryVersion="5.7", broker=place.broker, resultBackend=place.broker, workers=workers)["worker"]
    [init], [container] = pod["initContainers"], pod["containers"]
    image = {"PYTHONPATH": str(folder / "image")} | mounted(pod, place, folder / "tls") | variables(container, place)
    assert run(init, image).process.wait() == 0, (folder / "log").read_text()
    if "command" not in container:
        container = {"command": [str(folder / "wrapper")], **container}
    worker = run(container, image)
    until(lambda: worker.well("readiness" if "readinessProbe" in container else "liveness"), "a worker that is well")
    assert doubled(worker) == "42"
    [joined] = {line for line in (folder / "seen").read_text().splitlines() if "@" in line}
    assert joined.startswith("rediss://")
