"""What the options say, and what follows from it: which cluster, which apps, which Lease."""

import os
import socket
import uuid
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from reconciler.cluster import client, errors
from reconciler.cluster.lease import Claim
from reconciler.cluster.transport import Access

WATCHED_SECONDS, UNWATCHED_SECONDS = 300.0, 10.0
"""How often everything is listed, with watches and without."""
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options by their names; those that only `run` has, as the other commands need them."""

    kubeconfig: str | None
    context: str | None
    service_account: str
    namespace: str | None
    selector: str
    request_timeout: float
    broker_timeout: float = 5.0
    broker_hosts: str = ""
    allow_cluster_trigger_authentication: bool = False
    log_format: str
    log_level: str
    interval_seconds: float | None = None
    once: bool = True
    dry_run: bool = True
    concurrency: int = 8
    rollouts: int = 5
    watch: bool = False
    leader_elect: bool = False
    lease_namespace: str | None = None
    lease_name: str = ""
    lease_duration: int = 0
    identity: str | None = None
    metrics_port: int = 0
    metrics_authentication: bool = False

    def __str__(self) -> str:
        """Return `interval=10.0 watch=True`, without what is not set."""
        return " ".join(f"{name}={value}" for name, value in asdict(self).items() if value)

    @property
    def interval(self) -> float:
        """Seconds from a LIST of everything to the next."""
        return self.interval_seconds or (WATCHED_SECONDS if self.watch else UNWATCHED_SECONDS)

    @property
    def installation(self) -> str:
        """Return what tells this reconciler and its other replicas from those of another installation."""
        claim = self.claim()
        return f"{claim.namespace}/{claim.name}" if claim else socket.gethostname()

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return those of the apps, none if it is all."""
        return tuple(dict.fromkeys((self.namespace or "").replace(",", " ").split()))

    def access(self) -> Access:
        """Return that of a kubeconfig named, the pod's own, or that of ~/.kube/config. Raises NoCluster."""
        host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
        if self.kubeconfig or "KUBECONFIG" in os.environ or not (host and port):
            return client.from_kubeconfig(self.kubeconfig, self.context)
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        return client.in_cluster(server, Path(self.service_account))

    def claim(self) -> Claim | None:
        """Return what to claim before writing; a dry run does not write. Raises NoCluster if no namespace is known."""
        if not self.leader_elect or self.dry_run:
            return None
        own = Path(self.service_account, "namespace")
        if not (namespace := self.lease_namespace or (own.read_text().strip() if own.is_file() else "")):
            raise errors.NoCluster("--leader-elect outside of a pod needs --lease-namespace")
        identity = self.identity or f"{socket.gethostname()}_{uuid.uuid4()}"
        return Claim(namespace, self.lease_name, identity, version("celery-render"), self.lease_duration)
