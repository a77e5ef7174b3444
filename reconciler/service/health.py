"""/healthz, /readyz and /metrics over HTTP, for the kubelet and for Prometheus."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from reconciler.service.readers import Readers
from reconciler.service.server import Answer, Server

KEPT_SECONDS = 0.5


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


def serve(port: int, health: Health, registry: CollectorRegistry, readers: Readers | None = None) -> Server:
    """Return the server; the metrics for those alone that may read them. Raises OSError when the port is taken."""
    metrics, telling, asking = _Metrics(registry), ThreadPoolExecutor(1, "metrics"), ThreadPoolExecutor(1, "readers")

    async def read(authorization: str) -> Answer:
        loop = asyncio.get_running_loop()
        if readers:
            status = readers.known(authorization)
            if status is None:
                status = await loop.run_in_executor(asking, readers.ask, authorization)
            if status != HTTPStatus.OK:
                return Answer(status)
        return Answer(HTTPStatus.OK, await loop.run_in_executor(telling, metrics.text), CONTENT_TYPE_LATEST)

    pages = {"/healthz": lambda: health.healthy, "/readyz": lambda: health.ready}
    return Server(port, {path: partial(_said, holds) for path, holds in pages.items()} | {"/metrics": read})


async def _said(holds: Callable[[], bool], _: str) -> Answer:
    return Answer(HTTPStatus.OK, b"yes\n") if holds() else Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"no\n")


class _Metrics:
    """The metrics as text, which takes long to make of many groups: all who ask within a moment get the same."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry, self._text, self._made_at = registry, b"", float("-inf")

    def text(self) -> bytes:
        if time.monotonic() - self._made_at > KEPT_SECONDS:
            self._text, self._made_at = generate_latest(self._registry), time.monotonic()
        return self._text
