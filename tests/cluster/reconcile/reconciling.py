"""The reconciler, look by look: with the RBAC of kustomize/base, a real token, and every request counted.

A pytest plugin: `pytest_plugins = "reconciling"`.
"""

import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from cluster import Cluster, Response

from reconciler import clock, model
from reconciler.cluster import client
from reconciler.cluster.errors import Halted
from reconciler.cluster.live import stable
from reconciler.cluster.transport import Transport
from reconciler.model import CELERY_APP, CHILD_KINDS, AppResult, Moment
from reconciler.service.looks import Looks
from reconciler.service.metrics import Metrics
from reconciler.service.settings import Settings

BASE = Path(__file__).parents[3] / "kustomize/base"
NAMESPACE = "celery-render-system"
SPEC = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
EACH_OF_ITS_OWN = ("uid", "creationTimestamp", "namespace", "clusterIP", "clusterIPs", "volumeName", "finalizers")
OF_THE_VOLUME = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")


class Shop:
    """The CeleryApp `shop`, and what is in its namespace."""

    def __init__(self, cluster: Cluster, name: str = "shop") -> None:
        self.cluster = cluster
        self.name = name

    def manifest(self, **spec: Any) -> dict[str, Any]:
        identity = {"apiVersion": CELERY_APP.api_version, "kind": CELERY_APP.name, "metadata": {"name": self.name}}
        return identity | {"spec": SPEC | spec}

    def take(self, **spec: Any) -> None:
        """Let the app be this and nothing else."""
        self.cluster.apply(self.manifest(**spec), force="true").accepted()

    def delete(self) -> None:
        self.cluster.request("DELETE", self.cluster.path(self.manifest())).accepted()

    def provide(self, claim: str) -> None:
        """Create the volume that a claim waits for, as a storage class would."""
        namespace = self.cluster.namespace
        volume = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/any"},
            "claimRef": {"namespace": namespace, "name": claim},
        }
        manifest = {"metadata": {"name": f"{namespace}-{claim}"}, "spec": volume}
        self.cluster.request("POST", "/api/v1/persistentvolumes", manifest).accepted()

    @property
    def live(self) -> dict[str, Any]:
        return self.cluster.get(self.manifest())

    @property
    def conditions(self) -> dict[str, str]:
        return {each["type"]: each["status"] for each in self.live["status"]["conditions"]}

    @property
    def ready(self) -> tuple[str, str, str]:
        """Status, reason and message of the condition Ready; empty before the first look."""
        conditions = self.live["status"].get("conditions", ())
        ready = next((each for each in conditions if each["type"] == "Ready"), {})
        return ready.get("status", ""), ready.get("reason", ""), ready.get("message", "")

    def children(self) -> dict[str, dict[str, Any]]:
        """Return every child there is, less what differs from one namespace to the next."""
        found = {}
        for kind in CHILD_KINDS:
            answer = self.cluster.request("GET", kind.path(self.cluster.namespace), labelSelector=model.APP_LABEL)
            for item in answer.body.get("items", ()) if answer.status == 200 else ():
                found[f"{kind.name} {item['metadata']['name']}"] = _comparable(stable(item))
        return found

    def names(self) -> set[str]:
        return set(self.children())

    def patch(self, name: str, patch: Any, **query: Any) -> Response:
        """Change `Deployment shop-worker` as another program would."""
        content_type = f"application/{'json' if isinstance(patch, list) else 'merge'}-patch+json"
        return self.cluster.request("PATCH", self.path(name), patch, content_type=content_type, **query).accepted()

    def path(self, name: str) -> str:
        """Return where `Deployment shop-worker` lives."""
        kind, name = name.split()
        [known] = [each for each in (CELERY_APP, *CHILD_KINDS) if each.name == kind]
        return known.path(self.cluster.namespace, name)

    def get(self, name: str) -> dict[str, Any]:
        """Return `Deployment shop-worker` as it is."""
        return self.cluster.request("GET", self.path(name)).accepted().body


class Pass(NamedTuple):
    """What became of every app, each looked at once."""

    apps: tuple[AppResult, ...]


