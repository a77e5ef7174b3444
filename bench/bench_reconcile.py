"""How fast celery-reconcile is: on the tests' control plane, both on one machine. `make bench` prints the tables.

Apps have no replicas: the pods, which are only played, would take the time of what is measured. Until all children are
there, the API server takes most of it; until all are ready, the controllers, which may ask it 20 times a second.
"""

import argparse
import json
import socket
import ssl
import statistics
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import urllib3
from reconciler_process import COMMAND, Cluster, Reconciler, lists_per_minute, planted, pod, running

from reconciler.apply import desired
from reconciler.cluster.live import App
from reconciler.model import Ref
from render import schema

T = TypeVar("T")

APPS, DEPLOYMENTS = "apis/celeryproject.org/v1alpha1/celeryapps", "apis/apps/v1/deployments"
BUDGETS, CONFIG_MAPS = "apis/policy/v1/poddisruptionbudgets", "api/v1/configmaps"
CHILDREN = {BUDGETS: 1, DEPLOYMENTS: 2, CONFIG_MAPS: 1}
"""Of each app, by where they are; first the one that is created last."""
APPLY_PATCH, MERGE_PATCH = "application/apply-patch+yaml", "application/merge-patch+json"

TENANT_APPS = 24
"""Of a tenant with whom something hangs."""
WEBHOOK_SECONDS = 10
"""For so long the API server waits for one."""
TICK_SECONDS = 15
"""From one look at the brokers to the next."""
PATIENCE_SECONDS = 4 * 3600


