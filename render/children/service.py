"""The Service in front of Flower."""

from render import naming
from render.children import pod
from render.children.flower import PORT
from render.model import CeleryApp, Component, Manifest


def service(app: CeleryApp, flower: Component) -> Manifest:
    given = flower.spec["service"]
    port = {"name": PORT, "port": given["port"], "targetPort": given.get("targetPort", PORT), "protocol": "TCP"}
    node_port = {"nodePort": given["nodePort"]} if "nodePort" in given else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": pod.metadata(app, flower.name, given.get("annotations", {}), given.get("labels", {})),
        "spec": {
            "type": given["type"],
            "selector": naming.selector(app.name, flower.name),
            "ports": [{**port, **node_port}],
        },
    }
