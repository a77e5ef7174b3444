"""What scaling adds to a pass: 1000 groups of three pods each, on the tests' control plane. `make bench` prints it.

The pods are played, and so is what they use; the lists, the metrics API and the decisions are real.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench_reconcile import create, row
from reconciler_process import NAMESPACE, Cluster, planted, pod

from reconciler import reconcile
from reconciler.apply import observe
from reconciler.cluster import client
from reconciler.cluster.transport import Transport
from reconciler.memory import Memory
from reconciler.model import Options
from reconciler.reconcile import World
from reconciler.scaling import rescale
from reconciler.scaling.demand import Demand
from reconciler.scaling.rescale import Scope
from reconciler.work import Work

GROUPS = 1000
PODS = 3
PODS_OF_A_NODE = 110
ROUNDS = 5


def main() -> None:
    print(f"{GROUPS} groups of {PODS} pods, scaled by CPU; medians of {ROUNDS}")
    with planted() as plane, pod(plane) as environment:
        give_room(plane)
        create(plane, [app(f"app-{number}") for number in range(GROUPS)])
        folder = Path(environment["CELERY_RECONCILE_SERVICE_ACCOUNT"])
        access = client.in_cluster(f"https://127.0.0.1:{plane.port}", folder)
        ours = client.Cluster(Transport(access, lambda: True, lambda _verb, _code: None))
        world, memory = World(ours, Demand(ours, 5.0)), Memory()
        while not is_settled(plane):
            memory = reconcile.run_pass(world, memory, Options(), datetime.now(UTC)).memory
        measure(world, memory)


def measure(world: World, memory: Memory) -> None:
    observed = observe.everything(world.cluster, Options(), memory.lives)
    works = [Work(app, observed.of(app), memory.of(app), memory.scaled[app.uid]) for app in observed.apps]
    scope = Scope(Options(), datetime.now(UTC))

    def decide() -> None:
        found = rescale.decided(rescale.subjects(works, memory.histories), world.cluster, world.demand, scope)
        assert len(found) == GROUPS

    row("lists of pods and their metrics", timed(lambda: observe.fleet(world.cluster, Options())))
    row("… and decisions: what scaling takes", timed(decide))
    row("lists of apps and children", timed(lambda: observe.everything(world.cluster, Options(), memory.lives)))
    row("a steady pass, all of it", timed(lambda: reconcile.run_pass(world, memory, Options(), datetime.now(UTC))))


def timed(call: Callable[[], object]) -> str:
    seconds, cpu_seconds = [], []
    for _ in range(ROUNDS):
        start, cpu_start = time.perf_counter(), time.process_time()
        call()
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    return f"{statistics.median(seconds):.2f} s, {statistics.median(cpu_seconds):.2f} s of CPU"


def app(name: str) -> dict[str, Any]:
    scaling = {"minReplicas": PODS, "maxReplicas": 9, "cpu": {"averageValue": "100m"}}
    usage = {"kwok.x-k8s.io/usage-cpu": "100m", "kwok.x-k8s.io/usage-memory": "50Mi"}
    group = {"name": "worker", "podAnnotations": usage, "scaling": scaling}
    return {
        "apiVersion": "celeryproject.org/v1alpha1",
        "kind": "CeleryApp",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"image": "registry.example.com/shop:1", "app": "shop.celery:app", "workers": [group]},
    }


def give_room(plane: Cluster) -> None:
    """Create as many nodes as the pods need."""
    [like, *_] = plane.request("GET", "/api/v1/nodes").accepted().body["items"]
    metadata = like["metadata"]

    def node(number: int) -> dict[str, Any]:
        name = f"more-{number}"
        annotations = {
            key: value.replace(metadata["name"], name)
            for key, value in metadata["annotations"].items()
            if key.startswith("metrics.k8s.io")
        }
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        status = {
            kind: {"cpu": "99", "memory": "99Gi", "pods": str(PODS_OF_A_NODE)} for kind in ("allocatable", "capacity")
        }
        named = {"name": name, "labels": labels, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "Node", "metadata": named, "status": status}

    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda n: plane.request("POST", "/api/v1/nodes", node(n)), range(GROUPS * PODS // 100)):
            answer.accepted()


def is_settled(plane: Cluster) -> bool:
    """Say whether every pod there shall be is there, ready and measured."""
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods"
    measured = len(plane.request("GET", path).accepted().body["items"])
    print(
        f"\r  {measured} of {GROUPS * PODS} pods are measured", end="" if measured < GROUPS * PODS else "\n", flush=True
    )
    return measured >= GROUPS * PODS


if __name__ == "__main__":
    main()