def main() -> None:
    options = arguments()
    print(f"One app; medians of {options.rounds}, least and most")
    with planted() as plane:
        one_app(plane, options.rounds)
    print(f"\nA new app → its children exist, while {TENANT_APPS} apps of another tenant hang")
    with planted() as plane, running(plane, log_level="ERROR") as reconciler:
        beside_tenants(plane, reconciler, options.rounds)
    for count in options.apps:
        print(f"\n{count} apps of 4 children: ConfigMap, 2 Deployments, PodDisruptionBudget")
        with planted() as plane:
            row("the children by themselves, 8 at a time", f"{by_themselves(plane, count):.1f} s")
        with planted() as plane:
            with running(plane) as reconciler:
                many_apps(plane, reconciler, count)
                nothing_changes(plane, reconciler, options.seconds)
                some_change(plane, reconciler, [f"app-{number}" for number in range(options.rounds)])
                row("a new app → its children exist", told(new_apps(plane, reconciler, "new", options.rounds)))
                row("peak memory", f"{reconciler.peak_mib:.0f} MiB")
                if failed := reconciler.spent.not_done:
                    row("LOOKS THAT FAILED", f"{failed:.0f}: these figures are worth nothing")
            started_again(plane, count + options.rounds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--apps", type=int, nargs="*", default=[100, 1000], help="a table for each number of them")
    parser.add_argument("--rounds", type=int, default=10, help="of what is short")
    parser.add_argument("--seconds", type=float, default=120, help="to watch nothing change")
    return parser.parse_args()


def one_app(plane: Cluster, rounds: int) -> None:
    with running(plane) as reconciler:
        applied(plane, reconciler, "cold")
        times = [applied(plane, reconciler, f"warm-{number}") for number in range(rounds)]
        row("kubectl apply → its children exist", told([seconds for _, seconds in times]))
        row("kubectl apply by itself", told([by_itself for by_itself, _ in times]))
        row("… children exist later than it ends", told([seconds - by_itself for by_itself, seconds in times]))
        row("an app by HTTP → its children exist", told(new_apps(plane, reconciler, "new", rounds)))
    row(f"run --once, {2 * rounds + 1} apps, nothing to do", told([looked_once(plane) for _ in range(rounds)]))


def applied(plane: Cluster, reconciler: Reconciler, name: str) -> tuple[float, float]:
    """Return the seconds of kubectl apply, and those from its start until every child exists."""
    reconciler.settle(3)
    apply = partial(plane.kubectl, "apply", "--filename=-", stdin=json.dumps(app(name)))
    return with_children(plane, name, lambda: timed(apply))


def looked_once(plane: Cluster) -> float:
    with pod(plane) as environment:
        return timed(lambda: subprocess.run([*COMMAND, "--once"], env=environment, check=True))


def beside_tenants(plane: Cluster, reconciler: Reconciler, rounds: int) -> None:
    row("nothing hangs", told(new_apps(plane, reconciler, "alone", rounds)))
    tenant = new_tenant(plane, "silent")
    with listening() as broker:
        create(tenant, [scaled(f"app-{number}", broker.port) for number in range(TENANT_APPS)])
        wait(lambda: broker.clients)
        times = new_apps(plane, None, "beside-silent", rounds, pause_seconds=2 * TICK_SECONDS / rounds)
        row("its broker takes connections and is silent", told(times))
        plane.request("DELETE", path(tenant, APPS)).accepted()
    tenant = new_tenant(plane, "hooked")
    with listening(tls(plane)) as webhook, hooked(plane, tenant, webhook):
        create(tenant, [app(f"app-{number}") for number in range(TENANT_APPS)])
        wait(lambda: len(webhook.clients) >= TENANT_APPS)
        times = new_apps(plane, None, "beside-hooked", rounds, pause_seconds=2 * WEBHOOK_SECONDS / rounds)
        row(f"a webhook is silent, for {WEBHOOK_SECONDS} s each time", told(times))


def by_themselves(plane: Cluster, count: int) -> float:
    """Return the seconds in which the API server takes the children of so many apps from one who only applies."""
    rules = schema.load()
    apps = (App.of(with_identity(plane, app(f"app-{number}"))) for number in range(count))
    children = [child for each in apps for child in desired.children(each, rules)]
    for child in children:
        del child["metadata"]["ownerReferences"]  # there is none: they would be collected

    def applied(some: list[dict[str, Any]]) -> None:
        with plane.connection() as request:
            for child in some:
                where, how = Ref.of(child).path, {"fieldManager": "bench", "fieldValidation": "Strict"}
                request("PATCH", where, child, content_type=APPLY_PATCH, **how).accepted()

    with ThreadPoolExecutor(8) as threads:
        return timed(lambda: list(threads.map(applied, (children[first::8] for first in range(8)))))


def with_identity(plane: Cluster, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return an app as if it were in the cluster."""
    own = {"namespace": plane.namespace, "uid": "any", "generation": 1}
    return manifest | {"metadata": manifest["metadata"] | own}


def many_apps(plane: Cluster, reconciler: Reconciler, count: int) -> None:
    reconciler.settle(3)
    before, start = reconciler.spent, time.perf_counter()
    row("created, 8 at a time", f"{timed(lambda: create(plane, [app(f'app-{n}') for n in range(count)])):.1f} s")
    wait(lambda: have_children(plane, count))
    seconds, spent = time.perf_counter() - start, reconciler.spent.since(before)
    row("→ all children exist", f"{seconds:.1f} s, {spent.cpu_seconds / count:.4f} s of CPU per app")
    wait(lambda: reconciler.state.ready >= count, pause_seconds=5.0)
    seconds, spent = time.perf_counter() - start, reconciler.spent.since(before)
    row("→ all are reported ready", f"{seconds:.0f} s, {spent.cpu_seconds:.1f} s of CPU altogether")
    row("→ … of each app", f"{spent.looks / count:.1f} looks, {spent.writes / count:.1f} writes")
    reconciler.settle(10)


def nothing_changes(plane: Cluster, reconciler: Reconciler, seconds: float) -> None:
    before, start, begin = reconciler.spent, time.perf_counter(), datetime.now(UTC)
    time.sleep(seconds)
    spent, seconds = reconciler.spent.since(before), time.perf_counter() - start
    resource, most = lists_per_minute(plane, begin, datetime.now(UTC))
    row("nothing changes: of a core", f"{spent.cpu_seconds / seconds:.2%}")
    row("nothing changes: LISTs a minute of a kind", f"{most:.1f} at most ({resource})")
    row(f"nothing changes for {seconds:.0f} s", f"{spent.looks:.0f} looks, {spent.others:.0f} requests besides LISTs")


def some_change(plane: Cluster, reconciler: Reconciler, names: list[str]) -> None:
    reconciler.settle(3)
    before, times = reconciler.spent, []
    for name in names:
        times.append(changed(plane, name))
        reconciler.settle(3)
    spent = reconciler.spent.since(before)
    row("one changes → its Deployment is updated", told(times))
    row("… requests besides LISTs", f"{spent.others / len(names):.1f}, {spent.writes / len(names):.1f} of them writes")


def changed(plane: Cluster, name: str) -> float:
    """Return the seconds from the change of an app to that of its Deployment."""
    deployment = f"{path(plane, DEPLOYMENTS)}/{name}-worker"
    generation = plane.request("GET", deployment).accepted().body["metadata"]["generation"]
    patch = {"spec": {"image": "registry.example.com/shop:2"}}
    change = partial(plane.request, "PATCH", f"{path(plane, APPS)}/{name}", patch, content_type=MERGE_PATCH)
    return seen(plane, deployment, change, lambda found: found["metadata"]["generation"] > generation)[1]


def new_apps(
    plane: Cluster, reconciler: Reconciler | None, prefix: str, rounds: int, pause_seconds: float = 0.0
) -> list[float]:
    """Return the seconds from the creation of an app to that of its last child, of so many, one after the other."""
    times = []
    for name in (f"{prefix}-{number}" for number in range(rounds)):
        if reconciler:
            reconciler.settle(3)
        times.append(with_children(plane, name, partial(create, plane, [app(name)]))[1])
        time.sleep(pause_seconds)
    return times


def started_again(plane: Cluster, count: int) -> None:
    start = time.perf_counter()
    with running(plane) as reconciler:
        wait(lambda: (state := reconciler.state).looked_at >= count and not state.waiting)
        seconds, spent = time.perf_counter() - start, reconciler.spent
        row("started again → all are looked at", f"{seconds:.1f} s, {spent.cpu_seconds:.1f} s of CPU")
        row("… requests besides LISTs", f"{spent.others:.0f}, {spent.writes:.0f} of them writes")
        row("… peak memory", f"{reconciler.peak_mib:.0f} MiB")


def app(name: str, **spec: Any) -> dict[str, Any]:
    """Return a CeleryApp of four children."""
    groups = [
        {"name": "worker", "queues": ["celery"], "replicas": 0, "disruptionBudget": {"maxUnavailable": 1}},
        {"name": "mail", "replicas": 0, "queues": ["mail"]},
    ]
    return {
        "apiVersion": "celeryproject.org/v1alpha1",
        "kind": "CeleryApp",
        "metadata": {"name": name},
        "spec": {"image": "registry.example.com/shop:1", "app": "shop.celery:app", "workers": groups} | spec,
    }


def scaled(name: str, port: int) -> dict[str, Any]:
    """Return a CeleryApp that is scaled by the queue on a broker."""
    scaling = {"minReplicas": 0, "maxReplicas": 9, "queue": {"averageLength": 8}}
    broker = {"url": f"redis://127.0.0.1:{port}/0"}
    return app(name, broker=broker, workers=[{"name": "worker", "queues": ["celery"], "scaling": scaling}])


def create(plane: Cluster, apps: list[dict[str, Any]]) -> None:
    """Create the apps over eight connections: kubectl would limit itself to 50 requests a second."""
    pool = urllib3.PoolManager(maxsize=8, ca_certs=str(plane.folder / "tls.crt"))
    url, headers = f"https://127.0.0.1:{plane.port}{path(plane, APPS)}", {"Authorization": f"Bearer {plane.token}"}
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda each: pool.request("POST", url, json=each, headers=headers), apps):
            assert answer.status < 300, answer.data  # noqa: PLR2004


def path(plane: Cluster, collection: str) -> str:
    """Return where all of a kind in the namespace are."""
    group, _, plural = collection.rpartition("/")
    return f"/{group}/namespaces/{plane.namespace}/{plural}"


def with_children(plane: Cluster, name: str, act: Callable[[], T]) -> tuple[T, float]:
    """Return what creating the app returns, and the seconds from its start until the app's last child exists."""
    return seen(plane, f"{path(plane, BUDGETS)}/{name}-worker", act, lambda _: True)


def seen(plane: Cluster, where: str, act: Callable[[], T], holds: Callable[[dict[str, Any]], bool]) -> tuple[T, float]:
    """Return what acting returns, and the seconds from its start until the object is told to be as it shall be."""
    kind, _, name = where.rpartition("/")
    version = plane.request("GET", kind, limit=1).accepted().body["metadata"]["resourceVersion"]
    with ThreadPoolExecutor(1) as thread:
        start = time.perf_counter()
        acts = thread.submit(act)
        events = plane.watch(kind, resourceVersion=version, fieldSelector=f"metadata.name={name}")
        if not any(holds(event["object"]) for event in events):
            raise AssertionError(f"Not within a minute: {where}")
        seconds = time.perf_counter() - start
        return acts.result(), seconds


def have_children(plane: Cluster, count: int) -> bool:
    """Say whether there are the children of so many apps, and no more."""
    foreign = {CONFIG_MAPS: 1}  # kube-root-ca.crt, of every namespace
    return all(number(plane, path(plane, of)) == count * each + foreign.get(of, 0) for of, each in CHILDREN.items())


def number(plane: Cluster, kind: str) -> int:
    """Return how many objects there are, without reading them."""
    page = plane.request("GET", kind, limit=1).accepted().body
    return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)


def new_tenant(plane: Cluster, name: str) -> Cluster:
    tenant = plane.in_namespace(name)
    plane.kubectl("create", "namespace", name)
    wait(lambda: number(plane, path(tenant, CONFIG_MAPS)))
    return tenant


class Silent(NamedTuple):
    """A server that takes connections and never answers."""

    port: int
    clients: set[socket.socket]
    """Who waits for an answer."""


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Silent]:
    """Yield such a server, of HTTPS if it has certificates."""
    with socket.create_server(("127.0.0.1", 0), backlog=300) as server:
        silent = Silent(server.getsockname()[1], set())

        def hold(client: socket.socket) -> None:
            with suppress(OSError), client, context.wrap_socket(client, server_side=True) if context else client as end:
                silent.clients.add(client)
                while end.recv(1 << 16):
                    pass
            silent.clients.discard(client)

        def serve() -> None:
            with suppress(OSError):  # closed: the end
                while True:
                    Thread(target=hold, args=[server.accept()[0]], daemon=True).start()

        Thread(target=serve, daemon=True).start()
        yield silent


