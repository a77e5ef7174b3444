"""Other autoscalers of what is ours to scale: HorizontalPodAutoscalers that are not the app's. Pure.

KEDA has one for each ScaledObject.
"""

from typing import NamedTuple

from reconciler.cluster.live import Controller, controller_of
from reconciler.model import DEPLOYMENT, Manifest, Ref


class Autoscaler(NamedTuple):
    """A HorizontalPodAutoscaler of a Deployment."""

    ref: Ref
    resource_version: str
    deployment: str
    controller: Controller | None
    """Who has made it; nobody for one that was made by hand."""

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """What it is looked up by: its Deployment."""
        return ((self.ref.namespace, self.deployment),)

    def __str__(self) -> str:
        """Return what is to be removed: made by another, it would come back."""
        return str(self.controller or f"{self.ref.kind} {self.ref.name}")


def autoscaler(manifest: Manifest, _old: Autoscaler | None = None) -> Autoscaler | None:
    """Return the HorizontalPodAutoscaler; None for one of another kind."""
    metadata, target = manifest["metadata"], manifest["spec"]["scaleTargetRef"]
    if target["kind"] != DEPLOYMENT.name:
        return None
    version = metadata.get("resourceVersion", "")
    return Autoscaler(Ref.of(manifest), version, target["name"], controller_of(metadata))
