"""An API server that fails on demand: a proxy in front of the real one. Standard library only.

    with proxy.fault(answer(503), on="PATCH .*/deployments/"):
        …

While the block runs, every request whose `METHOD /path?query` matches meets that fault; all others reach the server.
"""

import contextlib
import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from cluster import Cluster

Fault = Callable[["Exchange"], None]


def answer(code: int, message: str = "by the fault proxy", **headers: str) -> Fault:
    """Return a fault: the server refuses, `Retry_After="1"` tells for how long."""

    def fault(exchange: "Exchange") -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
        if code == http.HTTPStatus.GONE:
            status["reason"] = "Expired"
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        exchange.send(code, json.dumps(status).encode(), named)

    return fault


def silence(exchange: "Exchange") -> None:
    """Never answer: the request does not reach the server."""
    exchange.rfile.read(1)  # returns when the client hangs up


def reset(exchange: "Exchange") -> None:
    """Break the connection before the request reaches the server."""
    exchange.close_connection = True  # nothing may be read any more: the next connection gets the same file descriptor
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=exchange.connection.detach()).close()


def half_an_answer(exchange: "Exchange") -> None:
    """Do what is asked, but break the connection in the middle of the answer."""
    response = exchange.forwarded()
    body = response.read()
    exchange.head(response.status, {"Content-Length": str(len(body))})
    exchange.wfile.write(body[: len(body) // 2])
    exchange.close_connection = True


def half_the_json(exchange: "Exchange") -> None:
    """Do what is asked, and give half of the answer as if it were all."""
    response = exchange.forwarded()
    body = response.read()
    exchange.send(response.status, body[: len(body) // 2], {})


def half_the_chunks(exchange: "Exchange") -> None:
    """Do what is asked, but break the connection between two pieces of the answer."""
    response = exchange.forwarded()
    body = response.read()
    exchange.head(response.status, {"Transfer-Encoding": "chunked"})
    exchange.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
    exchange.close_connection = True


def trickle(exchange: "Exchange") -> None:
    """Do what is asked, and give the answer so slowly that it never ends."""
    response = exchange.forwarded()
    body = response.read()
    exchange.head(response.status, {"Content-Length": str(len(body))})
    _drip(exchange, body)


def trickling_chunk(exchange: "Exchange") -> None:
    """Do the same within one large piece."""
    response = exchange.forwarded()
    body = response.read()
    exchange.head(response.status, {"Transfer-Encoding": "chunked"})
    exchange.wfile.write(b"%x\r\n" % len(body))
    _drip(exchange, body)
    exchange.wfile.write(b"\r\n0\r\n\r\n")


def _drip(exchange: "Exchange", body: bytes) -> None:
    for byte in body:
        exchange.wfile.write(bytes([byte]))
        time.sleep(0.05)


class Rule(NamedTuple):
    on: re.Pattern[str]
    fault: Fault
    left: list[None] | None


class Exchange(BaseHTTPRequestHandler):
    """A connection of a client, and one to the server that answers for it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream: http.client.HTTPSConnection | None = None
    server: "FaultProxy"

    def meet(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        line = f"{self.command} {self.path}"
        self.server.requests.append(line)
        (self.server.fault_of(line) or forward)(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = meet  # noqa: N815 (names of http.server)

    def forwarded(self) -> http.client.HTTPResponse:
        """Return what the server says."""
        self.upstream = self.upstream or self.server.connect()
        names = ("Authorization", "Content-Type", "Accept", "Accept-Encoding", "User-Agent")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        self.upstream.request(self.command, self.path, self.body, headers)
        return self.upstream.getresponse()

    def send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.head(code, headers | {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, text in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, text)
        self.end_headers()

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client hung up, as most faults make it do
            super().handle()

    def finish(self) -> None:
        if self.upstream:
            self.upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Say nothing: what was asked is in `FaultProxy.requests`."""


def forward(exchange: Exchange) -> None:
    """Pass the request on, and the answer back as it comes."""
    response = exchange.forwarded()
    names = ("Content-Type", "Content-Encoding", "Retry-After")
    headers = {name: response.headers[name] for name in names if name in response.headers}
    if response.length is not None:
        exchange.send(response.status, response.read(), headers)
        return
    exchange.head(response.status, headers | {"Transfer-Encoding": "chunked"})
    while piece := response.read1():
        exchange.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    exchange.wfile.write(b"0\r\n\r\n")


class FaultProxy(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # those that are silent may be so to the end

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.requests: list[str] = []
        self._rules: list[Rule] = []
        self._upstream = cluster
        self._trusted = ssl.create_default_context(cafile=cluster.folder / "tls.crt")
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(cluster.folder / "tls.crt", cluster.folder / "tls.key")
        self.socket = own.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @contextmanager
    def fault(self, fault: Fault, on: str = "", times: int | None = None) -> Iterator[None]:
        """Let requests that match meet the fault: all of them, or so many."""
        rule = Rule(re.compile(on), fault, None if times is None else [None] * times)
        self._rules.append(rule)
        try:
            yield
        finally:
            self._rules.remove(rule)

    def fault_of(self, line: str) -> Fault | None:
        for rule in list(self._rules):
            if rule.on.search(line) and (rule.left is None or _taken(rule.left)):
                return rule.fault
        return None

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._upstream.port, context=self._trusted)

    def handle_error(self, *_: object) -> None:
        """Say nothing: broken connections are the purpose."""


def _taken(left: list[None]) -> bool:
    """Take one, unless another thread has taken the last."""
    try:
        left.pop()
    except IndexError:
        return False
    return True


@contextmanager
def running(cluster: Cluster) -> Iterator[FaultProxy]:
    """Yield a proxy in front of the cluster's API server."""
    with FaultProxy(cluster) as proxy:
        threading.Thread(target=proxy.serve_forever, args=[0.05], daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