class Reconciler:
    """One celery-reconcile process: what it remembers, and what it asked for when it last looked at every app."""

    def __init__(self, cluster: Cluster, access: client.Access) -> None:
        self.cluster = cluster
        self.requests: Counter[str] = Counter()
        self.writes_left: float | None = None
        self.ahead = timedelta()
        """How much later it is for this reconciler."""
        self.client = client.Cluster(Transport(access, self._may_write, self._count))
        self.settings = Settings(
            kubeconfig=None,
            context=None,
            service_account="",
            namespace=cluster.namespace,
            selector="",
            request_timeout=10.0,
            broker_timeout=5.0,
            broker_hosts="127.0.0.1",
            allow_cluster_trigger_authentication=False,
            log_format="text",
            log_level="INFO",
            dry_run=False,
            lease_name="",
        )
        self._begin()

    def run(self, **options: Any) -> Pass:
        """Look at every app of the test's namespace, after everything was read. Raises Halted if it may not write."""
        self.requests.clear()
        self.looks.settings = replace(self.settings, **options)
        results = self.looks.look_at_all(lambda: True)
        if len(results) < len(self.looks.cache.apps.all()):
            raise Halted
        return Pass(tuple(results))

    @property
    def retry_in(self) -> timedelta:
        """How long until the first app is due that could not be served."""
        due = [at for each in self.looks.memories.values() for at in (f.retry_at for f in each.known.failures.values())]
        return max(min(due) - self._now().steady, timedelta()) if due else timedelta()

    def serve(self, **options: Any) -> AppResult:
        """Return what became of the one app there is."""
        [result] = self.run(**options).apps
        return result

    def outcomes(self, **options: Any) -> dict[str, str]:
        """Return what became of each child that was not left alone; of one that others wrote just then, in the end."""
        found = {}
        for _ in range(3):
            steps = self.serve(**options).steps
            found |= {f"{step.ref.kind} {step.ref.name}": str(step.outcome) for step in steps}
            if not any(" patch: 409 " in step.message for step in steps):
                break
            self.ahead += self.retry_in
        return found

    def until_ready(self) -> None:
        """Look until every app there is says so."""
        self.cluster.wait_until(lambda: {app.conditions.get("Ready") for app in self.run().apps} == {"True"})

    def restart(self) -> None:
        """Forget everything, as a new process."""
        self.looks.end()
        self._begin()

    def survives(self, writes: int) -> bool:
        """Kill it after so many writes, and start it anew; say whether it came to its end before."""
        self.writes_left = writes
        try:
            self.run()
        except Halted:
            return False
        else:
            return True
        finally:
            self.restart()

    @property
    def written(self) -> Counter[str]:
        """The verbs of the last look that change something."""
        return Counter(
            {verb: number for verb, number in self.requests.items() if verb not in ("list", "get", "dry-run")}
        )

    def _begin(self) -> None:
        self.looks = Looks(self.client, self.settings, Metrics(), lambda: None)
        self.looks.now = self._now
        self.writes_left = None

    def _now(self) -> Moment:
        wall, steady = clock.now()
        return Moment(wall + self.ahead, steady + self.ahead)

    def _may_write(self) -> bool:
        if self.writes_left is not None:
            self.writes_left -= 1
        return self.writes_left is None or self.writes_left >= 0

    def _count(self, verb: str, _code: str) -> None:
        if verb != "version":  # is asked each time
            self.requests[verb] += 1


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = ((key, _comparable(each)) for key, each in value.items() if key not in EACH_OF_ITS_OWN + OF_THE_VOLUME)
        return {key: each for key, each in pairs if (key, each) != ("annotations", {})}
    return [_comparable(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def installed(plane, celeryapp_crd):  # noqa: ARG001 (installs it)
    """Return the cluster with kustomize/base in it, without its pods, seen from the reconciler's namespace."""
    base = yaml.load_all(plane.kubectl("kustomize", BASE).stdout, yaml.CSafeLoader)
    plane = plane.in_namespace(NAMESPACE)
    for manifest in base:
        if manifest["kind"] != "Deployment":
            plane.apply(manifest, force="true").accepted()
    return plane


@pytest.fixture
def access(installed, tmp_path):
    return granted(installed, tmp_path)


@pytest.fixture
def proxied(installed, proxy, tmp_path):
    """Return the access through an API server that fails on demand."""
    granted(installed, tmp_path)
    return client.in_cluster(f"https://127.0.0.1:{proxy.server_port}", tmp_path)


def granted(installed: Cluster, folder: Path) -> client.Access:
    """Return the access of the reconciler's ServiceAccount, as in its pod."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/celery-reconcile/token"
    (folder / "token").write_text(installed.request("POST", path, {}).accepted().body["status"]["token"])
    (folder / "ca.crt").write_bytes((installed.folder / "tls.crt").read_bytes())
    return client.in_cluster(f"https://127.0.0.1:{installed.port}", folder)


@pytest.fixture
def reconciler(cluster, access):
    found = Reconciler(cluster, access)
    yield found
    found.looks.end()


@pytest.fixture(scope="module")
def common_reconciler(plane, installed, tmp_path_factory) -> Iterator[Reconciler]:
    """Yield a reconciler with a namespace of its own, for all tests of a file together."""
    created = plane.request("POST", "/api/v1/namespaces", {"metadata": {"generateName": "test-"}}).accepted()
    name = created.body["metadata"]["name"]
    yield Reconciler(plane.in_namespace(name), granted(installed, tmp_path_factory.mktemp("service-account")))
    plane.request("DELETE", f"/api/v1/namespaces/{name}").accepted()


@pytest.fixture
def shop(cluster):
    return Shop(cluster)


@pytest.fixture
def scenes(plane, access) -> Iterator[Iterator[tuple[Shop, Reconciler]]]:
    """Yield an endless supply of shops in namespaces of their own, each with a reconciler."""
    namespaces: list[str] = []

    def scenes():
        for _ in itertools.count():
            created = plane.request("POST", "/api/v1/namespaces", {"metadata": {"generateName": "test-"}}).accepted()
            namespaces.append(created.body["metadata"]["name"])
            cluster = plane.in_namespace(namespaces[-1])
            yield Shop(cluster), Reconciler(cluster, access)

    yield scenes()
    for name in namespaces:
        plane.request("DELETE", f"/api/v1/namespaces/{name}").accepted()


@pytest.fixture
def laxer(plane, celeryapp_crd):
    """Return a context in which the server takes any spec, as under an older CRD."""

    @contextmanager
    def laxer():
        crd = copy.deepcopy(celeryapp_crd)
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema.pop("x-kubernetes-validations", None)
        install(plane, crd)
        try:
            yield
        finally:
            install(plane, celeryapp_crd)

    return laxer


def install(plane, crd):
    """Let the server judge by this CRD; it does so a moment later."""
    plane.apply(crd, force="true").accepted()
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    takes_anything = "properties" not in schema["properties"]["spec"]
    app = {
        "apiVersion": "celeryproject.org/v1alpha1",
        "kind": "CeleryApp",
        "metadata": {"name": "any"},
        "spec": {"image": 1},
    }
    plane.wait_until(lambda: (plane.apply(app, dryRun="All").status < 300) is takes_anything)
