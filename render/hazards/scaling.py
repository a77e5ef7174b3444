"""Groups that the reconciler cannot see into, what KEDA is told in vain, and workers that Flower cannot see."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from render.hazards.hazard import Hazard, groups
from render.model import CeleryApp

ENGINE = "Reconciler"
POLLING_SECONDS = 30
"""KEDA's own default."""
COUNT = re.compile("[1-9][0-9]{0,8}")
"""How many pods a clock asks for; of any other text a rule of the CRD says so."""


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


def unreached_counts(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each count of pods that KEDA is told and never gets to."""
    for group in groups(app):
        scaling = group.spec.get("scaling", {})
        keda: Mapping[str, Any] = scaling.get("keda", {})
        clocks = {
            ("triggers", at, "metadata", "desiredReplicas"): int(trigger["metadata"]["desiredReplicas"])
            for at, trigger in enumerate(keda.get("triggers", ()))
            if trigger["type"] == "cron" and COUNT.fullmatch(trigger["metadata"].get("desiredReplicas", ""))
        }
        fallback = {("fallback", "replicas"): keda["fallback"]["replicas"]} if "fallback" in keda else {}
        for place, count in [*fallback.items(), *clocks.items()]:
            if count > scaling["maxReplicas"]:
                yield Hazard(group.at("scaling", "keda", *place), "there are never more than maxReplicas: raise that")


def cooldowns_between_looks(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each cooldown that is over before KEDA looks again: the last pod goes with the last message."""
    for group in groups(app):
        scaling = group.spec.get("scaling", {})
        if scaling.get("engine") != "KEDA" or scaling["minReplicas"]:
            continue
        polling, cooldown = scaling.get("keda", {}).get("pollingSeconds", POLLING_SECONDS), scaling["cooldownSeconds"]
        if cooldown < polling:
            message = f"KEDA looks every {polling} s, so {cooldown} s are none: raise it, or lower keda.pollingSeconds"
            yield Hazard(group.at("scaling", "cooldownSeconds"), message)


def hidden_workers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each argument that takes a group from Flower's sight."""
    for group in groups(app):
        for number, argument in enumerate(group.spec.get("args", ())):
            if app.flower and argument == "--without-heartbeat":
                yield Hazard(group.at("args", number), "Flower takes such workers to be offline: remove it")


RULES = (deaf_workers, unreached_counts, cooldowns_between_looks, hidden_workers)
