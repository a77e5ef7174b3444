"""celery-reconcile as it runs in a pod: the real process, under its RBAC with a real token, on a real API server.

Between the two is a proxy that fails on demand. A pytest plugin: `pytest_plugins = ("reconciling", "processes")`.
"""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMESPACE = "celery-render-system"
LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "celery-reconcile"}}
MERGE = "application/merge-patch+json"
MODULE = ("-m", "reconciler")


@pytest.fixture
def service_account(cluster, installed, tmp_path):
    """Return the folder that the kubelet mounts; the Lease goes into the test's own namespace."""
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/celery-reconcile/token"
    token = installed.request("POST", account, {}).accepted().body["status"]["token"]
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_bytes((cluster.folder / "tls.crt").read_bytes())
    (tmp_path / "namespace").write_text(NAMESPACE)
    return tmp_path


@pytest.fixture
def environment(proxy, service_account):
    """Return what a pod's environment says."""
    ours = {name: text for name, text in os.environ.items() if name != "KUBECONFIG"}
    return ours | {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(proxy.server_port),
        "CELERY_RECONCILE_SERVICE_ACCOUNT": str(service_account),
        "CELERY_RECONCILE_LOG_LEVEL": "DEBUG",
    }


@pytest.fixture
def once(cluster, environment):
    """Return a function: celery-reconcile with these arguments, ended."""

    def once(*args):
        command = [sys.executable, *MODULE, *args, "--namespace", cluster.namespace]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)

    return once


class Running:
    """A celery-reconcile that goes on, and what it has logged so far."""

    def __init__(self, process, log):
        self.process = process
        self._log = log

    @property
    def log(self):
        return self._log.read_text()

    def end(self, number):
        """Return its exit code after this signal."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def running(cluster, environment, tmp_path):
    """Return a function: a context in which celery-reconcile runs with these arguments, of this folder's code."""
    number = iter(range(100))

    @contextmanager
    def running(*args, program=MODULE, folder=ROOT, namespaces=("--namespace", cluster.namespace)):
        log = tmp_path / f"log-{next(number)}"
        command = [sys.executable, *program, "run", *namespaces, *args]
        environment_ = environment | {"PYTHONPATH": str(folder)}
        with log.open("w") as output, subprocess.Popen(command, cwd=folder, env=environment_, stderr=output) as process:
            try:
                yield Running(process, log)
            finally:
                process.kill()
                sys.stderr.write(log.read_text())  # shown when the test fails

    return running


class Election:
    """The Lease of the test's own namespace, and the arguments of a reconciler that needs it."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.arguments = ("--leader-elect", f"--lease-namespace={cluster.namespace}", "--lease-duration=3")

    def holder(self):
        answer = self._cluster.request("GET", self._cluster.path(LEASE))
        return answer.body["spec"].get("holderIdentity", "") if answer.status == 200 else ""

    def wait_for(self, identity):
        self._cluster.wait_until(lambda: self.holder() == identity)

    def give_to(self, identity):
        spec = {"spec": {"holderIdentity": identity, "leaseDurationSeconds": 3600}}
        self._cluster.request("PATCH", self._cluster.path(LEASE), spec, content_type=MERGE).accepted()


@pytest.fixture
def election(cluster, installed):
    """Return an election that the reconciler may take part in."""
    for kind in ("Role", "RoleBinding"):
        metadata = {"name": "celery-reconcile-lease"}
        role = installed.get({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata})
        cluster.apply({key: role[key] for key in role if key != "metadata"} | {"metadata": metadata}).accepted()
    return Election(cluster)


@pytest.fixture
def port():
    """Return a port to listen on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def page(port):
    """Return a function: code and text of a page of the process that listens on the port."""

    def page(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, ""
        except OSError:
            return None, ""

    return page
