"""Groups the reconciler cannot see into, what KEDA is told in vain or cannot read, workers that Flower cannot see."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from render import naming
from render.hazards.brokers import hosts
from render.hazards.hazard import Hazard, broker, groups
from render.model import CeleryApp

ENGINE, KEDA = "Reconciler", "KEDA"
POLLING_SECONDS = 30
"""KEDA's own default."""
LASTING_SECONDS = 60
"""Most brokers that hang or restart are back by then."""
COUNT = re.compile("[1-9][0-9]{0,8}")
"""How many pods a clock asks for; of any other text a rule of the CRD says so."""


def deaf_workers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each group that is never scaled in, since its workers do not say what they run."""
    for group in groups(app):
        if waits_for_answers(group.spec) and group.given("settings").get("worker_enable_remote_control") is False:
            yield Hazard(
                group.at("settings", "worker_enable_remote_control"),
                "who cannot be asked what it runs is never scaled in: write true, or scaling.whenSilent: ScaleIn",
            )


def unknown_tasks(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each group on Amazon SQS that is never scaled in, since nobody counts what it runs."""
    for group in groups(app):
        is_queue = waits_for_answers(group.spec) and "queue" in group.spec["scaling"]
        settings: Mapping[str, Any] = group.spec.get("settings", {})
        if is_queue and broker(app) == "SQS" and settings.get("task_acks_late") is not True:
            yield Hazard(
                group.at(*(("settings", "task_acks_late") if "task_acks_late" in settings else ("scaling",))),
                "on Amazon SQS nobody knows which tasks run that are acknowledged early, so no pod ever goes: "
                "write settings.task_acks_late: true, or scaling.whenSilent: ScaleIn",
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


def fallbacks_in_vain(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each threshold that a broker which takes no connections never gets to: KEDA connects before it counts."""
    for group in groups(app):
        scaling = group.spec.get("scaling", {})
        threshold = scaling.get("keda", {}).get("fallback", {}).get("failureThreshold", 0)
        if threshold and "queue" in scaling and broker(app) in ("Redis", "RabbitMQ"):
            message = "while the broker takes no connections KEDA counts no failures: only 0 has it fall back then"
            yield Hazard(group.at("scaling", "keda", "fallback", "failureThreshold"), message)


def brokers_unlike_their_url(app: CeleryApp) -> Iterator[Hazard]:
    """Yield a kind of broker that the URL contradicts: KEDA would be told what it cannot read."""
    given = app.spec.get("broker", {})
    kind = naming.BROKERS.get(given.get("url", "").partition("://")[0])
    if kind and given.get("type", kind) != kind:
        message = f"the url says {kind}: remove type, which is for urlFrom"
        yield Hazard(("spec", "broker", "type"), message, is_error=True)


def failovers_unknown_to_keda(app: CeleryApp) -> Iterator[Hazard]:
    """Yield a list of RabbitMQs: KEDA takes the second for the virtual host of the first."""
    url, scalings = app.spec.get("broker", {}).get("url", ""), [group.spec.get("scaling", {}) for group in app.groups]
    is_read = any(scaling.get("engine") == "KEDA" and "queue" in scaling for scaling in scalings)
    if is_read and ";" in url and naming.BROKERS.get(url.partition("://")[0]) == "RabbitMQ":
        message = "KEDA reads one RabbitMQ: write one address, such as that of a Service, or use engine: Reconciler"
        yield Hazard(("spec", "broker", "url"), message, is_error=True)


def names_unknown_to_keda(app: CeleryApp) -> Iterator[Hazard]:
    """Yield a broker of one word: KEDA looks for it where it runs itself."""
    if any(is_read_by_keda(group.spec) for group in app.groups):
        for host in filter(naming.is_word, hosts(app.spec.get("broker", {}).get("url", ""))):
            yield Hazard(
                ("spec", "broker", "url"),
                f"{host} is a name of the app's own namespace, and KEDA looks from its own: "
                f"write {host}.{app.namespace or 'NAMESPACE'}",
            )


def short_cooldowns(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each cooldown that is over before KEDA looks again, or before a broker is back that hangs."""
    for group in groups(app):
        scaling = group.spec.get("scaling", {})
        if scaling.get("engine") != "KEDA" or scaling["minReplicas"]:
            continue
        polling, cooldown = scaling.get("keda", {}).get("pollingSeconds", POLLING_SECONDS), scaling["cooldownSeconds"]
        if cooldown < polling:
            message = f"KEDA looks every {polling} s, so {cooldown} s are none: raise it, or lower keda.pollingSeconds"
            yield Hazard(group.at("scaling", "cooldownSeconds"), message)
        elif cooldown < LASTING_SECONDS and "queue" in scaling:
            message = f"a broker that does not answer for {cooldown} s may look empty to KEDA: raise it to 60 or more"
            yield Hazard(group.at("scaling", "cooldownSeconds"), message)


def hidden_workers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each argument that takes a group from Flower's sight."""
    for group in groups(app):
        for number, argument in enumerate(group.spec.get("args", ())):
            if app.flower and argument == "--without-heartbeat":
                yield Hazard(group.at("args", number), "Flower takes such workers to be offline: remove it")


def waits_for_answers(spec: Mapping[str, Any]) -> bool:
    """Say whether no pod of a group goes as long as nobody says what it runs."""
    scaling: Mapping[str, Any] = spec.get("scaling", {})
    return bool(scaling.get("engine") == ENGINE and scaling.get("whenSilent", "Hold") == "Hold")


def is_read_by_keda(spec: Mapping[str, Any]) -> bool:
    """Say whether KEDA counts on the broker as the app names it; an authentication of the user's may name another."""
    scaling = spec.get("scaling", {})
    return scaling.get("engine") == KEDA and "queue" in scaling and "authenticationRef" not in scaling.get("keda", {})


RULES = (
    deaf_workers,
    unknown_tasks,
    unreached_counts,
    fallbacks_in_vain,
    brokers_unlike_their_url,
    failovers_unknown_to_keda,
    names_unknown_to_keda,
    short_cooldowns,
    hidden_workers,
)
