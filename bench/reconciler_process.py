"""celery-reconcile as it runs in a pod, under the RBAC of kustomize/base, and what it costs. Linux only."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

sys.path.append(str(Path(__file__).parents[1] / "tests/cluster"))

import build
import control_plane
from cluster import Cluster

CRDS, BASE = (Path(__file__).parents[1] / folder for folder in ("crds", "kustomize/base"))
COMMAND = [str(Path(sys.executable).with_name("celery-reconcile")), "run"]
SYSTEM = "celery-render-system"
NAMESPACE = "bench"

METRIC_RESOLUTION_SECONDS = 15
"""As in a cluster; the tests measure every second."""
READS = {"list", "watch", "get", "dry-run"}


class Spent(NamedTuple):
    """What the process says of itself under /metrics, since its start."""

    cpu_seconds: float
    looks: float
    not_done: float
    """Of the looks."""
    look_seconds: float
    requests: float
    others: float
    """Requests besides LISTs and watches."""
    writes: float

    def since(self, before: "Spent") -> "Spent":
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))


class State(NamedTuple):
    """What the process says it is at."""

    looked_at: float
    """Apps that were looked at at least once."""
    ready: float
    """Apps that are reported ready."""
    waiting: float
    """Apps that are to be looked at now."""


class Reconciler:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._metrics = f"http://127.0.0.1:{port}/metrics"

    @property
    def peak_mib(self) -> float:
        """Its highest memory since its start, as Linux keeps it."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    @property
    def spent(self) -> Spent:
        """What it has cost. Raises RuntimeError if it has ended."""
        total = self._totals()
        looks, requests = "celery_reconcile_looks_total", "celery_reconcile_api_requests_total"
        return Spent(
            cpu_seconds=total("process_cpu_seconds_total"),
            looks=total(looks),
            not_done=total(looks, lambda labels: labels["result"] != "done"),
            look_seconds=total("celery_reconcile_look_duration_seconds_sum"),
            requests=total(requests),
            others=total(requests, lambda labels: labels["verb"] not in {"list", "watch"}),
            writes=total(requests, lambda labels: labels["verb"] not in READS),
        )

    @property
    def state(self) -> State:
        """Where it stands. Raises RuntimeError if it has ended."""
        total, apps = self._totals(), "celery_reconcile_apps"
        return State(
            looked_at=total(apps, lambda labels: labels["condition"] == "Ready"),
            ready=total(apps, lambda labels: (labels["condition"], labels["status"]) == ("Ready", "True")),
            waiting=total("celery_reconcile_queue_depth"),
        )

    def settle(self, seconds: float) -> None:
        """Return when it has asked for nothing but LISTs for so long."""
        others, since = -1.0, time.monotonic()
        while time.monotonic() - since < seconds:
            if others != (others := self.spent.others):
                since = time.monotonic()
            time.sleep(0.5)

    def _totals(self) -> Callable[..., float]:
        """Return what sums up the samples of a name, those whose labels count."""
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"celery-reconcile ended with code {code}")
        with urllib.request.urlopen(self._metrics) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]

        def total(name: str, counts: Callable[[dict[str, str]], bool] = lambda _: True) -> float:
            return sum(sample.value for sample in samples if sample.name == name and counts(sample.labels))

        return total


@contextmanager
def planted() -> Iterator[Cluster]:
    """Yield a control plane with celery-reconcile installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        resolution = {"metric_resolution_seconds": METRIC_RESOLUTION_SECONDS}
        plane = stack.enter_context(control_plane.running(build.binary(), folder, **resolution))
        install(plane)
        plane.kubectl("create", "namespace", NAMESPACE)
        yield plane.in_namespace(NAMESPACE)


def install(plane: Cluster) -> None:
    """Install the CRD and kustomize/base, but without its pods: they would only be played."""
    plane.kubectl("apply", "--server-side", "-k", CRDS)
    plane.in_namespace(SYSTEM).kubectl("apply", "--server-side", "-k", BASE)
    plane.in_namespace(SYSTEM).kubectl("delete", "deployment", "celery-reconcile")
    plane.kubectl("wait", "--for=condition=Established", "crd/celeryapps.celeryproject.org")
    plane.wait_until(lambda: plane.kubectl("get", "celeryapps", check=False).returncode == 0)


@contextmanager
def pod(plane: Cluster, log_level: str = "WARNING") -> Iterator[dict[str, str]]:
    """Yield what a pod's environment says, with its service account where it says.

    What goes wrong is seen between the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        token = plane.in_namespace(SYSTEM).kubectl("create", "token", "celery-reconcile", "--duration=12h").stdout
        Path(folder, "token").write_text(token, encoding="utf-8")
        Path(folder, "ca.crt").write_bytes((plane.folder / "tls.crt").read_bytes())
        yield {name: text for name, text in os.environ.items() if name != "KUBECONFIG"} | {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(plane.port),
            "CELERY_RECONCILE_SERVICE_ACCOUNT": folder,
            "CELERY_RECONCILE_BROKER_HOSTS": "127.0.0.1",
            "CELERY_RECONCILE_LOG_LEVEL": log_level,
        }


@contextmanager
def running(plane: Cluster, log_level: str = "WARNING") -> Iterator[Reconciler]:
    """Yield a celery-reconcile that has begun to work."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*COMMAND, f"--metrics-port={port}"]
    with pod(plane, log_level) as environment, subprocess.Popen(command, env=environment) as process:
        try:
            plane.wait_until(lambda: _is_ready(port))
            yield Reconciler(process, port)
        finally:
            process.kill()


def lists_per_minute(plane: Cluster, begin: datetime, end: datetime) -> tuple[str, float]:
    """Return what celery-reconcile has LISTed most often, and how often, as the API server has written it down."""
    found: Counter[str] = Counter()
    for log in plane.folder.glob("audit*.log"):  # it is renamed when it is full
        for line in log.read_text(encoding="utf-8").splitlines():
            event = json.loads(line) if '"verb":"list"' in line else {"user": {"username": ""}}
            is_first = event["user"]["username"].endswith(f"{SYSTEM}:celery-reconcile")
            if not is_first or "continue=" in event["requestURI"]:
                continue  # another page of the same
            if begin <= datetime.fromisoformat(event["requestReceivedTimestamp"]) < end:
                subject = event["objectRef"]
                found[f"{subject['resource']}.{subject.get('apiGroup', '')}".strip(".")] += 1
    [(resource, most)] = found.most_common(1) or [("nothing", 0)]
    return resource, most * 60 / (end - begin).total_seconds()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            return True
    except OSError:
        return False
