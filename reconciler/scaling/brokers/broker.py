"""A message broker as Celery is told of it, and the way in: connections with a time-out, failures in plain words.

Its URL holds a password: nothing that is said, shown or raised here has it. URL and options are written by whoever may
write a CeleryApp, and kombu imports and calls what some of them name: only those that are data get through to it.
"""

import os
import re
import ssl
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple, Self

from reconciler.scaling.brokers import faults, hosts
from reconciler.scaling.model import Unreadable
from render import naming
from render.in_pod import celery_connection

SENTINEL = "sentinel"
REDIS = frozenset({"redis", "rediss", SENTINEL})
RABBITMQ = frozenset({"amqp", "amqps", "pyamqp"})
SQS = "sqs"

_DATA = frozenset({"sep", "priority_steps", "unacked_key", "unacked_index_key", "visibility_timeout"})
_DATA |= {"global_keyprefix", "fanout_prefix", "fanout_patterns"}
_DATA |= {"master_name", "min_other_sentinels", "sentinel_kwargs", "sentinel_fanout_compat"}
_OF_SENTINELS = ("username", "password", "ssl")
_CODE = "credential_provider"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What could begin another line, of whatever a server takes for commands."""
_HOST = re.compile(r"[-\w.:%]*")
"""With a space in it, the name that TLS tells in plain text could be a command, behind a line end of its own."""
_SEPARATOR = "sep", "\x06\x16"
"""The option of Redis that has control characters, kombu's own."""


class Trust(NamedTuple):
    """How `spec.broker.tls` wants TLS to be spoken."""

    verify: str
    files: Mapping[str, str]
    """Certificates and a key, the texts, by what they are: ca, cert and key."""


class _InMemory(str):
    """The path of a file that is nowhere but in memory, and gone with whoever knows the path."""

    __slots__ = ("__weakref__",)

    def __new__(cls, text: str) -> Self:
        file = os.memfd_create("celery-reconcile")  # only Linux has it
        os.write(file, text.encode())
        path = super().__new__(cls, f"/proc/self/fd/{file}")
        weakref.finalize(path, os.close, file)
        return path


@dataclass(frozen=True)
class Broker:
    """Where messages wait. Whoever has an equal one shares its connection."""

    url: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """The setting `broker_transport_options`."""
    tls: Mapping[str, Any] | bool | None = field(default=None, repr=False, hash=False)
    """The setting `broker_use_ssl`."""
    trust: Trust | None = field(default=None, repr=False, hash=False)
    """In place of it."""
    namespace: str = field(default="", repr=False)
    """In which its names are looked up, where they mean something else in another."""

    @cached_property
    def parts(self) -> tuple[Any, ...]:
        """Return what kombu makes of each URL of the list, nothing if it would make a wrong thing of one."""
        from kombu.utils.url import url_to_parts  # noqa: PLC0415

        urls = self.url.split(";")
        try:
            parts = tuple(url_to_parts(url) for url in urls)
            return parts if all(map(_is_whole, urls, parts)) else ()
        except Exception:  # noqa: BLE001 (of whatever kind: its text quotes the password)
            return ()

    @property
    def is_redis(self) -> bool:
        return all(part.scheme in REDIS for part in self.parts)

    @property
    def is_sqs(self) -> bool:
        return [part.scheme for part in self.parts] == [SQS]

    def seen_from(self, namespace: str) -> Self:
        """Return it as the pods of a namespace see it: a name of one word is theirs. What Sentinels tell may be one."""
        is_theirs = any(part.scheme == SENTINEL or naming.is_word(part.hostname or "") for part in self.parts)
        return replace(self, namespace=namespace) if is_theirs else self

    @property
    def refusal(self) -> str:
        """Return why it cannot be asked, nothing if it can."""
        return next(self._refusals(), "")

    def _refusals(self) -> Iterator[str]:
        if not self.parts:
            yield "its URL is malformed; in a password, / is written %2F, # is %23, ? is %3F, ; is %3B and @ is %40"
            return
        if not (self.is_redis or self.is_sqs or all(part.scheme in RABBITMQ for part in self.parts)):
            yield "queues can be counted on Redis, Redis Sentinel, RabbitMQ and Amazon SQS only"
        if not isinstance(self.options, Mapping):
            yield "broker_transport_options is no object"
        elif self.parts[0].scheme == SENTINEL and not self.options.get("master_name"):
            yield "master_name is missing: set broker.sentinel.masterName, or broker_transport_options"
        if _has_control([self.parts, self.options, self.tls]):
            yield "its URL, password or options contain a control character, such as a line end: remove it"
        if any(_CODE in part.query for part in self.parts):
            yield f"{_CODE} is not supported"
        name = (self.tls.get("server_hostname") or "") if isinstance(self.tls, Mapping) else ""
        if not (isinstance(name, str) and _HOST.fullmatch(name)):
            yield "server_hostname is no host's name"

    def __str__(self) -> str:
        """Return its address, to begin a message with."""
        return ";".join(map(_address, self.parts)) or "broker"


def prepare() -> None:
    """Import kombu, before threads would do it all at once. 0.3 s and 26 MB, for those only who scale by queue."""
    import kombu.transport.pyamqp  # noqa: PLC0415
    import kombu.transport.redis  # noqa: PLC0415, F401


def unreadable(broker: Broker, error: Exception, subject: str = "") -> Unreadable:
    """Return the error in words of ours."""
    return Unreadable(f"{broker}: {subject}{faults.words(error)}")


