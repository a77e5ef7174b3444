"""/healthz, /readyz and /metrics over HTTP, for the kubelet and for Prometheus."""

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

CLIENT_SECONDS = 30.0
"""A client that is silent for longer is gone: it would keep a thread and a descriptor for ever."""


class Health:
    """When things last went well. A process is healthy while all its threads turn, ready while it is answered."""

    def __init__(self, clock: Callable[[], float], patience_seconds: float) -> None:
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._turned_at: dict[str, float] = {}
        self._answered_at = float("-inf")

    def turned(self, thread: str) -> None:
        """Note that a thread goes on."""
        self._turned_at[thread] = self._clock()

    def answered(self, code: str) -> None:
        """Note an answer of the API server: it is at work even when it refuses, unless it does not know us."""
        if code.isdecimal() and int(code) < 500 and code not in {"401", "403"}:  # noqa: PLR2004
            self._answered_at = self._clock()

    @property
    def healthy(self) -> bool:
        return all(self._is_recent(at) for at in list(self._turned_at.values()))

    @property
    def ready(self) -> bool:
        return self._is_recent(self._answered_at)

    def _is_recent(self, at: float) -> bool:
        return self._clock() - at < self._patience_seconds


class _Server(ThreadingHTTPServer):
    """Listens on every address there is: a cluster may be of IPv4, of IPv6 or of both."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def serve(
    port: int, health: Health, registry: CollectorRegistry, client_seconds: float = CLIENT_SECONDS
) -> ThreadingHTTPServer:
    """Return the server, answering in threads. Raises OSError when the port is taken."""
    pages = {"/healthz": lambda: health.healthy, "/readyz": lambda: health.ready}

    class Handler(MetricsHandler):
        timeout = client_seconds

        def do_GET(self) -> None:  # noqa: N802 (its name in http.server)
            if self.path in pages:
                self.say(good=pages[self.path]())
            elif self.path == "/metrics":
                super().do_GET()
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def say(self, *, good: bool) -> None:
            self.send_response(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)
            self.end_headers()
            self.wfile.write(b"yes\n" if good else b"no\n")

    Handler.registry = registry
    server = _Server(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
