"""The node itself: what the other tests here rely on."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import images
import pytest
from celery import Celery
from celery_versions import VERSIONS
from keeper import CGROUPS, Place

HERE = Path(__file__).parent
ASK_THE_API_SERVER = """
import pathlib, ssl, urllib.request
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
trusted = ssl.create_default_context(cafile=account / "ca.crt")
token = (account / "token").read_text()
request = urllib.request.Request("https://10.0.0.1/apis", headers={"Authorization": f"Bearer {token}"})
print(urllib.request.urlopen(request, context=trusted).status)
"""
UNTIL_KILLED = """
import json, signal, sys
from pathlib import Path
import build, images, node
with node.running(build.binary(), Path(sys.argv[1])) as up:
    container = {"name": "pause", "image": up.load(images.pause("registry.example.com/pause:2"))}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pause"}, "spec": {"containers": [container]}}
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    up.cluster.wait_until(lambda: up.cluster.request("GET", account).status == 200)
    up.cluster.apply(pod).accepted()
    up.cluster.wait_until(lambda: up.cluster.condition(pod, "Ready"))
    print(json.dumps(up.place), flush=True)
    signal.pause()
"""


@pytest.fixture
def pod(cluster, node):
    """Return a function that starts a pod which runs this Python program in the newest Celery's image."""

    def pod(program, name="pod"):
        image = node.load(images.celery(VERSIONS[-1]))
        container = {"name": "python", "image": image, "command": ["python3", "-c", program]}
        spec = {"containers": [container], "restartPolicy": "Never"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        cluster.apply(pod).accepted()
        return pod

    return pod


def phase(cluster, pod):
    return cluster.get(pod)["status"]["phase"]


def test_it_is_a_real_kubelet(cluster):
    [node] = cluster.request("GET", "/api/v1/nodes").accepted().body["items"]
    info = node["status"]["nodeInfo"]
    assert info["kubeletVersion"] == "v1.37.2"
    assert info["containerRuntimeVersion"].startswith("containerd://")


def test_a_pod_runs_and_ends_and_its_log_is_kept(cluster, pod):
    started = pod("print('hello')")
    cluster.wait_until(lambda: phase(cluster, started) == "Succeeded")
    assert cluster.kubectl("logs", "pod").stdout == "hello\n"


def test_a_command_runs_in_a_pod_that_has_no_shell(cluster, pod):
    started = pod("import time; time.sleep(600)")
    cluster.wait_until(lambda: cluster.condition(started, "Ready"))
    command = ["python3", "-c", "import os; print(os.getuid(), os.getcwd())"]
    assert cluster.kubectl("exec", "pod", "--", *command).stdout == "1000 /app\n"
    assert "executable file not found" in cluster.kubectl("exec", "pod", "--", "sh", check=False).stderr


def test_a_pod_reaches_the_api_server_with_its_own_token(cluster, pod):
    started = pod(ASK_THE_API_SERVER)
    cluster.wait_until(lambda: phase(cluster, started) in {"Succeeded", "Failed"})
    assert cluster.kubectl("logs", "pod").stdout == "200\n"


def test_usage_is_what_a_pod_really_uses(cluster, pod):
    pod("while True: pass", "busy")
    pod("import time; time.sleep(600)", "idle")

    def usage():
        rows = cluster.kubectl("top", "pod", "--no-headers", check=False).stdout.splitlines()
        return {name: int(cpu.removesuffix("m")) for name, cpu, _ in map(str.split, rows)}

    cluster.wait_until(lambda: (seen := usage()).get("busy", 0) > 200 and seen.get("idle", 1000) < 50)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_celery_works_on_both_brokers(request, cluster, shop, records, broker):
    url = request.getfixturevalue("redis").url if broker == "redis" else request.getfixturevalue("on_rabbitmq")
    [worker] = [child for child in shop(url) if child["kind"] == "Deployment"]
    cluster.wait_until(lambda: cluster.is_rolled_out(worker))
    with Celery(broker=url) as app:
        sent = app.send_task("nap", [0])
    cluster.wait_until(lambda: [each["event"] for each in records.records()] == ["started", "ended"])
    assert {each["id"] for each in records.records()} == {sent.id}


def test_nothing_is_left_of_a_run_that_is_killed(cluster, node, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")  # tmp_path has this test's name, too long for the sockets in there
    command = [sys.executable, "-c", UNTIL_KILLED, folder]
    modules = (HERE, HERE.with_name("brokers"), HERE.with_name("cluster"))
    environment = os.environ | {"PYTHONPATH": ":".join(map(str, modules))}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as tests:
        place = Place(*json.loads(tests.stdout.readline()))
        namespace = Path(f"/proc/{place.pid}/ns/pid").readlink()
        seen = traces(node, place, namespace)
        assert all(seen.values()), seen
        os.killpg(tests.pid, signal.SIGKILL)
    cluster.wait_until(lambda: not any(traces(node, place, namespace).values()))
    assert str(folder) not in Path("/proc/mounts").read_text()
    assert place.link not in on_the_machine(node, "nft", "list", "ruleset")


def traces(node, place, namespace):
    """Return what is to be seen of the node at this place on the machine."""
    return {
        "processes": list(filter(partial(belongs, place, namespace), Path("/proc").glob("[0-9]*"))),
        "cgroups": [each for each in (CGROUPS / place.cgroup, *CGROUPS.glob(f"*/{place.cgroup}")) if each.exists()],
        "link": place.link in on_the_machine(node, "ip", "link"),
        "routes": place.link in on_the_machine(node, "ip", "route"),
        "files": Path(place.folder).exists(),
    }


def belongs(place, namespace, process):
    """Say whether the process is in the node's namespaces, or is a part of the control plane or keeps the node."""
    try:
        inside = process.joinpath("ns/pid").readlink() == namespace
        beside = process.joinpath("cwd").readlink().is_relative_to(Path(place.folder).parent)
        return inside or beside or place.folder in process.joinpath("cmdline").read_text()
    except OSError:  # it has just ended
        return False


def on_the_machine(node, *command):
    return subprocess.run(node.place.with_programs(*command), check=True, capture_output=True, text=True).stdout
