"""HTTP to the API server: JSON both ways over a pool of connections, a time-out on everything, one wait if asked to.

A token that is refused is shown once more. Nothing else is tried again here: the next pass does that, and knows more.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

import urllib3

from reconciler.cluster import errors
from reconciler.cluster.nesting import shallow
from reconciler.model import FIELD_MANAGER, installed_by
from render.errors import without_login

CONNECT_SECONDS = 3.0
UNAUTHORIZED, NOT_FOUND = 401, 404
LONGEST_WAIT_SECONDS = 2.0
"""For a Retry-After. Longer ones are the caller's to plan with, or a SIGTERM would have to wait for them."""

# Not packed: a network within a cluster costs less than packing on the API server, and LISTs are rare.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": FIELD_MANAGER}
_UNTYPED = "failed to create typed patch object"
"""How a 500 begins that is a 400: a field the server does not know (kubernetes/kubernetes#139253)."""
_NOISE = re.compile(r"^HTTPS?Connection(Pool)?\(.*?\): |\[Errno -?\d+\] ")
"""Of urllib3's messages: what is said of the server already, and numbers beside their words."""

_READ_BYTES = 1 << 16
DEEPEST = 200
"""Levels; an app may have 64 (render/load.py)."""
_REFUSALS: Mapping[int, type[errors.ClusterError]] = {
    400: errors.Invalid,
    401: errors.Unavailable,  # the kubelet writes a new token long before the old one ends
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Expired,
    422: errors.Invalid,
    429: errors.Throttled,
}


class Access(NamedTuple):
    """Where the API server is, and who we are to it."""

    server: str
    pool: Callable[[], urllib3.PoolManager]
    authorization: Callable[[], str | None]
    """Both are asked for every request: authorities and tokens are replaced while we run."""
    namespace: str = "default"
    """The pod's own, or that of the kubeconfig's context."""
    origin: str = ""
    """Where it is written, as messages name it: `context kind of ~/.kube/config`; empty in a pod."""

    def __str__(self) -> str:
        server = without_login(self.server)
        return f"{server} ({self.origin})" if self.origin else server


class Request(NamedTuple):
    subject: str
    """What it is about, as messages begin: `Deployment/shop/shop-worker`."""
    verb: str
    """As metrics and messages name it: list, apply, dry-run …"""
    method: str
    path: str
    query: Mapping[str, str | int] = {}
    body: Any = None
    content_type: str = "application/json"

    @property
    def writes(self) -> bool:
        return self.method != "GET" and "dryRun" not in self.query

    def __str__(self) -> str:
        return f"{self.subject} {self.verb}"


class Answer(NamedTuple):
    code: int
    body: Any
    """None when it was no JSON."""
    retry_after_seconds: float


