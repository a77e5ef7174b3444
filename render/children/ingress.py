"""The Ingress to Flower."""

from render.children import flower as flower_pod
from render.children import pod
from render.model import CeleryApp, Component, Manifest


def ingress(app: CeleryApp, flower: Component) -> Manifest:
    given, metadata = flower.spec["ingress"], pod.metadata(app, flower.name)
    backend = {"service": {"name": metadata["name"], "port": {"name": flower_pod.PORT}}}
    path = (
        flower_pod.path(flower.spec).rstrip("/") or "/"
    )  # Flower adds its prefix to every link: nothing is cut off here
    http = {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}
    tls = (
        {"tls": [{"hosts": [given["host"]], "secretName": given["tlsSecretName"]}]} if "tlsSecretName" in given else {}
    )
    class_name = {"ingressClassName": given["className"]} if "className" in given else {}
    annotations = {"annotations": dict(given["annotations"])} if given.get("annotations") else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {**metadata, **annotations},
        "spec": {**class_name, "rules": [{"host": given["host"], "http": http}], **tls},
    }
