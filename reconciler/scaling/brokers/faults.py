"""Why a broker could not be read: in words of ours, one of these, whatever it was that answered.

Whoever writes a CeleryApp chooses the server, maybe one that they cannot reach themselves. So nothing that came over
the wire, and nothing that a client made of it, is ever said. What came only chooses among these words.
"""

import errno
import socket
import ssl
from collections.abc import Iterator

from reconciler.scaling.brokers import hosts
from reconciler.scaling.brokers.hosts import DeniedError, TooMuchError

REFUSED = "the connection was refused"
UNREACHABLE = "there is no way to it"
CLOSED = "the connection was closed"
LATE = "no answer in time"
NAME = "its name is not found"
TOO_MUCH = "it answers more than is read"
DENIED = "its address may not be connected to, see --broker-hosts"
UNTRUSTED = "its certificate is not trusted"
TLS = "TLS could not be begun with it"
FILE = "a file that the TLS settings name is not there"
OTHER = "it is not that kind of server"
LOGIN = "the log-in was refused"
FORBIDDEN = "the user may not do what is needed"
PLACE = "there is no such virtual host, or the user may not use it"
DATABASE = "there is no such database"
MASTER = "no sentinel tells the address of its master"
LOADING = "it is not ready yet"
FULL = "it takes no more connections"
KIND = "a key that is needed is of another kind"
LOCKED = "it belongs to another connection alone"
ABSENT = "it is not there, or its node is down"
COMMAND = "it refuses a command that is needed"
UNKNOWN = "its answers, or the settings for it, are not understood"

# By the names of the classes: they are the clients' of kombu, which are its business.
_CLASSES = {
    "kombu.exceptions.LimitExceeded": FULL,
    "reconciler.scaling.brokers.greeting.StrangerError": OTHER,
    "reconciler.scaling.brokers.greeting.FullError": FULL,
    "redis.sentinel.MasterNotFoundError": MASTER,
    "redis.exceptions.AuthenticationError": LOGIN,
    "redis.exceptions.AuthenticationWrongNumberOfArgsError": LOGIN,
    "redis.exceptions.AuthorizationError": FORBIDDEN,
    "redis.exceptions.NoPermissionError": FORBIDDEN,
    "redis.exceptions.BusyLoadingError": LOADING,
    "redis.exceptions.ReadOnlyError": LOADING,
    "redis.exceptions.ClusterDownError": LOADING,
    "redis.exceptions.MaxConnectionsError": FULL,
    "redis.exceptions.InvalidResponse": OTHER,
    "redis.exceptions.TimeoutError": LATE,
    "amqp.exceptions.AccessRefused": FORBIDDEN,
    "amqp.exceptions.NotAllowed": PLACE,
    "amqp.exceptions.InvalidPath": PLACE,
    "amqp.exceptions.ResourceLocked": LOCKED,
    "amqp.exceptions.NotFound": ABSENT,
    "amqp.exceptions.ResourceError": FULL,
    "amqp.exceptions.ConnectionForced": CLOSED,
    "amqp.exceptions.UnexpectedFrame": OTHER,
    "amqp.exceptions.FrameError": OTHER,
    "amqp.exceptions.FrameSyntaxError": OTHER,
}
_BEGINNINGS = {
    "max number of clients reached": FULL,
    "DB index is out of range": DATABASE,
    "invalid DB index": DATABASE,
    "WRONGTYPE": KIND,
    "NOAUTH": LOGIN,
    "NOPERM": FORBIDDEN,
}
"""How errors of a Redis begin that have no class of their own."""
_REDIS = frozenset({"redis.exceptions.ConnectionError", "redis.exceptions.ResponseError"})
_SYSTEM = {  # the narrower class first
    DeniedError: DENIED,
    TooMuchError: TOO_MUCH,
    ssl.SSLCertVerificationError: UNTRUSTED,
    ssl.SSLEOFError: CLOSED,
    ssl.SSLError: TLS,
    socket.gaierror: NAME,
    TimeoutError: LATE,
    ConnectionRefusedError: REFUSED,
    FileNotFoundError: FILE,
    PermissionError: FILE,
    IsADirectoryError: FILE,
    OSError: CLOSED,
}
_LOGIN_METHOD = (0, 0)
"""RabbitMQ refuses a log-in outside of any method."""


def words(error: BaseException) -> str:
    """Return one of the texts above for an error of any client."""
    if hosts.was_denied():
        return DENIED
    return next((found for each in _chain(error) if (found := _of(each))), UNKNOWN)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what led to it: kombu wraps the clients' errors, and they the system's."""
    seen = set[int]()
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _of(error: BaseException) -> str:
    names = [f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__]
    if "amqp.exceptions.AccessRefused" in names and getattr(error, "method_sig", None) in (None, _LOGIN_METHOD):
        return LOGIN
    if found := next((_CLASSES[name] for name in names if name in _CLASSES), ""):
        return found
    if _REDIS & set(names):
        text = str(error)
        known = next((its for beginning, its in _BEGINNINGS.items() if text.startswith(beginning)), "")
        return known or (COMMAND if "redis.exceptions.ResponseError" in names else _of_system(error.__context__))
    return _of_system(error)


def _of_system(error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return UNREACHABLE
    return next((its for kind, its in _SYSTEM.items() if isinstance(error, kind)), "")
