"""What scaling costs: 1000 groups of three pods each, on the tests' control plane. `make bench` prints it.

The pods are played, and so is what they use; the lists, the metrics API and the decisions are real, and the process is.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from bench_reconcile import TICK_SECONDS, app, create, path, row, wait
from reconciler_process import Cluster, Reconciler, lists_per_minute, planted, running

PODS = 3
PODS_OF_A_NODE = 110
PODS_MEASURED = "apis/metrics.k8s.io/v1beta1/pods"


def main() -> None:
    options = arguments()
    print(f"{options.groups} groups of {PODS} pods, scaled by CPU")
    with planted() as plane, running(plane) as reconciler:
        give_room(plane, options.groups * PODS // 100 + 1)
        before = reconciler.spent
        create(plane, [scaled(f"app-{number}") for number in range(options.groups)])
        wait(lambda: is_settled(plane, options.groups * PODS), pause_seconds=2.0)
        wait(lambda: reconciler.state.ready >= options.groups, pause_seconds=2.0)
        row("until all pods are there and measured", f"{reconciler.spent.since(before).cpu_seconds:.1f} s of CPU")
        time.sleep(TICK_SECONDS)
        measure(plane, reconciler, options.seconds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--groups", type=int, default=1000, help="each of an app of its own")
    parser.add_argument("--seconds", type=float, default=120, help="to watch it decide")
    return parser.parse_args()


def measure(plane: Cluster, reconciler: Reconciler, seconds: float) -> None:
    before, start, begin = reconciler.spent, time.perf_counter(), datetime.now(UTC)
    time.sleep(seconds)
    spent, seconds = reconciler.spent.since(before), time.perf_counter() - start
    resource, most = lists_per_minute(plane, begin, datetime.now(UTC))
    ticks = seconds / TICK_SECONDS
    row("all groups are decided, and no pod is to change", f"{spent.cpu_seconds / ticks:.2f} s of CPU each time")
    row("… every 15 s: of a core", f"{spent.cpu_seconds / seconds:.1%}")
    row("… looks each time", f"{spent.looks / ticks:.0f}, of {spent.look_seconds / max(spent.looks, 1) * 1000:.1f} ms")
    row("… LISTs a minute of a kind", f"{most:.1f} at most ({resource})")
    row("… other requests", f"{spent.others:.0f}, {spent.writes:.0f} of them writes, in {seconds:.0f} s")
    row("peak memory", f"{reconciler.peak_mib:.0f} MiB")
    if spent.not_done:
        row("LOOKS THAT FAILED", f"{spent.not_done:.0f}: these figures are worth nothing")


def scaled(name: str) -> dict[str, Any]:
    scaling = {"minReplicas": PODS, "maxReplicas": 9, "cpu": {"averageValue": "100m"}}
    usage = {"kwok.x-k8s.io/usage-cpu": "100m", "kwok.x-k8s.io/usage-memory": "50Mi"}
    return app(name, workers=[{"name": "worker", "podAnnotations": usage, "scaling": scaling}])


def give_room(plane: Cluster, count: int) -> None:
    """Create so many nodes."""
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
        for answer in pool.map(lambda n: plane.request("POST", "/api/v1/nodes", node(n)), range(count)):
            answer.accepted()


def is_settled(plane: Cluster, pods: int) -> bool:
    """Say whether every pod there shall be is there, ready and measured."""
    measured = len(plane.request("GET", path(plane, PODS_MEASURED)).accepted().body["items"])
    print(f"\r  {measured} of {pods} pods are measured", end="\n" if measured >= pods else "", flush=True)
    return measured >= pods


if __name__ == "__main__":
    main()
