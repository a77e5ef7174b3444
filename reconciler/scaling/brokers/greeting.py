"""How kombu connects: a Redis is told nothing of an app's before it has shown that it is one, and no answer is endless.

The first thing that a client sends is a user's name, a line of its own. What is no Redis may take it for a command: a
memcached does, `flush_all`. So the first words are ours, and what answers otherwise than a Redis hears no others. On
RabbitMQ it is the protocol that begins so.
"""

import re
from typing import Any

import kombu
from kombu.transport import pyamqp, redis

from reconciler.scaling.brokers import hosts

_PING = b"*1\r\n$4\r\nPING\r\n"
_ANSWER = re.compile(rb"\+PONG\r\n|-(NOAUTH|NOPERM|LOADING|DENIED|ERR operation not permitted) ?.*\r\n")
_FULL = b"-ERR max number of clients reached"
_MOST_BYTES = 512


class StrangerError(ConnectionError):
    """A server of another kind."""


class FullError(ConnectionError):
    """A Redis that takes no more connections."""


class Connection(kombu.Connection):  # type: ignore[misc]
    """Whose Redis is greeted first, and whose servers may answer only so much."""

    def get_transport_cls(self) -> Any:
        """Return how kombu would connect, but so."""
        found = super().get_transport_cls()
        return _OURS.get(found, found)


class _Link:
    """A socket of which all that comes is counted."""

    def __init__(self, link: Any) -> None:
        self._link = link

    def recv(self, *arguments: Any) -> bytes:
        data: bytes = self._link.recv(*arguments)
        hosts.received(len(data))
        return data

    def recv_into(self, *arguments: Any) -> int:
        count: int = self._link.recv_into(*arguments)
        hosts.received(count)
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)


def greet(connection: Any) -> None:
    """Begin a connection, which is open: in place of its own beginning, that follows."""
    link, answer = connection._sock, b""  # noqa: SLF001 (all else would begin with the log-in)
    link.sendall(_PING)
    while not answer.endswith(b"\n") and len(answer) < _MOST_BYTES and (byte := link.recv(1)):
        answer += byte
    if not _ANSWER.fullmatch(answer):
        connection.disconnect()
        raise FullError if answer.startswith(_FULL) else StrangerError
    connection._sock = _Link(link)  # noqa: SLF001
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


class _RabbitMQ(pyamqp.Connection):  # type: ignore[misc]
    def connect(self, callback: Any = None) -> Any:
        """Connect, or leave nothing open: amqp closes its socket after errors of the network alone."""
        try:
            return super().connect(callback)
        except BaseException:
            if self._transport and self._transport.sock:
                self._transport.sock.close()
            raise

    def Transport(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802 (its name in amqp)
        """Return what reads and writes."""
        transport = super().Transport(*arguments, **options)
        begin = transport._setup_transport  # noqa: SLF001 (there is no other place between it and its socket)

        def setup() -> None:
            begin()
            receive = transport._quick_recv  # noqa: SLF001

            def counted(*arguments: Any) -> Any:
                data = receive(*arguments)
                hosts.received(len(data))
                return data

            transport._quick_recv = counted  # noqa: SLF001

        transport._setup_transport = setup  # noqa: SLF001
        return transport


class _OnRabbitMQ(pyamqp.Transport):  # type: ignore[misc]
    Connection = _RabbitMQ


class _OnRabbitMQWithTLS(pyamqp.SSLTransport):  # type: ignore[misc]
    Connection = _RabbitMQ


_OURS = {
    redis.Transport: _Transport,
    redis.SentinelTransport: _SentinelTransport,
    pyamqp.Transport: _OnRabbitMQ,
    pyamqp.SSLTransport: _OnRabbitMQWithTLS,
}
