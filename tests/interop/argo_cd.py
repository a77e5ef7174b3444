"""Argo CD's application controller, repo-server and plugin server, with git repositories on this disk."""

import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import control_plane
import free_ports
import programs
import servers
import yaml

MODULE = "github.com/argoproj/argo-cd/v3"
NAME = f"Argo CD {programs.version(MODULE, 'argo-cd')}"
ACCOUNT = "argocd-application-controller"
SYSTEM = "argocd"
ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "kustomize/argocd/plugin/plugin.yaml"
KUSTOMIZE = """\
#!/bin/sh
test "$1" = version && echo v5.8.1 || exec "{binary}" kustomize "$@"
"""
FUNCTIONS = "--enable-alpha-plugins --enable-exec"
GIT = ["git", "-c", "user.name=tests", "-c", "user.email=tests@example.com"]
MERGE = "application/merge-patch+json"
PROJECT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {"name": "default"},
    "spec": {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    },
}


def settings():
    """Return what Argo CD reads of its namespace, with the health check that the project gives it."""
    check = yaml.safe_load((ROOT / "kustomize/argocd/argocd-cm.yaml").read_text())["data"]
    labels = {"app.kubernetes.io/part-of": "argocd"}
    for name, data in (
        ("argocd-cm", check | {"kustomize.buildOptions": FUNCTIONS}),
        ("argocd-cmd-params-cm", {}),
        ("argocd-rbac-cm", {}),
    ):
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret", "labels": labels}}
    yield secret | {"stringData": {"server.secretkey": "any"}}
    yield PROJECT


@contextmanager
def running(plane, folder):
    """Yield Argo CD at work."""
    kubeconfig = programs.log_in(plane, SYSTEM, ACCOUNT)
    program = programs.built("argo-cd") / "argo-cd"
    source = programs.required(MODULE, "argo-cd")
    for name in ("application-crd.yaml", "appproject-crd.yaml"):
        control_plane.install(plane, yaml.load((source / "manifests/crds" / name).read_text(), yaml.CSafeLoader))
    system = plane.in_namespace(SYSTEM)
    for manifest in settings():
        system.apply(manifest).accepted()
    path = commands(folder / "bin", source / "hack", plane.binary)
    [port, *metrics] = free_ports.take(3)
    with ExitStack() as stack:
        # The plugin's socket is in it, and a socket's path is short.
        sockets = stack.enter_context(tempfile.TemporaryDirectory())
        redis = servers.Redis(servers.redis_server(), folder)
        redis.start()
        stack.callback(redis.stop)
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "PATH": path,
            "TMPDIR": sockets,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_SSH_DATA_PATH": str(folder),
            "ARGOCD_TLS_DATA_PATH": str(folder),
            "ARGOCD_ASK_PASS_SOCK": f"{sockets}/ask",
            "ARGOCD_PLUGINSOCKFILEPATH": sockets,
        }

        def start(name, *flags):
            named = environment | {"ARGOCD_BINARY_NAME": f"argocd-{name}"}
            return stack.enter_context(programs.running(plane, f"argocd-{name}", program, name, *flags, **named))

        (folder / "plugin").mkdir()
        shutil.copy(PLUGIN, folder / "plugin/plugin.yaml")
        start("cmp-server", f"--config-dir-path={folder}/plugin")
        start(
            "repo-server",
            f"--redis=127.0.0.1:{redis.port}",
            "--disable-tls",
            "--client-ca-path=",
            "--address=127.0.0.1",
            f"--port={port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={metrics[0]}",
        )
        start(
            "controller",
            f"--kubeconfig={kubeconfig}",
            f"--namespace={SYSTEM}",
            f"--redis=127.0.0.1:{redis.port}",
            f"--repo-server=127.0.0.1:{port}",
            "--repo-server-plaintext",
            f"--metrics-port={metrics[1]}",
            "--persist-resource-health",
        )
        yield ArgoCD(system)


def commands(folder, wrappers, binary):
    """Return a PATH with what Argo CD's image has beside it: kustomize, two wrappers, and celery-render."""
    folder.mkdir()
    for wrapper in wrappers.glob("g*-wrapper.sh"):
        shutil.copyfile(wrapper, folder / wrapper.name)
    (folder / "kustomize").write_text(KUSTOMIZE.format(binary=binary))
    for path in folder.iterdir():
        path.chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:{Path(shutil.which('git')).parent}:/usr/bin:/bin"


