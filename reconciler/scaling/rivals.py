"""Other autoscalers of what is ours to scale: HorizontalPodAutoscalers that are not the app's. Pure.

KEDA has one for each ScaledObject.
"""

from typing import NamedTuple

from reconciler.model import DEPLOYMENT, Manifest, Ref


class Autoscaler(NamedTuple):
    """A HorizontalPodAutoscaler of a Deployment."""

    ref: Ref
    resource_version: str
    deployment: str
    controller: str
    """The UID of who has made it; empty for one that was made by hand."""

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """What it is looked up by: its Deployment."""
        return ((self.ref.namespace, self.deployment),)


def autoscaler(manifest: Manifest, _old: Autoscaler | None = None) -> Autoscaler | None:
    """Return the HorizontalPodAutoscaler; None for one of another kind."""
    metadata, target = manifest["metadata"], manifest["spec"]["scaleTargetRef"]
    if target["kind"] != DEPLOYMENT.name:
        return None
    owners = [each["uid"] for each in metadata.get("ownerReferences") or () if each.get("controller")]
    version = metadata.get("resourceVersion", "")
    return Autoscaler(Ref.of(manifest), version, target["name"], owners[0] if owners else "")
