"""Which servers may be connected to: whoever writes a CeleryApp chooses the address, and we stand where they do not.

Python tells its audit hooks of each name that is to be looked up, and of each address before it is connected to. So it
is the address itself that is judged, not a name that may lead elsewhere the next moment, and no client, Sentinel or
redirect leads past it. Only threads within `Hosts.only` are judged: the API server and Amazon's roles are not an app's.

A name of one word is a Service of the app's own namespace, where its workers look it up. So do we, whoever tells the
name, a Sentinel too; TLS still asks for a certificate in the name as it is written.
"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self

from render import naming

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_METADATA = ("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::/32")
"""Where Azure, Alibaba, Oracle, AWS and Google tell secrets to whoever asks; others do so at addresses of the link."""
_LINK = ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")
NEAR: tuple[Network, ...] = tuple(map(ip_network, (*_METADATA, *_LINK, "0.0.0.0/8", "::/128")))
"""What is connected to only if it is listed as a network."""
_NAT64 = ip_network("64:ff9b::/96")
_EVENTS = frozenset({"socket.__new__", "socket.getaddrinfo", "socket.connect"})
_HERE = threading.local()
MOST_BYTES = 32 << 20
"""That a server may answer in one look, half of it values (backlog.MOST_READ): all of it could be in memory at once."""
MOST_TOGETHER = 128 << 20
"""Bytes that may be in memory of all looks under way: a quarter of what kustomize/base limits the pod to."""


class DeniedError(OSError):
    """An address that may not be connected to."""


@dataclass(frozen=True)
class Hosts:
    """What `--broker-hosts` allows; if nothing is listed, all but this machine, its link and the metadata of clouds."""

    patterns: tuple[str, ...] = ()
    """Of names: `*.svc.cluster.local`."""
    networks: tuple[Network, ...] = ()
    """Of addresses, these ones whatever they are."""
    namespace: str = ""
    """In which names of one word are looked up; in our own if it is empty."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Return what a list says, with commas or spaces in between. Raises ValueError for what is none of both."""
        patterns, networks = list[str](), list[Network]()
        for each in text.replace(",", " ").split():
            try:
                networks.append(ip_network(each, strict=False))
            except ValueError:
                if not each.isprintable() or set(each) & set("/:@"):
                    raise ValueError(f"{each} is neither a host's name, such as *.example.com, nor a network") from None
                patterns.append(each.lower())
        return cls(tuple(patterns), tuple(networks))

    @contextmanager
    def only(self) -> Iterator[None]:
        """Let this thread connect to nothing else meanwhile: it raises DeniedError."""
        _listen()
        before, _HERE.watch = getattr(_HERE, "watch", None), _Watch(self)
        try:
            with _READ.by(_HERE.watch):
                yield
        finally:
            _HERE.watch = before

    def full(self, name: str) -> str:
        """Return the name that is looked up for it, and judged.

        `redis.shop` alone could be found outside of the cluster as long as the Service is not there.
        """
        return f"{name}.{self.namespace}.svc" if self.namespace and naming.is_word(name) else name

    def allow_name(self, name: str) -> bool:
        """Say whether a name may be looked up: one of which no address could be connected to need not be."""
        return bool(self.networks) or self._is_listed(name)

    def allow(self, name: str, address: str) -> bool:
        """Say whether an address may be connected to that was found under a name."""
        try:
            known = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if any(each in network for network in self.networks for each in _forms(known)):
            return True
        return self._is_listed(name) and not any(map(_is_special, _forms(known)))

    def _is_listed(self, name: str) -> bool:
        nothing = not self.patterns and not self.networks
        return nothing or any(fnmatchcase(name.lower().rstrip("."), pattern) for pattern in self.patterns)


class TooMuchError(OSError):
    """More than a server may answer in one look."""


class _Watch:
    """What a thread may do, and did."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts, self.name, self.denied, self.read = hosts, "", False, 0
        self.sockets = list[socket.socket]()

    def told(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.__new__":
            self.sockets.append(arguments[0])
        elif event == "socket.getaddrinfo":
            self.name = _text(arguments[0])
            self._judge(allowed=self.hosts.allow_name(self.name))
        else:
            _, address = arguments
            is_internet = isinstance(address, tuple) and isinstance(address[0], str)  # and no path of a Unix socket
            self._judge(allowed=is_internet and self.hosts.allow(self.name or address[0], address[0]))

    def _judge(self, *, allowed: bool) -> None:
        if not allowed:
            self.denied = True
            raise DeniedError("not allowed by --broker-hosts")


class _Read:
    """What all threads have read of servers and may still have in memory."""

    def __init__(self) -> None:
        self._lock, self._watches, self._bytes = threading.Lock(), 0, 0

    @contextmanager
    def by(self, watch: _Watch) -> Iterator[None]:
        with self._lock:
            self._watches += 1
        try:
            yield
        finally:
            with self._lock:
                self._watches, self._bytes = self._watches - 1, self._bytes - watch.read

    def more(self, watch: _Watch, count: int) -> int:
        """Count bytes, and return how many this thread may have: no more than its share where all have too many."""
        with self._lock:
            watch.read, self._bytes = watch.read + count, self._bytes + count
            return MOST_BYTES if self._bytes <= MOST_TOGETHER else min(MOST_BYTES, MOST_TOGETHER // self._watches)


_READ = _Read()


def was_denied() -> bool:
    """Say whether this thread has wanted to connect to what it may not: clients swallow that, and go on."""
    return bool((watch := getattr(_HERE, "watch", None)) and watch.denied)


def hang_up() -> None:
    """Close the sockets that this thread has made. Where TLS cannot begin, by its options, the clients leave them open.

    TLS is a socket of its own, that takes over the other's connection.
    """
    if watch := getattr(_HERE, "watch", None):
        while watch.sockets:
            if (each := watch.sockets.pop()).fileno() != -1:  # one that could not be made cannot be closed either
                each.close()


def received(count: int) -> None:
    """Count bytes of a server's. Raises TooMuchError when they are more than this thread may take."""
    if watch := getattr(_HERE, "watch", None):
        most = _READ.more(watch, count)
        if watch.read > most:
            raise TooMuchError("too much")


@cache
def _listen() -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and (watch := getattr(_HERE, "watch", None)):
            watch.told(event, arguments)

    sys.addaudithook(hook)  # which cannot be taken away again
    socket.getaddrinfo = _found


look_up = socket.getaddrinfo
"""The system's own."""


def _found(host: Any, *arguments: Any, **options: Any) -> Any:
    """Return the addresses of a host, as the clients ask for them."""
    watch = getattr(_HERE, "watch", None)
    return look_up(watch.hosts.full(_text(host)) if watch and host else host, *arguments, **options)


def _text(name: object) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _forms(address: Address) -> tuple[Address, ...]:
    """Return the address, and the IPv4 one that leads to the same."""
    if isinstance(address, IPv4Address):
        return (address,)
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return (address, inner) if inner else (address,)


def _is_special(address: Address) -> bool:
    return address.is_multicast or any(address in network for network in NEAR)