def tls(plane: Cluster) -> ssl.SSLContext:
    """Return the certificate of the control plane, which is its own authority, for whatever is on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(plane.folder / "tls.crt", plane.folder / "tls.key")
    return context


@contextmanager
def hooked(plane: Cluster, tenant: Cluster, webhook: Silent) -> Iterator[None]:
    """Have the API server ask the webhook about every child in the tenant's namespace."""
    asked = {"operations": ["CREATE", "UPDATE"], "apiGroups": ["", "apps", "policy"], "apiVersions": ["*"]}
    authority = b64encode((plane.folder / "tls.crt").read_bytes()).decode()
    manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "silent"},
        "webhooks": [
            {
                "name": "silent.example.com",
                "clientConfig": {"url": f"https://127.0.0.1:{webhook.port}/", "caBundle": authority},
                "rules": [asked | {"resources": [kind.rpartition("/")[2] for kind in CHILDREN]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": WEBHOOK_SECONDS,
            }
        ],
    }
    plane.apply(manifest).accepted()
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
    ask = partial(tenant.request, "POST", path(tenant, CONFIG_MAPS), probe, dryRun="All", timeout="1s")
    wait(lambda: ask().status >= 500)  # noqa: PLR2004 (until the API server knows of it, a moment later)
    yield
    plane.request("DELETE", plane.path(manifest)).accepted()


def wait(holds: Callable[[], object], pause_seconds: float = 0.05) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {PATIENCE_SECONDS} s")
        time.sleep(pause_seconds)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def told(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} s, {min(seconds):.3f} to {max(seconds):.3f}"


def row(name: str, value: str) -> None:
    print(f"  {name:<48}{value}", flush=True)


if __name__ == "__main__":
    main()
