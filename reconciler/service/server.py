"""HTTP for the kubelet and for Prometheus, bounded in all that a client can have of it: whoever reaches us may ask.

One thread for all connections, so that one costs a descriptor and a few kB. Of more than MOST_CONNECTIONS the oldest is
cut off: half requests, in any number, hold up nobody who says what they want at once.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple, Self

MOST_CONNECTIONS = 256
CLIENT_SECONDS = 5.0
"""In which a request has been sent and its answer taken."""
_HEAD_BYTES = 16 << 10
_BACKLOG = 128
"""So many connections are taken at a time: one that asks at once is answered before the others can push it out."""


class Answer(NamedTuple):
    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"

    def __bytes__(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {self.status.phrase}", f"Content-Type: {self.content_type}"]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + self.body


Page = Callable[[str], Awaitable[Answer]]
"""Answers, given what the client shows as its Authorization: nothing if it shows none."""


class Server:
    """Listens on every address there is: a cluster may be of IPv4, of IPv6 or of both. Raises OSError if it cannot."""

    def __init__(self, port: int, pages: Mapping[str, Page], client_seconds: float = CLIENT_SECONDS) -> None:
        self._pages, self._client_seconds = pages, client_seconds
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._loop = asyncio.new_event_loop()
        is_dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if is_dual else socket.AF_INET
        self._socket = socket.create_server(("", port), family=family, dualstack_ipv6=is_dual, backlog=_BACKLOG)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._socket.close()

    def _run(self) -> None:
        start = asyncio.start_server(self._served, sock=self._socket, limit=_HEAD_BYTES, backlog=_BACKLOG)
        listening = self._loop.run_until_complete(start)
        self._loop.run_forever()
        listening.close()
        for writer in self._open:
            writer.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            next(iter(self._open)).transport.abort()
        self._open[writer] = None
        try:
            with suppress(TimeoutError, asyncio.IncompleteReadError, OSError):
                async with asyncio.timeout(self._client_seconds):
                    writer.write(bytes(await self._answered(reader)))
                    writer.close()
                    await writer.wait_closed()
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader) -> Answer:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        request, *lines = head.decode("latin-1").split("\r\n")
        method, path, *_ = [*request.split(" "), "", ""]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if not (page := self._pages.get(path.partition("?")[0])):
            return Answer(HTTPStatus.NOT_FOUND)
        if method != "GET":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        return await page(headers.get("authorization", ""))
