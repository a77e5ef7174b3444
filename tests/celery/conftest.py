"""Real Celery, run as the rendered manifests say: their command lines, their environment, their probes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from celery_versions import celery_bin, pytest_generate_tests  # noqa: F401 (a fixture and a hook)
from secured import certificates, place  # noqa: F401 (fixtures)
from servers import redis, redis_program, until  # noqa: F401 (fixtures)

import render
from render import pipeline, schema
from render.model import Document

IN_POD = Path(render.__file__).parent / "in_pod"
APP = """
import json, os, pathlib, time
from celery import Celery

app = Celery("shop")
app.conf.broker_transport_options = json.loads(os.environ.get("TRANSPORT_OPTIONS", "{}"))
app.conf.broker_connection_retry_on_startup = True

@app.task(name="wait_for")
def wait_for(name):
    pathlib.Path("started").touch()
    while not pathlib.Path(name).exists():
        time.sleep(0.05)
    pathlib.Path("ended").touch()
"""


@pytest.fixture(scope="session")
def crd():
    return schema.load()


@pytest.fixture
def pods(crd):
    """Return a function from a spec to the pod of each Deployment, by the component's name."""

    def build(**spec):
        metadata, api_version = {"name": "shop"}, "celeryproject.org/v1alpha1"
        spec = {"image": "shop:1", "app": "shop:app", **spec}
        data = {"apiVersion": api_version, "kind": "CeleryApp", "metadata": metadata, "spec": spec}
        children = pipeline.base(Document(data, "app.yaml", {}), crd).children
        found = (child for child in children if child["kind"] == "Deployment")
        return {child["metadata"]["name"].removeprefix("shop-"): child["spec"]["template"]["spec"] for child in found}

    return build


@pytest.fixture
def rendered(pods):
    """Return a function from a spec to the Celery container of each Deployment, by the component's name."""
    return lambda **spec: {name: pod["containers"][0] for name, pod in pods(**spec).items()}


@pytest.fixture
def folder(tmp_path):
    """Return the working directory of the containers; it holds the app."""
    (tmp_path / "shop.py").write_text(APP)
    for name in ("state", "celery", "flower"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture(params=["filesystem", "redis"])
def broker(request, folder):
    """Return the environment that leads to a broker: one for which Celery has an event loop, and one without."""
    if request.param == "redis":
        server = request.getfixturevalue("redis")
        server.start()
        return {"CELERY_BROKER_URL": server.url}
    (folder / "queue").mkdir()
    queue, control = str(folder / "queue"), str(folder / "control")
    options = {"data_folder_in": queue, "data_folder_out": queue, "control_folder": control}
    return {"CELERY_BROKER_URL": "filesystem://", "TRANSPORT_OPTIONS": json.dumps(options)}


class Running:
    """A container without its walls: the rendered command and environment, the pod's paths led to a folder."""

    def __init__(self, container, programs, folder, environment):
        self.container, self.programs, self.folder = container, programs, folder
        given = {entry["name"]: self.here(entry["value"]) for entry in container.get("env", ()) if "value" in entry}
        path = f"{programs}:{os.environ['PATH']}"
        usual = {"PATH": path, "C_FORCE_ROOT": "1", "CELERY_PROBE_DIR": str(folder / "state")}
        self.environment = usual | given | environment
        command = list(map(self.here, [*container["command"], *container.get("args", ())]))
        with (folder / "log").open("ab") as log:
            command[0] = shutil.which(command[0], path=path) or command[0]
            self.process = subprocess.Popen(command, cwd=folder, env=self.environment, stdout=log, stderr=log)

    def here(self, text):
        """Return the text with the pod's paths led here."""
        paths = {"/etc/celery-probe": IN_POD, "/var/lib": self.folder}
        for inside, outside in paths.items():
            text = text.replace(inside, str(outside))
        return text

    def probe(self, kind, *arguments):
        """Return what a probe has to say, nothing when all is well; arguments take the place of the last of its own."""
        command = [self.here(part) for part in self.container[f"{kind}Probe"]["exec"]["command"]]
        command = [*command[: len(command) - len(arguments)], *arguments]
        command[0] = shutil.which(command[0], path=self.environment["PATH"])
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert bool(done.returncode) == bool(done.stderr), done
        return done.stderr.strip()

    def well(self, kind):
        return not self.probe(kind)

    def call(self, task, argument):
        """Send a task to the worker."""
        command = [self.programs / "celery", "--app=shop:app", "call", task, f"--args={json.dumps([argument])}"]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def run(celery_bin, folder):  # noqa: F811
    """Return a function that starts a rendered container, with an environment beside its own."""
    started = []

    def start(container, environment):
        started.append(Running(container, celery_bin, folder, environment))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture(name="until")
def until_fixture():
    return until
