"""The Ingress to Flower."""

from render.children import flower as flower_pod
from render.children import pod
from render.model import CeleryApp, Component, Manifest


def ingress(app: CeleryApp, flower: Component) -> Manifest:
    given = flower.spec["ingress"]
    metadata = pod.metadata(app, flower.name, given.get("annotations", {}))
    backend = {"service": {"name": metadata["name"], "port": {"name": flower_pod.PORT}}}
    path = (
        flower_pod.path(flower.spec).rstrip("/") or "/"
    )  # Flower adds its prefix to every link: nothing is cut off here
    http = {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}
    tls = (
        {"tls": [{"hosts": [given["host"]], "secretName": given["tlsSecretName"]}]} if "tlsSecretName" in given else {}
    )
    class_name = {"ingressClassName": given["className"]} if "className" in given else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {**class_name, "rules": [{"host": given["host"], "http": http}], **tls},
    }
