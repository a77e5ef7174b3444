"""How many workers of a group a drained node may take at a time."""

from render import naming
from render.children import pod
from render.model import CeleryApp, Component, Manifest


def budget(app: CeleryApp, group: Component) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": pod.metadata(app, group.name),
        "spec": {
            **group.spec["disruptionBudget"],
            "selector": {"matchLabels": naming.selector(app.name, group.name)},
            # While the broker is down no worker is ready: by default that would block every drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
