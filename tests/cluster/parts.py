"""The flags of every part of the control plane, and the objects a fresh one needs. Pure: nothing is started here.

Files are named relative to the plane's folder, in which every part runs.
"""

import json
from typing import Any, NamedTuple

SERVICE_ADDRESS = "10.0.0.1"  # of the API server, as pods know it


class Ports(NamedTuple):
    etcd: int
    etcd_peer: int
    api: int
    kwok: int
    metrics: int


class Nodes(NamedTuple):
    """What the control plane has to know of its nodes: where they reach it, and flags for some of its parts."""

    address: str
    kube_apiserver: tuple[str, ...] = ()
    kube_controller_manager: tuple[str, ...] = ()
    metrics_server: tuple[str, ...] = ()


KWOK = Nodes(
    "127.0.0.1",
    kube_apiserver=("--disable-admission-plugins=ServiceAccount",),  # pods need wait for no token and no account
    metrics_server=("--kubelet-use-node-status-port", "--deprecated-kubelet-completely-insecure"),  # plain HTTP
)


def etcd(ports: Ports) -> list[str]:
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        "--data-dir=etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        "--unsafe-no-fsync",  # nothing here outlives the run
        "--log-level=error",
    ]


def kube_apiserver(ports: Ports, nodes: Nodes) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        f"--bind-address={nodes.address}",
        f"--secure-port={ports.api}",
        "--tls-cert-file=tls.crt",
        "--tls-private-key-file=tls.key",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=tls.key",
        "--service-account-signing-key-file=tls.key",
        "--service-cluster-ip-range=10.0.0.0/16",
        # The second as on OpenShift: who sets blockOwnerDeletion needs a verb for it.
        "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
        "--allow-privileged",
        "--audit-policy-file=audit-policy.json",
        "--audit-log-path=audit.log",
        # The aggregation layer, for metrics-server.
        "--client-ca-file=tls.crt",
        "--requestheader-client-ca-file=tls.crt",
        "--requestheader-allowed-names=control-plane",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--proxy-client-cert-file=tls.crt",
        "--proxy-client-key-file=tls.key",
        *nodes.kube_apiserver,
    ]


def audit_policy() -> str:
    """Return what the API server writes down: every request of a ServiceAccount, which nothing else here is."""
    service_accounts = {"level": "Metadata", "userGroups": ["system:serviceaccounts"]}
    rules = [service_accounts, {"level": "None"}]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
    return json.dumps(policy)


def kube_controller_manager(nodes: Nodes) -> list[str]:
    return [
        "--kubeconfig=kubeconfig",
        "--leader-elect=false",
        "--secure-port=0",
        "--controllers=*,-bootstrapsigner,-tokencleaner",
        "--service-account-private-key-file=tls.key",
        "--pvclaimbinder-sync-period=1s",  # a claim and its volume find each other when the controller looks, else 15 s
        # A HorizontalPodAutoscaler decides every second and on what it sees now.
        "--horizontal-pod-autoscaler-sync-period=1s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=0s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
        "--horizontal-pod-autoscaler-downscale-stabilization=0s",
        *nodes.kube_controller_manager,
    ]


def kube_scheduler() -> list[str]:
    return ["--kubeconfig=kubeconfig", "--leader-elect=false", "--secure-port=0"]


def kwok(ports: Ports) -> list[str]:
    return [
        "--kubeconfig=kubeconfig",
        "--config=kwok.yaml",
        "--manage-all-nodes=true",
        "--cidr=10.128.0.0/16",
        "--node-ip=127.0.0.1",
        # Without the name and the lease's duration nodes lose their address after 55 s.
        "--node-name=localhost",
        "--node-lease-duration-seconds=40",
        f"--node-port={ports.kwok}",
        f"--server-address=127.0.0.1:{ports.kwok}",
    ]


def metrics_server(ports: Ports, nodes: Nodes, resolution_seconds: int) -> list[str]:
    return [
        "--kubeconfig=kubeconfig",
        "--authentication-kubeconfig=kubeconfig",
        "--authorization-kubeconfig=kubeconfig",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.metrics}",
        "--tls-cert-file=tls.crt",
        "--tls-private-key-file=tls.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-request-timeout={resolution_seconds}s",
        f"--metric-resolution={resolution_seconds}s",
        *nodes.metrics_server,
    ]


def kubeconfig(address: str, port: int, token: str) -> str:
    server = {"server": f"https://{address}:{port}", "certificate-authority": "tls.crt"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "plane", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "admin", "context": {"cluster": "plane", "user": "admin"}}],
            "current-context": "admin",
        }
    )


def node(name: str) -> dict[str, Any]:
    room = {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
            "annotations": {"metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{name}/metrics/resource"},
        },
        "status": {"allocatable": room, "capacity": room},
    }


def metrics_api(ports: Ports) -> tuple[dict[str, Any], ...]:
    """Return what registers metrics-server as metrics.k8s.io."""
    metadata = {"name": "metrics-server", "namespace": "kube-system"}
    # By name, because the endpoints of a Service may not be on the loopback interface.
    service = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": ports.metrics}]}
    registration = {
        "service": metadata | {"port": ports.metrics},
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    return (
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": registration,
        },
    )
