"""Pods that the kubelet does not start, for whom they would run as."""

from collections.abc import Iterator

from render.hazards.hazard import Hazard, parts
from render.model import CeleryApp


def root_that_may_not_be(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each component that would run as root and says that it must not."""
    for part in parts(app):
        pod, container = part.given("podSecurityContext"), part.given("securityContext")
        both = {**pod, **container}
        if both.get("runAsNonRoot") and both.get("runAsUser") == 0:
            field = "securityContext" if "runAsUser" in container else "podSecurityContext"
            message = "is root, and runAsNonRoot lets no root start: write the number of another user, or remove one"
            yield Hazard(part.at(field, "runAsUser"), message, is_error=True)


RULES = (root_that_may_not_be,)
