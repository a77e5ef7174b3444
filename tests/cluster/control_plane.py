"""A running Kubernetes control plane, by default with three fake nodes.

etcd, the API server, the controllers, the scheduler and metrics-server are real; KWOK plays the nodes: a pod becomes
Ready at once and is gone when deleted, no image is pulled, what a pod uses is what its annotations say.
No part outlives the tests: each is killed when the plane is left, and ends by itself when its standard input closes.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import free_ports
import parts
from cluster import Cluster

NODES = ("node-1", "node-2", "node-3")
LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 60


class Part(NamedTuple):
    name: str
    process: subprocess.Popen
    log: Path

    def last_words(self) -> str:
        return "\n".join([f"--- {self.log}", *self.log.read_text().splitlines()[-20:]])


@contextmanager
def running(binary: Path, folder: Path, *, metric_resolution_seconds: int = 1) -> Iterator[Cluster]:
    """Yield a cluster whose nodes take pods. Raises RuntimeError with the log of the part that failed."""
    with without_nodes(binary, folder, parts.KWOK, metric_resolution_seconds) as plane:
        plane.start("kwok", parts.kwok(plane.ports))
        for name in NODES:
            plane.cluster.request("POST", "/api/v1/nodes", parts.node(name)).accepted()
        plane.wait_for_nodes()
        yield plane.cluster


@contextmanager
def own_namespace(cluster: Cluster) -> Iterator[Cluster]:
    """Yield the cluster as seen from a new namespace, which goes afterwards."""
    namespaces = "/api/v1/namespaces"
    created = cluster.request("POST", namespaces, {"metadata": {"generateName": "test-"}}).accepted()
    name = created.body["metadata"]["name"]
    yield cluster.in_namespace(name)
    cluster.request("DELETE", f"{namespaces}/{name}").accepted()


def install(cluster: Cluster, crd: dict[str, Any]) -> None:
    """Install a CustomResourceDefinition, and wait until its objects can be written."""
    cluster.apply(crd).accepted()
    group = f"/apis/{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}"
    # Discovery tells of a resource a moment after it is established.
    cluster.wait_until(lambda: crd["spec"]["names"]["plural"] in str(cluster.request("GET", group).body))


@contextmanager
def without_nodes(
    binary: Path, folder: Path, nodes: parts.Nodes, metric_resolution_seconds: int
) -> Iterator["ControlPlane"]:
    """Yield a control plane which nodes may join. Raises RuntimeError with the log of the part that failed."""
    ports, token = parts.Ports(*free_ports.take(len(parts.Ports._fields))), secrets.token_hex()
    subprocess.run([binary, "files", folder, *{LOOPBACK, nodes.address, parts.SERVICE_ADDRESS}], check=True)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (folder / "audit-policy.json").write_text(parts.audit_policy())
    (folder / "kubeconfig").write_text(parts.kubeconfig(nodes.address, ports.api, token))
    cluster = Cluster(binary, folder, ports.api, token, "default", address=nodes.address)
    with ExitStack() as stack:  # ends the API server before etcd, without which it would take minutes
        stack.callback(shutil.rmtree, folder / "etcd", ignore_errors=True)  # the logs stay, to be read
        plane = ControlPlane(cluster, ports, stack)
        plane.start("etcd", parts.etcd(ports))
        plane.start("kube-apiserver", parts.kube_apiserver(ports, nodes))
        plane.wait_until(lambda: is_up(cluster))
        plane.start("kube-controller-manager", parts.kube_controller_manager(nodes))
        plane.start("kube-scheduler", parts.kube_scheduler())
        plane.start("metrics-server", parts.metrics_server(ports, nodes, metric_resolution_seconds))
        for manifest in parts.metrics_api(ports):
            cluster.apply(manifest).accepted()
        yield plane


class ControlPlane:
    """The parts that were started, each ended when the stack is left."""

    def __init__(self, cluster: Cluster, ports: parts.Ports, stack: ExitStack) -> None:
        self.cluster, self.ports = cluster, ports
        self._stack = stack
        self._started: list[Part] = []

    def start(self, name: str, flags: list[str]) -> None:
        """Start a part that is in the binary."""
        self.run(name, [str(self.cluster.binary), name, *flags])

    def run(self, name: str, command: list[str]) -> None:
        """Start any command as a part."""
        self._started.append(self._stack.enter_context(started(self.cluster.folder, name, command)))

    def end(self, name: str) -> None:
        """End a part as a crash would."""
        [part] = [each for each in self._started if each.name == name]
        self._started.remove(part)
        part.process.stdin.close()
        part.process.wait()

    def wait_for_nodes(self) -> None:
        def nodes() -> list[dict[str, Any]]:
            return self.cluster.request("GET", "/api/v1/nodes").accepted().body["items"]

        self.wait_until(lambda: (found := nodes()) and all(map(_takes_pods, found)))

    def wait_until(self, holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            for part in self._started:
                if part.process.poll() is not None:
                    raise RuntimeError(f"{part.name} ended with code {part.process.returncode}\n{part.last_words()}")
            if time.monotonic() > deadline:
                logs = "\n".join(part.last_words() for part in self._started)
                raise RuntimeError(f"The control plane was not ready within {PATIENCE_SECONDS} s\n{logs}")
            time.sleep(0.02)


@contextmanager
def started(folder: Path, name: str, command: list[str], environment: dict[str, str] | None = None) -> Iterator[Part]:
    """Yield what runs in this folder, with its log there, and end it."""
    log = folder / f"{name}.log"
    with (
        log.open("a") as output,
        subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"HOME": str(folder)} | (environment or {}),
            stdin=subprocess.PIPE,  # never written to; it closes with this process, and the part ends
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C in a terminal is for the tests, which then end the parts in order
        ) as process,
    ):
        try:
            yield Part(name, process, log)
        finally:
            process.kill()


def is_up(cluster: Cluster) -> bool:
    try:
        # The API server listens long before it answers; a request that waited for it would miss that etcd has failed.
        return replace(cluster, timeout_seconds=0.5).request("GET", "/readyz").status == 200
    except OSError:
        return False


def _takes_pods(node: dict[str, Any]) -> bool:
    """Say whether the node has become Ready and the controller manager has taken its taint away."""
    conditions = node["status"].get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not node["spec"].get("taints")
