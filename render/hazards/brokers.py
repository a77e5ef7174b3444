"""URLs of a broker or a result backend with which Celery does not start, or goes elsewhere than it was told."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from render.hazards.hazard import Hazard, blocks
from render.model import CeleryApp

REDIS = "redis://HOST:PORT/DATABASE"
BROKERS = f"write {REDIS}, or amqp://HOST:PORT/VHOST"
BACKENDS = f"write {REDIS}, or db+postgresql://HOST:PORT/DATABASE"
SQL = {
    "postgres": "postgresql",
    **{name: name for name in ("postgresql", "mysql", "mariadb", "mssql", "oracle", "sqlite")},
}
"""What SQLAlchemy calls each database."""
RABBITMQ = ("amqp", "amqps", "pyamqp")
WITH_PORT = ("redis", "rediss", "sentinel", *RABBITMQ)
"""Schemes of which kombu reads host and port; others mean by it what they like."""
NO_BROKER = {"http", "https", "rabbitmq", "db", *SQL}
"""Certainly no transport of kombu's: https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.html"""
LOCAL = re.compile(r"localhost|127(\.\d+){3}|0\.0\.0\.0|::1")
BARE = ("redis", "rediss")
"""Backends that look on localhost unless a setting names another host."""
UNFILLED = re.compile(r"\$\{\w|(?<=[/@:])\$[A-Z]|\{\{|<\w")
"""A place that was to be filled in, by Compose, envsubst, Helm, or by hand."""
REFERENCE = "$("
"""Begins the name of a variable, which the CRD refuses."""


def wrong_url(app: CeleryApp) -> Iterator[Hazard]:
    """Yield the URL that Celery cannot use. A scheme that is merely not known here may be a transport of the user's."""
    for field, judge in (("broker", _broker), ("resultBackend", _backend)):
        url = app.spec.get(field, {}).get("url", "")
        if not url or REFERENCE in url:
            continue
        if message := _unfilled(url) or judge(app, url) or _port(url) or _local(app, url):
            yield Hazard(("spec", field, "url"), message)


def _unfilled(url: str) -> str:
    words = "write host and database as they are, or name a Secret with the whole URL in urlFrom"
    return f"nothing fills this in here, and Celery connects to it as it is: {words}" if UNFILLED.search(url) else ""


def _broker(app: CeleryApp, url: str) -> str:
    scheme = _scheme(url)
    if not scheme:
        is_told = any("broker_transport" in block.get("settings", {}) for _, block in blocks(app))
        return "" if is_told else f"has no scheme, and Celery takes it for a host of RabbitMQ: {BROKERS}"
    kind = scheme.partition("+")[0]
    return f"Celery has no broker {kind}: {BROKERS}" if kind in NO_BROKER else ""


def _backend(app: CeleryApp, url: str) -> str:
    scheme = _scheme(url)
    if url in BARE and not any("redis_host" in block.get("settings", {}) for _, block in blocks(app)):
        return f"without a host that is localhost, where in a pod nobody listens: {BACKENDS}"
    if not scheme:  # a word is the name of a backend, and module:Class a class
        return f"has no scheme, and Celery takes it for a class: {BACKENDS}" if re.search(r"/|:[0-9]", url) else ""
    first, _, second = scheme.partition("+")
    if first in (*RABBITMQ, "rabbitmq"):
        return "Celery keeps no results there: write rpc://, which takes the connection of the broker"
    if first in SQL:
        driver = f"+{second}" if second else ""
        return f"Celery has no result backend {first}: write db+{SQL[first]}{driver}://…"
    if first in ("db", "database") and second == "postgres":
        return f"SQLAlchemy has no database postgres: write {first}+postgresql://…"
    return f"Celery has no result backend {first}: {BACKENDS}" if first in ("http", "https") else ""


def _port(url: str) -> str:
    """Return what is wrong with the ports, read as kombu reads them."""
    for each in url.split(";"):
        scheme = _scheme(each)
        if scheme in WITH_PORT:
            try:
                urlsplit(f"http{each[len(scheme) :]}").port  # noqa: B018 (it raises)
            except ValueError:
                return f"has no port from 1 to 65535 after its host: write {scheme}://HOST:PORT"
    return ""


def _local(app: CeleryApp, url: str) -> str:
    """Say so of a URL that leads to the pod itself, unless a container of it may listen there."""
    beside = any(one.get("restartPolicy") for _, block in blocks(app) for one in block.get("initContainers", ()))
    local = next(filter(LOCAL.fullmatch, hosts(url)), "")
    better = "write the name of its Service, or of its host"
    return f"{local} is the pod itself, where nobody listens: {better}" if local and not beside else ""


def hosts(url: str) -> Iterator[str]:
    """Yield the host of each URL of a list."""
    for one in url.split(";"):
        authority = re.split("[/?#]", one.partition("://")[2])[0].rpartition("@")[2]
        yield re.sub(r":\d*$", "", authority).strip("[]")


def _scheme(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    return scheme.lower() if mark else ""


RULES = (wrong_url,)
