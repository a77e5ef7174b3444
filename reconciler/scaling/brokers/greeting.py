"""A Redis is told nothing of an app's before it has shown that it is one.

The first thing that a client sends is a user's name, a line of its own. What is no Redis may take it for a command: a
memcached does, `flush_all`. So the first words are ours, and what answers otherwise than a Redis hears no others. On
RabbitMQ it is the protocol that begins so.
"""

import re
from typing import Any

import kombu
from kombu.transport import redis

_PING = b"*1\r\n$4\r\nPING\r\n"
_ANSWER = re.compile(rb"\+PONG\r\n|-(NOAUTH|NOPERM|LOADING|DENIED|ERR operation not permitted) ?.*\r\n")
_FULL = b"-ERR max number of clients reached"
_MOST_BYTES = 512


class StrangerError(ConnectionError):
    """A server of another kind."""


class FullError(ConnectionError):
    """A Redis that takes no more connections."""


class Connection(kombu.Connection):  # type: ignore[misc]
    """Whose Redis is greeted first."""

    def get_transport_cls(self) -> Any:
        """Return how kombu would connect, but with a greeting."""
        found = super().get_transport_cls()
        return {redis.Transport: _Transport, redis.SentinelTransport: _SentinelTransport}.get(found, found)


def greet(connection: Any) -> None:
    """Begin a connection, which is open: in place of its own beginning, that follows."""
    link, answer = connection._sock, b""  # noqa: SLF001 (all else would begin with the log-in)
    link.sendall(_PING)
    while not answer.endswith(b"\n") and len(answer) < _MOST_BYTES and (byte := link.recv(1)):
        answer += byte
    if not _ANSWER.fullmatch(answer):
        connection.disconnect()
        raise FullError if answer.startswith(_FULL) else StrangerError
    connection.on_connect()


class _Greets:
    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (kombu's own)
        return super()._connparams(asynchronous) | {"redis_connect_func": greet}  # type: ignore[misc, no-any-return]


class _Channel(_Greets, redis.Channel):  # type: ignore[misc]
    pass


class _Transport(redis.Transport):  # type: ignore[misc]
    Channel = _Channel


class _SentinelChannel(_Greets, redis.SentinelChannel):  # type: ignore[misc]
    pass


class _SentinelTransport(redis.SentinelTransport):  # type: ignore[misc]
    Channel = _SentinelChannel
