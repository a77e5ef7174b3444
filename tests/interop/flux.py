"""Flux's kustomize-controller; what git holds is an archive on a web server, as its source-controller makes them."""

import hashlib
import tarfile
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import control_plane
import free_ports
import programs
import yaml

MODULE = "github.com/fluxcd/kustomize-controller"
NAME = f"Flux, kustomize-controller {programs.version(MODULE, 'flux')}"
ACCOUNT = "kustomize-controller"
SYSTEM = "flux-system"
SOURCES = "github.com/fluxcd/source-controller@v1.9.0"
SOURCE_KINDS = ("gitrepositories", "ocirepositories", "buckets", "externalartifacts")
MERGE = "application/merge-patch+json"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def running(plane, folder):
    """Yield Flux at work; the archives of its sources are in the folder."""
    kubeconfig = programs.log_in(plane, SYSTEM, ACCOUNT)
    program = programs.built("flux") / "kustomize-controller"
    crds = [programs.required(MODULE, "flux") / "config/crd/bases"]
    sources = programs.required(SOURCES, "flux") / "config/crd/bases"
    crds += [sources / f"source.toolkit.fluxcd.io_{kind}.yaml" for kind in SOURCE_KINDS]
    for path in (each for place in crds for each in (sorted(place.glob("*.yaml")) if place.is_dir() else [place])):
        control_plane.install(plane, yaml.safe_load(path.read_text()))
    metrics, health = free_ports.take(2)
    flags = [
        "--watch-all-namespaces",
        "--enable-leader-election=false",
        "--events-addr=",
        f"--metrics-addr=127.0.0.1:{metrics}",
        f"--health-addr=127.0.0.1:{health}",
    ]
    environment = {"KUBECONFIG": str(kubeconfig), "RUNTIME_NAMESPACE": SYSTEM, "TMPDIR": str(folder)}
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server,
        programs.running(plane, ACCOUNT, program, *flags, **environment) as part,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Flux(plane.in_namespace(SYSTEM), folder, f"http://127.0.0.1:{server.server_port}", part)
        finally:
            server.shutdown()


class Flux:
    account, manager = f"{SYSTEM}:{ACCOUNT}", ACCOUNT

    def __init__(self, system, folder, url, part):
        self.system, self.folder, self.url, self.part = system, folder, url, part

    @contextmanager
    def following(self, cluster, folder):
        """Yield a repository in this folder, whose Kustomizations go when it does."""
        with ExitStack() as stack:
            yield Repository(self, cluster, folder, stack)


class Repository:
    """What git holds, and the Kustomizations that apply it to the test's namespace."""

    def __init__(self, flux, cluster, folder, stack):
        self.flux, self.cluster, self.folder, self.stack = flux, cluster, folder, stack
        self.name = cluster.namespace
        self.source = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository"}
        self.source |= {"metadata": {"name": self.name, "namespace": SYSTEM}}
        self.revision, self.names = None, []

    def commit(self):
        """Hand over what is in the folder."""
        path = self.flux.folder / f"{self.name}-{time.monotonic_ns()}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(self.folder, ".")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.revision, now = f"main@sha1:{digest[:40]}", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        artifact = {"path": path.name, "url": f"{self.flux.url}/{path.name}", "revision": self.revision}
        artifact |= {"digest": f"sha256:{digest}", "size": path.stat().st_size, "lastUpdateTime": now}
        ready = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": now}
        system, spec = self.flux.system, {"url": "https://git.example.com/apps.git", "interval": "1h"}
        generation = system.apply(self.source | {"spec": spec}).accepted().body["metadata"]["generation"]
        status = {"observedGeneration": generation, "artifact": artifact, "conditions": [ready]}
        place = f"{system.path(self.source)}/status"
        system.request("PATCH", place, {"status": status}, content_type=MERGE).accepted()

    def apply(self, path, name="shop", *, namespaced=True, prune=True):
        """Let the folder be applied as docs/gitops.md says; only that Flux looks more often, and waits less long."""
        kustomization = self._kustomization(name)
        system = self.flux.system
        source = {"kind": "GitRepository", "name": self.name}
        spec = {"sourceRef": source, "path": path, "prune": prune, "suspend": False, "interval": "3s"}
        spec |= {"timeout": "5s", "wait": True} | ({"targetNamespace": self.name} if namespaced else {})
        system.apply(kustomization | {"spec": spec}, force="true").accepted()  # suspend is that of `pause`
        if name not in self.names:
            self.names.append(name)
            self.stack.callback(self.remove, name)

    def is_in_order(self, name="shop"):
        """Say whether the last commit is applied, and healthy."""
        return self._tried(name) and self.condition(name)["status"] == "True"

    def is_refused(self, name="shop"):
        """Say whether the last commit could not be applied."""
        return self._tried(name) and self.condition(name)["reason"] in {"BuildFailed", "ReconciliationFailed"}

    def is_waiting(self, name="shop"):
        """Say whether the last commit is applied, and was not healthy in time."""
        condition = self.condition(name)
        return self._tried(name) and condition["reason"] == "HealthCheckFailed" and "InProgress" in condition["message"]

    def pause(self, name="shop"):
        """Apply nothing until `apply` is called."""
        system, kustomization = self.flux.system, self._kustomization(name)
        patch = {"spec": {"suspend": True}}
        system.request("PATCH", system.path(kustomization), patch, content_type=MERGE).accepted()

    def look_again(self, name="shop"):
        """Return when Flux has looked at everything once more."""
        asked, kustomization = str(time.monotonic_ns()), self._kustomization(name)
        patch = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": asked}}}
        system = self.flux.system
        system.request("PATCH", system.path(kustomization), patch, content_type=MERGE).accepted()
        self.cluster.wait_until(lambda: system.get(kustomization)["status"].get("lastHandledReconcileAt") == asked)

    def condition(self, name="shop"):
        """Return the condition Ready."""
        status = self.flux.system.get(self._kustomization(name)).get("status", {})
        ready = [each for each in status.get("conditions", []) if each["type"] == "Ready"]
        return ready[0] if ready else {"status": "Unknown", "reason": "", "message": ""}

    def remove(self, name="shop"):
        """Remove the Kustomization, and what it has applied."""
        system, kustomization = self.flux.system, self._kustomization(name)
        place = system.path(kustomization)
        system.request("DELETE", place)
        self.cluster.wait_until(lambda: system.request("GET", place).status == 404)

    def _tried(self, name):
        live = self.flux.system.get(self._kustomization(name))
        tried = live.get("status", {}).get("lastAttemptedRevision"), self.condition(name).get("observedGeneration")
        return tried == (self.revision, live["metadata"]["generation"])

    def _kustomization(self, name):
        metadata = {"name": f"{self.name}-{name}", "namespace": SYSTEM}
        return {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata}
