"""How fast celery-reconcile is: on the tests' control plane, both on one machine. `make bench` prints the tables.

Apps have no replicas: the pods, which are only played, would take the time of what is measured.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from reconciler_process import COMMAND, NAMESPACE, Cluster, Reconciler, planted, pod, running

APPS = f"/apis/celeryproject.org/v1alpha1/namespaces/{NAMESPACE}/celeryapps"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
CHILDREN = {  # of each app, by where they are; first the one that is created last
    f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets": 1,
    DEPLOYMENTS: 2,
    f"/api/v1/namespaces/{NAMESPACE}/configmaps": 1,
}
QUIET_SECONDS = 25.0
"""Two passes at the default interval of 10 s."""


def main() -> None:
    options = arguments()
    print("One app, medians of", options.rounds)
    with planted() as plane:
        one_app(plane, options.rounds)
    for count in options.apps:
        print(f"\n{count} apps of 4 children: ConfigMap, 2 Deployments, PodDisruptionBudget")
        with planted() as plane, running(plane) as reconciler:
            many_apps(plane, reconciler, count)
            nothing_changes(reconciler, options.seconds)
            one_changes(plane, reconciler, f"app-{count // 2}")
            row("peak memory", f"{reconciler.peak_mib:.0f} MiB")
            if failed := reconciler.spent().not_done:
                row("PASSES THAT FAILED", f"{failed:.0f}: these figures are worth nothing")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--apps", type=int, nargs="*", default=[100, 300, 1000], help="a table for each number of them")
    parser.add_argument("--rounds", type=int, default=10, help="of what is short")
    parser.add_argument("--seconds", type=float, default=120, help="to watch nothing change")
    return parser.parse_args()


def one_app(plane: Cluster, rounds: int) -> None:
    with running(plane) as reconciler:
        applied(plane, reconciler, "cold")
        times = [applied(plane, reconciler, f"warm-{number}") for number in range(rounds)]
    kubectl_seconds, seconds = map(statistics.median, zip(*times, strict=True))
    row("kubectl apply → its children exist", f"{seconds:.2f} s")
    row("kubectl apply by itself", f"{kubectl_seconds:.2f} s")
    for number in range(rounds):
        plane.request("DELETE", f"{APPS}/warm-{number}").accepted()
    plane.wait_until(lambda: have_children(plane, 1))
    row("process start → first pass done", f"{statistics.median(first_pass(plane) for _ in range(rounds)):.2f} s")


def applied(plane: Cluster, reconciler: Reconciler, name: str) -> tuple[float, float]:
    """Return the seconds of kubectl apply, and those from its start until every child exists."""
    reconciler.settle(3)
    manifest, count = json.dumps(app(name)), number(plane, APPS)
    with ThreadPoolExecutor(1) as thread:
        start = time.perf_counter()
        kubectl = thread.submit(timed, lambda: plane.kubectl("apply", "--filename=-", stdin=manifest))
        plane.wait_until(lambda: have_children(plane, count + 1))
        return kubectl.result(), time.perf_counter() - start


def first_pass(plane: Cluster) -> float:
    with pod(plane) as environment:
        return timed(lambda: subprocess.run([*COMMAND, "--once"], env=environment, check=True))


def many_apps(plane: Cluster, reconciler: Reconciler, count: int) -> None:
    reconciler.settle(3)
    before, start = reconciler.spent(), time.perf_counter()
    seconds = timed(lambda: create(plane, [app(f"app-{number}") for number in range(count)]))
    row("created, 8 at a time", f"{seconds:.1f} s")
    plane.wait_until(lambda: have_children(plane, count), timeout_seconds=900)
    cpu_seconds = reconciler.spent().since(before).cpu_seconds
    row("→ all children exist", f"{time.perf_counter() - start:.1f} s, {cpu_seconds / count:.4f} s of CPU per app")
    reconciler.settle(QUIET_SECONDS)
    seconds, cpu_seconds = time.perf_counter() - start - QUIET_SECONDS, reconciler.spent().since(before).cpu_seconds
    row("→ all are reported ready", f"{seconds:.0f} s, {cpu_seconds / count:.4f} s of CPU per app")


def nothing_changes(reconciler: Reconciler, seconds: float) -> None:
    before, start = reconciler.spent(), time.perf_counter()
    time.sleep(seconds)
    spent, seconds = reconciler.spent().since(before), time.perf_counter() - start
    row("nothing changes, every 10 s: requests", f"{spent.requests * 60 / seconds:.0f}/min, {spent.writes:.0f} writes")
    row("nothing changes: of a core", f"{spent.cpu_seconds / seconds:.1%}")
    row("nothing changes: a pass", f"{spent.pass_seconds / spent.passes:.2f} s (mean of {spent.passes:.0f})")


def one_changes(plane: Cluster, reconciler: Reconciler, name: str) -> None:
    before, generation = reconciler.spent(), worker_generation(plane, name)
    patch, start = {"spec": {"image": "registry.example.com/shop:2"}}, time.perf_counter()
    plane.request("PATCH", f"{APPS}/{name}", patch, content_type="application/merge-patch+json").accepted()
    plane.wait_until(lambda: worker_generation(plane, name) != generation)
    row("one changes → its Deployment is updated", f"{time.perf_counter() - start:.2f} s")
    reconciler.settle(QUIET_SECONDS)
    spent = reconciler.spent().since(before)
    row("one changes: requests besides LISTs", f"{spent.others:.0f}, {spent.writes:.0f} of them writes")


def app(name: str) -> dict[str, Any]:
    """Return a CeleryApp of four children."""
    groups = [
        {"name": "worker", "replicas": 0, "disruptionBudget": {"maxUnavailable": 1}},
        {"name": "mail", "replicas": 0, "queues": ["mail"]},
    ]
    return {
        "apiVersion": "celeryproject.org/v1alpha1",
        "kind": "CeleryApp",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"image": "registry.example.com/shop:1", "app": "shop.celery:app", "workers": groups},
    }


def create(plane: Cluster, apps: list[dict[str, Any]]) -> None:
    """Create the apps over eight connections: kubectl would limit itself to 50 requests a second."""
    pool = urllib3.PoolManager(maxsize=8, ca_certs=str(plane.folder / "tls.crt"))
    url, headers = f"https://127.0.0.1:{plane.port}{APPS}", {"Authorization": f"Bearer {plane.token}"}
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda each: pool.request("POST", url, json=each, headers=headers), apps):
            assert answer.status < 300, answer.data  # noqa: PLR2004


def have_children(plane: Cluster, count: int) -> bool:
    """Say whether there are the children of so many apps, and no more."""
    foreign = {"configmaps": 1}  # kube-root-ca.crt, of every namespace
    return all(
        number(plane, path) == count * of_each + foreign.get(path.rpartition("/")[2], 0)
        for path, of_each in CHILDREN.items()
    )


def number(plane: Cluster, path: str) -> int:
    """Return how many objects there are, without reading them."""
    page = plane.request("GET", path, limit=1).accepted().body
    return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)


def worker_generation(plane: Cluster, name: str) -> int:
    return plane.request("GET", f"{DEPLOYMENTS}/{name}-worker").accepted().body["metadata"]["generation"]


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def row(name: str, value: str) -> None:
    print(f"  {name:<44}{value}", flush=True)


if __name__ == "__main__":
    main()
