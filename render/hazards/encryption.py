"""TLS of the broker that workers are told of where those who scale them do not look."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from render import naming
from render.hazards.hazard import Hazard, groups
from render.hazards.scaling import is_read_by_keda
from render.model import CeleryApp

SECURE = {"redis": "rediss", "amqp": "amqps", "pyamqp": "amqps"}
"""By the scheme of plain text."""
SETTING, URL = "broker_use_ssl", ("spec", "broker", "url")


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
    if read and naming.BROKERS[scheme] == "Redis" and any(name.startswith("ssl_") for name in _options(url)):
        yield Hazard(
            URL,
            f"has Celery speak TLS by its options, and KEDA plain text: write {SECURE[scheme]}:// in place of {scheme}://",
        )


def _options(url: str) -> dict[str, str]:
    """Return what is written behind the question marks of a list of URLs."""
    return {name: value for one in url.split(";") for name, value in parse_qsl(one.partition("?")[2])}


RULES = (plain_to_keda,)
