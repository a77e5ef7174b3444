"""Groups that the reconciler cannot see into, and workers that Flower cannot see."""

from collections.abc import Iterator

from render.hazards.hazard import Hazard, groups
from render.model import CeleryApp

ENGINE = "Reconciler"


def deaf_workers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each group that is never scaled in, since its workers do not say what they run."""
    for group in groups(app):
        scaling = group.spec.get("scaling", {})
        asks = scaling.get("engine") == ENGINE and scaling.get("whenSilent", "Hold") == "Hold"
        if asks and group.given("settings").get("worker_enable_remote_control") is False:
            yield Hazard(
                group.at("settings", "worker_enable_remote_control"),
                "who cannot be asked what it runs is never scaled in: write true, or scaling.whenSilent: ScaleIn",
            )


def hidden_workers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each argument that takes a group from Flower's sight."""
    for group in groups(app):
        for number, argument in enumerate(group.spec.get("args", ())):
            if app.flower and argument == "--without-heartbeat":
                yield Hazard(group.at("args", number), "Flower takes such workers to be offline: remove it")


RULES = (deaf_workers, hidden_workers)
