"""Flower that anybody can use who gets past what should ask them."""

from collections.abc import Iterator

from render.hazards.hazard import Hazard, blocks
from render.model import CeleryApp

OPEN_API = "FLOWER_UNAUTHENTICATED_API"


def passed_proxies(app: CeleryApp) -> Iterator[Hazard]:
    """Yield a Service that leads from outside to Flower itself, though a proxy is to ask."""
    if app.flower:
        auth, service = app.flower.spec.get("auth", {}), app.flower.spec["service"]
        if auth.get("external") and service["type"] != "ClusterIP" and "targetPort" not in service:
            yield Hazard(
                ("spec", "flower", "service", "type"),
                "leads past the proxy to Flower, which asks nobody: set targetPort to the proxy's, or use ClusterIP",
            )


def open_apis(app: CeleryApp) -> Iterator[Hazard]:
    """Yield the variable that opens Flower's API to every pod of the cluster."""
    if not app.flower or "networkPolicy" in app.flower.spec:
        return
    if {"basicAuth", "oauth"} & app.flower.spec.get("auth", {}).keys():
        return  # then the variable opens nothing
    for path, block in blocks(app):
        for at, entry in enumerate(block.get("env") or ()):
            if entry["name"] == OPEN_API and entry.get("value", "").lower() in {"1", "true", "yes"}:
                yield Hazard(
                    (*path, "env", at, "value"),
                    "every pod of the cluster may stop workers and send tasks: set flower.networkPolicy",
                )


RULES = (passed_proxies, open_apis)
