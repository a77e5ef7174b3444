"""KEDA's operator, metrics adapter and admission webhook, which find each other over this machine's loopback interface.

The webhook's port and that of the adapter's own metrics listen on every interface: KEDA has no flag for another.
"""

import base64
from contextlib import ExitStack, contextmanager

import control_plane
import free_ports
import programs
import servers
import yaml

NAME = "KEDA"
ACCOUNT = "keda-operator"
SYSTEM = "keda"
MODULE = "github.com/kedacore/keda/v2"
METRICS = "v1beta1.external.metrics.k8s.io"


@contextmanager
def running(plane, folder, **own):
    """Yield when KEDA serves metrics, and is asked about each ScaledObject. Its environment has what is its own."""
    kubeconfig = programs.log_in(plane, SYSTEM, ACCOUNT)
    built, source = programs.built("keda"), programs.required(MODULE, "keda")
    for path in sorted((source / "config/crd/bases").glob("*.yaml")):
        control_plane.install(plane, yaml.load(path.read_text(), yaml.CSafeLoader))
    certificate = servers.Certificate(folder)
    (folder / "ca.crt").write_bytes(certificate.path.read_bytes())
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": SYSTEM,
        "KEDA_CLUSTER_OBJECT_NAMESPACE": SYSTEM,
        "WATCH_NAMESPACE": "",
        **own,
    }
    service, external, webhook, *others = [f"{servers.HERE}:{port}" for port in free_ports.take(8)]
    metrics, health, of_adapter, of_webhooks, health_of_webhooks = others
    with ExitStack() as stack:

        def start(name, *flags):
            stack.enter_context(programs.running(plane, f"keda-{name}", built / name, *flags, **environment))

        start(
            "operator",
            f"--metrics-service-bind-address={service}",
            f"--metrics-bind-address={metrics}",
            f"--health-probe-bind-address={health}",
            f"--cert-dir={folder}",
        )
        start(
            "adapter",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--metrics-service-address={service}",
            f"--bind-address={servers.HERE}",
            f"--secure-port={_port(external)}",
            f"--port={_port(of_adapter)}",
            f"--cert-dir={folder}",
            f"--tls-cert-file={certificate.path}",
            f"--tls-private-key-file={certificate.key}",
        )
        start(
            "webhooks",
            f"--port={_port(webhook)}",
            f"--metrics-bind-address={of_webhooks}",
            f"--health-probe-bind-address={health_of_webhooks}",
            f"--cert-dir={folder}",
        )
        for manifest in _metrics_api(_port(external)):
            plane.apply(manifest).accepted()
        plane.wait_until(lambda: _is_available(plane))
        plane.wait_until(lambda: servers.answers(_port(webhook)))
        plane.apply(_asking(source, webhook, certificate)).accepted()
        yield


def _port(address):
    return int(address.rpartition(":")[2])


def _metrics_api(port):
    """Yield what registers the adapter as external.metrics.k8s.io, as that of metrics-server is."""
    metadata = {"name": "keda-metrics-apiserver", "namespace": SYSTEM}
    service = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}
    registration = {
        "service": metadata | {"port": port},
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    identity = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": METRICS}}
    yield identity | {"spec": registration}


def _is_available(plane):
    found = plane.request("GET", f"/apis/apiregistration.k8s.io/v1/apiservices/{METRICS}").accepted().body
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _asking(source, address, certificate):
    """Return KEDA's own registration of its webhook, which is where it runs here."""
    found = yaml.safe_load((source / "config/webhooks/validation_webhooks.yaml").read_text())
    authority = base64.b64encode(certificate.path.read_bytes()).decode()
    for each in found["webhooks"]:
        path = each["clientConfig"]["service"]["path"]
        each["clientConfig"] = {"url": f"https://{address}{path}", "caBundle": authority}
    return found