@dataclass(frozen=True)
class Transport:
    access: Access
    may_write: Callable[[], bool]
    count: Callable[[str, str], None]
    """Told the verb and the code of every answer, `error` if there was none."""
    silence_seconds: float = 10.0
    """The longest wait for the next piece of an answer. All of it may take three times that."""
    write_seconds: Callable[[], float | None] = lambda: None
    """For how long nobody else may write; after that a write must not arrive any more. None: nobody else ever does."""

    def send(self, request: Request) -> Any:
        """Return the answer's JSON. Raises the classes of errors.py, Halted before a write that may not be."""
        answer = self._answer(request)
        if 0 < answer.retry_after_seconds <= LONGEST_WAIT_SECONDS:
            time.sleep(answer.retry_after_seconds)
            answer = self._answer(request)
        elif answer.code == UNAUTHORIZED:  # the token was replaced just now, or the server was too busy to look it up
            answer = self._answer(request)
        if answer.code >= 300:  # noqa: PLR2004 (redirects are not followed)
            raise _refusal(request, answer)
        if answer.body is None:
            raise errors.Unavailable(f"{request}: half an answer")
        return answer.body

    def stream(self, request: Request, silence_seconds: float) -> Iterator[bytes]:
        """Yield what the server sends as it comes, until it ends."""
        with self._outages(request):
            response = self._open(request, urllib3.Timeout(connect=CONNECT_SECONDS, read=silence_seconds))
            try:
                self.count(request.verb, str(response.status))
                if response.status != 200:  # noqa: PLR2004
                    raise _refusal(request, _answer(response, time.monotonic() + silence_seconds))
                yield from _pieces(response)
            finally:
                response.close()

    def _answer(self, request: Request) -> Answer:
        seconds = 3 * self.silence_seconds
        if request.writes:
            if (left := self.write_seconds()) is not None:
                left = max(left, 1.0)
                seconds = min(seconds, left)
                request = request._replace(query={**request.query, "timeout": f"{int(left)}s"})  # the server's own
            if not self.may_write():
                raise errors.Halted(f"{request}: not any more")
        with self._outages(request):
            deadline = time.monotonic() + seconds
            timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=self.silence_seconds, total=seconds)
            response = self._open(request, timeout)
            try:
                answer = _answer(response, deadline)
            except BaseException:
                response.close()  # what is left of it must not be taken for the next answer
                raise
        self.count(request.verb, str(answer.code))
        return answer

    def _open(self, request: Request, timeout: urllib3.Timeout) -> urllib3.BaseHTTPResponse:
        headers = _HEADERS | {"Content-Type": request.content_type}
        if authorization := self.access.authorization():
            headers["Authorization"] = authorization
        return self.access.pool().request(
            request.method,
            f"{self.access.server}{request.path}?{urlencode(request.query)}",
            headers=headers,
            body=None if request.body is None else json.dumps(request.body).encode(),
            timeout=timeout,
            retries=False,
            preload_content=False,
        )

    @contextmanager
    def _outages(self, request: Request) -> Iterator[None]:
        """Turn every way in which an answer does not come into Unavailable."""
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self.count(request.verb, "error")
            raise errors.Unavailable(f"{request}: {self.access}: {_NOISE.sub('', str(error))}") from error


def _answer(response: urllib3.BaseHTTPResponse, deadline: float) -> Answer:
    pieces = []
    for piece in _pieces(response):
        pieces.append(piece)
        if time.monotonic() > deadline:
            raise TimeoutError("the answer does not come to an end")
    try:
        body = parsed(b"".join(pieces))
    except ValueError:
        body = None
    return Answer(response.status, body, _seconds(response.headers.get("Retry-After")))


def parsed(body: bytes) -> Any:
    """Return the JSON, with null for what is nested so deep that Python cannot read it: one such object is not all."""
    try:
        return json.loads(body)
    except RecursionError:
        return json.loads(shallow(body.decode(), DEEPEST))


def _pieces(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Return the body as it comes; not by `stream`, which waits for all of a large piece, however slowly it comes."""
    return iter(lambda: response.read1(_READ_BYTES), b"")


def _refusal(request: Request, answer: Answer) -> errors.ClusterError:
    status = answer.body if isinstance(answer.body, dict) else {}
    said = str(status.get("message", "without a message"))
    if answer.code == NOT_FOUND and not status and (hint := installed_by(request.path)):
        said = f"the cluster does not know this kind: {hint}"
    refusal = _REFUSALS.get(answer.code, errors.ClusterError)
    if answer.code >= 500:  # noqa: PLR2004
        refusal = errors.Invalid if said.startswith(_UNTYPED) else errors.Unavailable
    return refusal(f"{request}: {answer.code} {said}", status, answer.retry_after_seconds)


def _seconds(retry_after: str | None) -> float:
    """Return how long to wait, 0 if nothing is said; the API server writes whole seconds, all else counts as one."""
    if retry_after is None:
        return 0.0
    return max(float(retry_after), 0.1) if retry_after.isdecimal() else 1.0
