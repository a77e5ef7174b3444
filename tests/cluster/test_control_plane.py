"""The control plane itself: what the other tests here rely on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import build
import control_plane
import pytest

MANIFEST = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:1"}]},
        },
    },
}

UNTIL_KILLED = """
import signal, sys, time
from pathlib import Path
import control_plane
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
with control_plane.running(Path(sys.argv[1]), Path(sys.argv[2])):
    print("up", flush=True)
    while True:
        time.sleep(0.1)
"""


def test_it_is_the_release_that_was_asked_for(cluster, release):
    said = cluster.kubectl("version").stdout
    assert f"Server Version: {build.version(release)}\n" in said
    assert f"Client Version: {build.version(release)}\n" in said


def test_its_nodes_are_ready(cluster):
    assert cluster.kubectl("get", "nodes", "--no-headers").stdout.count(" Ready ") == 3


def test_a_deployment_gets_ready_pods(cluster):
    assert cluster.apply(MANIFEST).accepted().warnings == ()
    cluster.wait_until(lambda: cluster.is_rolled_out(MANIFEST))


def test_a_field_the_schema_does_not_know_is_refused(cluster):
    answer = cluster.apply(MANIFEST | {"spec": MANIFEST["spec"] | {"replica": 3}})
    assert answer.body["message"].endswith(" .spec.replica: field not declared in schema")


def test_what_the_server_warns_of_is_returned(cluster):
    spec = {"containers": [{"name": "web", "image": "web"}], "nodeSelector": {"beta.kubernetes.io/os": "linux"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    [warning] = cluster.apply(pod).accepted().warnings
    assert "spec.nodeSelector[beta.kubernetes.io/os]: deprecated" in warning


def test_usage_is_what_the_annotations_say(cluster):
    usage = {"kwok.x-k8s.io/usage-cpu": "180m", "kwok.x-k8s.io/usage-memory": "64Mi"}
    spec = {"containers": [{"name": "web", "image": "web"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "annotations": usage}, "spec": spec}
    cluster.apply(pod).accepted()
    cluster.wait_until(lambda: "web" in cluster.kubectl("top", "pod", check=False).stdout)


@pytest.mark.parametrize("test", ["one", "another"])
def test_each_test_has_a_namespace_of_its_own(cluster, test):
    note = {"metadata": {"name": "note"}, "data": {"test": test}}
    assert cluster.request("POST", f"/api/v1/namespaces/{cluster.namespace}/configmaps", note).status == 201


def test_a_part_that_fails_says_why(binary, tmp_path):
    (tmp_path / "etcd").write_text("where etcd wants a folder")
    with pytest.raises(RuntimeError, match=r"etcd ended with code 1\n(.*\n)*.*etcd: not a directory"):
        control_plane.running(binary, tmp_path).__enter__()
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("reason", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_part_outlives_the_tests(cluster, binary, tmp_path, reason):
    command = [sys.executable, "-c", UNTIL_KILLED, binary, tmp_path]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tests:
        assert tests.stdout.readline() == b"up\n"
        assert len(processes_in(tmp_path)) == 6
        tests.send_signal(reason)
    cluster.wait_until(lambda: not processes_in(tmp_path))


def processes_in(folder):
    """Return the processes at work in the folder, as those of a plane are."""
    if not Path("/proc").exists():
        pytest.skip("/proc says which processes there are")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += [process.name] * (process.joinpath("cwd").readlink() == folder)
        except OSError:  # it has just ended, or is not ours to look at
            continue
    return found