class ArgoCD:
    account, manager = f"{SYSTEM}:{ACCOUNT}", "argocd-controller"

    def __init__(self, system):
        self.system = system

    @contextmanager
    def following(self, cluster, folder):
        """Yield a repository in this folder, whose Applications go when it does."""
        with ExitStack() as stack:
            yield Repository(self.system, cluster, folder, stack)


class Repository:
    """What git holds, and the Applications that apply it to the test's namespace."""

    def __init__(self, system, cluster, folder, stack):
        self.system, self.cluster, self.folder, self.stack = system, cluster, folder, stack
        self.revision, self.names = None, []
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *args):
        command = [*GIT, "-C", self.folder, *args]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def commit(self):
        """Commit what is in the folder."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=any")
        self.revision = self.git("rev-parse", "HEAD")
        for name in self.names:
            self.refresh(name)

    def apply(self, path, name="shop", *, namespaced=True, prune=True):
        """Let the folder be applied as docs/gitops.md says."""
        application = self._application(name)
        source = {"repoURL": f"file://{self.folder}", "targetRevision": "main", "path": path}
        destination = {
            "server": "https://kubernetes.default.svc",
            "namespace": self.cluster.namespace if namespaced else "default",
        }
        policy = {"automated": {"prune": prune, "selfHeal": True}, "retry": {"refresh": True}}
        policy["syncOptions"] = ["CreateNamespace=true", "ServerSideApply=true"]
        spec = {"project": "default", "source": source, "destination": destination, "syncPolicy": policy}
        self.system.apply(application | {"spec": spec}).accepted()
        if name not in self.names:
            self.names.append(name)
            self.stack.callback(self.remove, name)

    def pause(self, name="shop"):
        """Apply nothing until `apply` is called."""
        place, patch = self.system.path(self._application(name)), {"spec": {"syncPolicy": {"automated": None}}}
        self.system.request("PATCH", place, patch, content_type=MERGE).accepted()

    def refresh(self, name="shop"):
        """Let Argo CD look at git now, as a webhook of the forge would."""
        patch = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        place = self.system.path(self._application(name))
        self.system.request("PATCH", place, patch, content_type=MERGE).accepted()

    def look_again(self, name="shop"):
        """Return when Argo CD has compared everything once more."""
        self.refresh(name)
        annotation, application = "argocd.argoproj.io/refresh", self._application(name)
        self.cluster.wait_until(
            lambda: annotation not in self.system.get(application)["metadata"].get("annotations", {})
        )

    def is_in_order(self, name="shop"):
        """Say whether the last commit is Synced and Healthy."""
        return self._seen(name) == (self.revision, "Synced", "Healthy")

    def is_waiting(self, name="shop"):
        """Say whether the last commit is Synced, and Progressing."""
        return self._seen(name) == (self.revision, "Synced", "Progressing")

    def is_refused(self, name="shop"):
        """Say whether the last commit could not be applied."""
        status = self.status(name)
        operation = status.get("operationState", {})
        tried = operation.get("operation", {}).get("sync", {}).get("revision") == self.revision
        failed = tried and (operation["phase"] == "Failed" or operation.get("retryCount", 0))
        return failed or any(each["type"] == "ComparisonError" for each in status.get("conditions", ()))

    def health(self, name="shop"):
        """Return the health as far as the last commit is Synced."""
        revision, sync, health = self._seen(name)
        return health if (revision, sync) == (self.revision, "Synced") else None

    def status(self, name="shop"):
        return self.system.get(self._application(name)).get("status", {})

    def remove(self, name="shop"):
        """Remove the Application, and what it has applied."""
        place = self.system.path(self._application(name))
        self.system.request("DELETE", place)
        self.cluster.wait_until(lambda: self.system.request("GET", place).status == 404)

    def _seen(self, name):
        status = self.status(name)
        sync, health = status.get("sync", {}), status.get("health", {})
        return sync.get("revision"), sync.get("status"), health.get("status")

    def _application(self, name):
        finalizers = ["resources-finalizer.argocd.argoproj.io"]
        metadata = {"name": f"{self.cluster.namespace}-{name}", "namespace": SYSTEM, "finalizers": finalizers}
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata}
