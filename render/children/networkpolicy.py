"""The NetworkPolicy that says who may reach Flower."""

from copy import deepcopy

from render import naming
from render.children import pod
from render.model import CeleryApp, Component, Manifest


def network_policy(app: CeleryApp, flower: Component) -> Manifest:
    peers = deepcopy(flower.spec["networkPolicy"]["from"])
    # An empty list of peers means everybody to Kubernetes; our nobody is a policy without a rule.
    port = flower.spec["service"].get("targetPort", flower.spec["port"])
    rule = {"from": peers, "ports": [{"port": port, "protocol": "TCP"}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": pod.metadata(app, flower.name),
        "spec": {
            "podSelector": {"matchLabels": naming.selector(app.name, flower.name)},
            "policyTypes": ["Ingress"],
            **({"ingress": [rule]} if peers else {}),
        },
    }
