"""Who may read the metrics: the API server knows, as controller-runtime asks it."""

import logging
import time
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus

from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError
from reconciler.model import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW

log = logging.getLogger(__name__)

KEPT_SECONDS = 60.0
"""For so long what was found out of a token is taken for true."""
_MOST_KEPT = 1000
_READ = {"path": "/metrics", "verb": "get"}


class Readers:
    """Asks about tokens, and remembers the answers."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._clock = cluster, clock
        self._known: dict[bytes, tuple[HTTPStatus, float]] = {}
        """By the token's digest: no token is kept."""

    def known(self, authorization: str) -> HTTPStatus | None:
        """Return what is known of who shows this: OK if they may read the metrics, None if it is to be asked."""
        if not (token := _token(authorization)):
            return HTTPStatus.UNAUTHORIZED
        found, at = self._known.get(_digest(token), (None, 0.0))
        return found if self._clock() - at < KEPT_SECONDS else None

    def ask(self, authorization: str) -> HTTPStatus:
        """Find it out. From one thread at a time: nobody makes the API server busy through us."""
        if found := self.known(authorization):
            return found
        token = _token(authorization)
        try:
            found = self._found(token)
        except ClusterError as error:
            log.warning("metrics: %s", error)
            return HTTPStatus.INTERNAL_SERVER_ERROR
        if len(self._known) >= _MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known.pop(_digest(token), None)
        self._known[_digest(token)] = (found, self._clock())
        return found

    def _found(self, token: str) -> HTTPStatus:
        known = self._cluster.review(TOKEN_REVIEW, {"token": token})
        if not known.get("authenticated"):
            return HTTPStatus.UNAUTHORIZED
        user = known.get("user", {})
        names = {"username": "user", "uid": "uid", "groups": "groups", "extra": "extra"}
        who = {theirs: user[ours] for ours, theirs in names.items() if user.get(ours)}
        leave = self._cluster.review(SUBJECT_ACCESS_REVIEW, {"nonResourceAttributes": _READ, **who})
        return HTTPStatus.OK if leave.get("allowed") else HTTPStatus.FORBIDDEN


def _token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
