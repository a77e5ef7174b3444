"""How a container starts Celery; that each way works is shown with real processes in tests/celery."""

import pytest

LAUNCHER = ["python3", "-I", "-S", "/etc/celery-probe/celery_start.py"]
VENV = "/app/.venv/bin"


@pytest.fixture
def started(worker, container):
    """Return a function from a group to the command of its container, and the first two of its arguments."""

    def build(group, **spec):
        found = container(worker(group, **spec))
        return found.get("command"), found.get("args", [])[: 2 if "command" in found else None]

    return build


ARGS = ["--app=shop.celery:app", "worker"]


@pytest.mark.parametrize(
    ("command", "python"),
    [
        pytest.param(["python", "-m", "celery"], "python", id="the Python that the command names"),
        pytest.param([f"{VENV}/python3.12", "-m", "celery"], f"{VENV}/python3.12", id="also by path"),
        pytest.param(["ddtrace-run", "python", "-m", "celery"], "python", id="also behind a wrapper"),
        pytest.param([f"{VENV}/celery"], f"{VENV}/python3", id="that of a virtual environment"),
        pytest.param(["/usr/local/bin/celery"], "python3", id="there may be none beside any other celery"),
        pytest.param(["opentelemetry-instrument", "celery"], "python3", id="else the one on the PATH"),
    ],
)
def test_the_command_is_started_and_checked_by(worker, container, command, python):
    found = container(worker({"command": command}))
    assert found["command"] == [python, *LAUNCHER[1:], *command]
    assert found["args"][:2] == ARGS
    assert found["readinessProbe"]["exec"]["command"][0] == python


def test_ping_needs_the_python_that_has_celery(worker, container):
    group = {"command": [f"{VENV}/celery"], "probe": {"type": "Ping"}}
    found = container(worker(group, broker={"url": "redis://r"}))
    assert found["command"] == [f"{VENV}/celery"]
    assert found["livenessProbe"]["exec"]["command"][0] == f"{VENV}/python3"


def test_without_heartbeat_nothing_stands_before_the_command(started):
    assert started({"probe": {"type": "None"}}) == (["celery"], ARGS)


def test_the_entrypoint_of_the_image_gets_it_all_as_arguments(worker, container):
    found = container(worker({"imageEntrypoint": "Keep"}))
    assert "command" not in found
    assert found["args"][:7] == [*LAUNCHER, "celery", *ARGS]
    found = container(worker({"imageEntrypoint": "Keep", "command": ["run"], "probe": {"type": "None"}}))
    assert found["args"][:3] == ["run", *ARGS]


def test_nothing_is_added_to_a_command_line(started):
    group = {"commandLine": ["./run", "--all"], "probe": {"type": "None"}}
    assert started(group) == (["./run", "--all"], [])
    assert started({**group, "imageEntrypoint": "Keep"}) == (None, ["./run", "--all"])


def test_what_a_component_says_is_in_place_of_what_spec_says(children, container):
    spec = {
        "command": ["python", "-m", "celery"],
        "workers": [{"name": "worker", "commandLine": ["run"], "probe": {"type": "None"}}],
        "beat": {},
        "flower": {"command": ["celery"]},
    }
    found = {name: container(children(**spec)[f"Deployment/shop-{name}"]) for name in ("worker", "beat", "flower")}
    assert {name: each["command"] for name, each in found.items()} == {
        "worker": ["run"],
        "beat": ["python", "-m", "celery"],
        "flower": ["celery"],
    }
    spec = {"commandLine": ["run"], "workers": [{"name": "worker", "command": ["celery"], "probe": {"type": "None"}}]}
    assert container(children(**spec)["Deployment/shop-worker"])["command"] == ["celery"]


def test_a_component_may_have_an_app_of_its_own(children, container):
    flower = {"image": "flower:2", "app": "shop.monitor:app"}
    spec = {"broker": {"url": "redis://r"}, "beat": {"app": "shop.beat:app"}, "flower": flower}
    found = children(workers=[{"name": "worker", "app": "shop.tasks:app"}], **spec)
    apps = {name: container(found[f"Deployment/shop-{name}"])["args"][0] for name in ("worker", "beat", "flower")}
    assert apps == {
        "worker": "--app=shop.tasks:app",
        "beat": "--app=shop.beat:app",
        "flower": "--app=shop.monitor:app",
    }


def test_a_working_directory_and_ports(worker, container, children):
    ports = [{"name": "metrics", "containerPort": 9100, "protocol": "TCP"}]
    found = container(worker({"workingDir": "/app", "ports": ports}))
    assert (found["workingDir"], found["ports"]) == ("/app", ports)
    flower = container(children(flower={"ports": [{"name": "proxy", "containerPort": 4180}]})["Deployment/shop-flower"])
    assert [port["name"] for port in flower["ports"]] == ["http", "proxy"]


def test_beat_and_flower_have_the_grace_of_kubernetes_or_their_own(children):
    found = children(beat={}, flower={"terminationGracePeriodSeconds": 5})
    pods = {name: found[f"Deployment/shop-{name}"]["spec"]["template"]["spec"] for name in ("beat", "flower")}
    assert {name: pod["terminationGracePeriodSeconds"] for name, pod in pods.items()} == {"beat": 30, "flower": 5}


@pytest.mark.parametrize("component", ["beat", "flower"])
def test_an_app_need_not_have_workers(children, component):
    assert [*children(workers=[], **{component: {}})] == {
        "beat": ["Deployment/shop-beat"],
        "flower": ["Service/shop-flower", "Deployment/shop-flower"],
    }[component]
