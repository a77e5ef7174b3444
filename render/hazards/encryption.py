"""TLS of the broker that workers are told of where those who scale them do not look."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from render import naming
from render.errors import Path
from render.hazards.hazard import Hazard, Part, broker, groups
from render.hazards.scaling import ENGINE, KEDA, is_read_by_keda, waits_for_answers
from render.model import CeleryApp

SECURE = {"redis": "rediss", "amqp": "amqps", "pyamqp": "amqps"}
"""By the scheme of plain text."""
FILES = {"ca_certs": "caFrom", "certfile": "certFrom", "keyfile": "keyFrom"}
"""Options that name a file, by what follows after `ssl_`, and the field of spec.broker.tls in place of it."""
RECONCILE = "celery-reconcile"
PUBLIC = {
    RECONCILE: re.compile("/etc/ssl/certs/ca-certificates.crt"),
    KEDA: re.compile(
        r"/etc/ssl/cert\.pem|/etc/ssl/certs/ca-(certificates|bundle)\.crt|/etc/pki/.*|.*/certifi/cacert\.pem"
    ),
}
"""Files with the authorities that everybody trusts: one that is in our image, and those in place of which KEDA has its
own."""
UNVERIFIED = ("none", "CERT_NONE")
SETTING = "broker_use_ssl"
URL: Path = ("spec", "broker", "url")


def plain_to_keda(app: CeleryApp) -> Iterator[Hazard]:
    """Yield what turns TLS on for workers, and leaves KEDA with plain text."""
    given = app.spec.get("broker", {})
    url = given.get("url", "")
    scheme = url.partition("://")[0]
    if scheme not in SECURE:
        return
    better = f"write {SECURE[scheme]}:// in broker.url"
    read = [group for group in groups(app) if is_read_by_keda(group.spec)]
    for group in read:
        if group.given("settings").get(SETTING):
            message = f"KEDA does not read it, and speaks plain text: {better}, and spec.broker.tls in place of this"
            yield Hazard(group.at("settings", SETTING), message)
    if read and naming.BROKERS[scheme] == "Redis" and _options(url):
        yield Hazard(
            URL,
            f"has Celery speak TLS by its options, and KEDA plain text: write {SECURE[scheme]}:// in place of {scheme}://",
        )


def files_of_workers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each certificate or key that is a file in the pods of workers, though others connect to the broker too."""
    given = app.spec.get("broker", {"tls": {}})
    if "tls" in given or broker(app) not in ("Redis", "RabbitMQ", ""):
        return
    in_url = _options(given.get("url", ""))
    for group in groups(app):
        settings = group.given("settings").get(SETTING)
        in_settings = settings if isinstance(settings, dict) else {}
        found = [(URL, name, file) for name, file in in_url.items()]
        found += [(group.at("settings", SETTING, name), name, file) for name, file in in_settings.items()]
        who = _who_connects(group, given)
        for place, name, file in found:
            field = FILES.get(name.removeprefix("ssl_"))
            is_public = bool(who and field == "caFrom" and PUBLIC[who].fullmatch(str(file)))
            if who and field and not is_public:
                message = f"{name} is a file of the workers' pods, which {who} does not have"
                yield Hazard(place, f"{message}: write spec.broker.tls, with {field}")


def _who_connects(group: Part, given: Mapping[str, Any]) -> str:
    """Return who connects to the broker by TLS for a group, beside its workers; nothing if nobody does."""
    scaling, url = group.spec.get("scaling", {}), given.get("url", "")
    if scaling.get("engine") == ENGINE and ("queue" in scaling or waits_for_answers(group.spec)):
        return RECONCILE
    is_plain = url.partition("://")[0] in SECURE  # of which `plain_to_keda` tells
    is_unverified = _options(url).get("ssl_cert_reqs") in UNVERIFIED
    return KEDA if is_read_by_keda(group.spec) and not is_plain and not is_unverified else ""


def _options(url: str) -> dict[str, str]:
    """Return what a list of URLs says of TLS behind question marks."""
    found = (option for one in url.split(";") for option in parse_qsl(one.partition("?")[2]))
    return {name: value for name, value in found if name.startswith("ssl_")}


RULES = (plain_to_keda, files_of_workers)