def connected(broker: Broker, seconds: float) -> Any:
    """Return an open connection. Raises whatever kombu and its clients do."""
    connection = _connection(broker, seconds)
    try:
        alternates = 1 if broker.parts[0].scheme == SENTINEL else len(broker.parts)
        closed = partial(_closed, broker, connection)
        connection.ensure_connection(closed, max_retries=alternates - 1, interval_start=0, interval_step=0)
        if broker.is_redis:  # kombu has tried it on one that only a consumer uses
            connection.default_channel.client.connection_pool.disconnect()
    except BaseException:
        close(broker, connection)
        raise
    return connection


def answers(broker: Broker, connection: Any, seconds: float) -> bool:
    """Say whether a connection that was left alone still leads to the broker: somebody on the way may have cut it."""
    try:
        if not connection.connected:
            return False
        if not broker.is_redis:
            with connection.connection.transport.having_timeout(seconds), connection.channel():
                return True
        pool = connection.default_channel.pool
        link = pool.get_connection()
        try:
            link.send_command("PING")
            return bool(link.can_read(seconds) and link.read_response())
        finally:
            pool.release(link)
    except Exception:  # noqa: BLE001 (of whatever kind: another takes its place)
        return False


@contextmanager
def channel(broker: Broker, connection: Any) -> Iterator[Any]:
    """Yield a channel: on RabbitMQ one that is closed in the end, on Redis the connection's own, for it is the one."""
    if broker.is_redis:
        yield connection.default_channel
    else:
        with connection.channel() as found:
            yield found


def forget(broker: Broker, connection: Any) -> None:
    """Forget what was declared: kombu remembers it as long as the connection, and by the next look it may be gone."""
    connection.declared_entities.clear()
    if broker.is_redis:
        connection.transport.state.clear()


def close(broker: Broker, connection: Any) -> None:
    """Close a connection, and what a failure to open it has left."""
    transport = connection.transport
    connection.close()
    hosts.hang_up()
    if broker.is_redis:  # a channel that could not be opened keeps kombu's epoll until the next garbage collection
        transport.cycle.poller.close()


def abandon(broker: Broker, connection: Any) -> None:
    """Close a connection without a word: nobody may hear it."""
    if broker.is_redis:
        close(broker, connection)
    else:
        connection.collect()


def _closed(broker: Broker, connection: Any, *_: Any) -> None:
    close(broker, connection)


def _connection(broker: Broker, seconds: float) -> Any:
    from reconciler.scaling.brokers import greeting  # noqa: PLC0415 (it imports kombu)

    seconds /= len(broker.parts)  # of one that is down, another has to take the place in time
    trusted = _trusted(broker)
    bounds: dict[str, Any] = {"read_timeout": seconds, "write_timeout": seconds}
    if broker.is_redis:
        sockets = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        # Left alone, redis-py asks a sentinel that is down three times more, and waits in between.
        tls = {"ssl": True, **trusted} if trusted else {}
        theirs = (broker.options.get("sentinel_kwargs") or {}).items()
        once = {name: value for name, value in theirs if name.startswith(_OF_SENTINELS)} | tls | sockets
        once |= {"retry": None, "redis_connect_func": greeting.greet}
        bounds = {name: value for name, value in broker.options.items() if name in _DATA}
        bounds |= sockets | {"retry_on_timeout": False, "sentinel_kwargs": once}
    use_ssl = trusted or _tls(broker)
    return greeting.Connection(broker.url, ssl=use_ssl, connect_timeout=seconds, transport_options=bounds)


def _trusted(broker: Broker) -> dict[str, Any]:
    """Return what kombu is told of the app's own certificates. The files are there as long as the connection."""
    if not broker.trust:
        return {}
    files = {kind: _InMemory(text) for kind, text in broker.trust.files.items()}
    return celery_connection.tls(broker.trust.verify, files, is_redis=broker.is_redis)


def _tls(broker: Broker) -> dict[str, Any] | bool:
    if isinstance(broker.tls, Mapping):  # on Redis, among the arguments of the connection
        return {name: value for name, value in broker.tls.items() if name.startswith("ssl_") or not broker.is_redis}
    if broker.parts[0].scheme == "rediss" and not broker.tls:
        return {"ssl_cert_reqs": ssl.CERT_NONE}  # kombu does the same, with a warning each time
    return bool(broker.tls)


def _is_whole(url: str, part: Any) -> bool:
    """Say whether it is a URL of a broker, and all of it: a slash in a password makes a host of what is before it."""
    from kombu.transport import TRANSPORT_ALIASES  # noqa: PLC0415

    is_broker = part.scheme.partition("+")[0] in TRANSPORT_ALIASES and url.lower().startswith(f"{part.scheme}://")
    has_user = bool(part.username or part.password)
    return bool(is_broker and (has_user or "@" not in url) and _HOST.fullmatch(part.hostname or ""))


def _has_control(value: Any, name: str = "") -> bool:
    """Say whether there is a control character in any text of a value."""
    if isinstance(value, Mapping):
        return any(_has_control(inner, str(key)) or _has_control(key) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return any(_has_control(inner) for inner in value)
    return isinstance(value, str) and bool(_CONTROL.search(value)) and (name, value) != _SEPARATOR


def _address(part: Any) -> str:
    if part.scheme == SQS and not part.hostname:
        return "Amazon SQS"
    host = f"[{part.hostname}]" if ":" in (part.hostname or "") else part.hostname or ""
    port = f":{part.port}" if part.port else ""
    return f"{part.scheme}://{host}{port}/{part.path or ''}"
