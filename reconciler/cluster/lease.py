"""Who may write: one of several reconcilers, by a Lease that it renews.

`kubernetes.leaderelection` does not give the Lease back when the process ends, and needs the typed models.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, NamedTuple

from reconciler.cluster import errors
from reconciler.cluster.client import Cluster
from reconciler.model import LEASE, Manifest, Ref

log = logging.getLogger(__name__)

VERSION = "celeryproject.org/version"
"""The annotation that says what the holder is, or the last one was."""
OLDER_WAITS_SECONDS = 60
"""So long who is older leaves a Lease to others that nobody has: in a rolling update it changes hands one way only."""
NEVER = float("-inf")


class Claim(NamedTuple):
    """Who wants which Lease, and the periods of client-go's leader election: 15, 10, 2 and 1 s."""

    namespace: str
    name: str
    identity: str
    version: str
    duration_seconds: int = 15
    """After so long without a renewal others may take the Lease."""

    @property
    def ref(self) -> Ref:
        return Ref(LEASE.api_version, LEASE.name, self.namespace, self.name)

    @property
    def deadline_seconds(self) -> float:
        """After so long without a renewal we write no more: what is on its way then has the rest to arrive."""
        return self.duration_seconds * 2 / 3

    @property
    def renewal_seconds(self) -> float:
        return self.duration_seconds * 2 / 15

    @property
    def polling_seconds(self) -> float:
        """Within this time a Lease that was given back is taken."""
        return self.duration_seconds / 15


class Alone:
    """Instead of a Lease, where there is no other reconciler: we may always write."""

    term = 1

    def held(self) -> bool:
        return True

    def seconds_left(self) -> None:
        """Return None: there is no end."""

    def start(self, changed: Callable[[], None], turned: Callable[[], None] = lambda: None) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


class Lease:
    """A claim tended by a thread of its own, so that a long pass does not lose the Lease."""

    def __init__(self, cluster: Cluster, claim: Claim, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._claim = claim
        self._clock = clock
        self._lock = threading.Lock()  # held while the Lease is read or written
        self._released = threading.Event()
        self._renewed_at = NEVER
        self._terms = 0
        self._live: Manifest | None = None
        self._unchanged_since = NEVER  # by our own clock: those of other machines may be wrong

    def held(self) -> bool:
        """Say whether we may write: no as soon as a renewal is late. Asks nobody."""
        return self._clock() - self._renewed_at < self._claim.deadline_seconds

    @property
    def term(self) -> int:
        """Which time it is that we hold the Lease, 0 while we do not: what was planned in one term ends with it."""
        return self._terms if self.held() else 0

    def seconds_left(self) -> float:
        """Return for how long nobody else may take it; none if we do not hold it."""
        return max(0.0, self._renewed_at + self._claim.duration_seconds - self._clock())

    def start(self, changed: Callable[[], None], turned: Callable[[], None] = lambda: None) -> None:
        """Claim the Lease until it is released; tell whenever it is won or lost, and at every turn that we go on."""
        threading.Thread(target=self._tend_until_released, args=[changed, turned], name="lease", daemon=True).start()

    def release(self) -> None:
        """Give the Lease back, so that another may have it at once."""
        self._released.set()
        with self._lock:
            if not self.held():
                return
            self._renewed_at = NEVER
            try:
                self._cluster.replace(self._written("", duration_seconds=1))
            except errors.ClusterError as error:
                log.warning("not released, it will lapse: %s", error)

    def tend(self) -> None:
        """Take the Lease if nobody has it, renew it if it is ours. Raises ClusterError."""
        with self._lock:
            if self._released.is_set():
                return
            asked_at, held = self._clock(), self.held()
            if not held:
                self._look(asked_at)
            taken = self._taken(asked_at)
            if not taken and held:  # it is not as we knew it: by our own renewal, maybe, whose answer was lost
                self._look(asked_at)
                taken = self._spec().get("holderIdentity") == self._claim.identity and self._taken(asked_at)
            self._terms += taken and not (held and self.held())  # answers may take longer than it was ours
            self._renewed_at = asked_at if taken else NEVER

    def _tend_until_released(self, changed: Callable[[], None], turned: Callable[[], None]) -> None:
        term = 0
        while not self._released.is_set():
            turned()
            try:
                self.tend()
            except errors.ClusterError as error:
                log.warning("%s", error)
            except Exception:  # without this thread we would look well and never write again
                log.exception("%s", self._claim.ref)
            if term != self.term:
                term = self.term
                log.info("%s %s by %s", self._claim.ref, "held" if term else "lost", self._claim.identity)
                changed()
            self._released.wait(self._claim.renewal_seconds if term else self._claim.polling_seconds)

    def _look(self, now: float) -> None:
        try:
            live = self._cluster.get(self._claim.ref)
        except errors.NotFound:
            self._live = None
            return
        if live != self._live:
            self._live, self._unchanged_since = live, now

    def _free(self, now: float) -> bool:
        """Say whether nobody has the Lease, or nobody but us, or nobody who still renews it."""
        spec = self._spec()
        if (holder := spec.get("holderIdentity")) == self._claim.identity:
            return True
        seconds = (spec.get("leaseDurationSeconds") or self._claim.duration_seconds) if holder else 0
        if _numbers(self._claim.version) < _numbers(self._annotations().get(VERSION, "")):
            seconds = max(seconds, OLDER_WAITS_SECONDS)
        return now - self._unchanged_since >= seconds

    def _taken(self, now: float) -> bool:
        """Take it if it is free, and say whether nobody else was quicker."""
        if not self._free(now):
            return False
        try:
            self._take()
        except errors.Conflict:
            return False
        return True

    def _take(self) -> None:
        lease = self._written(self._claim.identity, self._claim.duration_seconds)
        self._live = self._cluster.create(lease) if self._live is None else self._cluster.replace(lease)

    def _written(self, holder: str, duration_seconds: int) -> Manifest:
        """Return the Lease as this holder would write it; its resourceVersion lets the server refuse the slower one."""
        old, now = self._spec(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = old | {"holderIdentity": holder, "leaseDurationSeconds": duration_seconds, "renewTime": now}
        if holder and holder != old.get("holderIdentity"):
            spec |= {
                "acquireTime": now,
                "leaseTransitions": (old.get("leaseTransitions") or 0) + (self._live is not None),
            }
        ref = self._claim.ref
        metadata = self._live["metadata"] if self._live else {"namespace": ref.namespace, "name": ref.name}
        metadata = metadata | {"annotations": self._annotations() | {VERSION: self._claim.version}}
        return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "spec": spec}

    def _spec(self) -> dict[str, Any]:
        return (self._live or {}).get("spec") or {}

    def _annotations(self) -> dict[str, str]:
        return self._live["metadata"].get("annotations") or {} if self._live else {}


def _numbers(version: str) -> tuple[int, ...]:
    """Return what orders versions: (0, 10, 0) of 0.10.0, (0, 10) of 0.10.0rc1, () of what is none, the oldest."""
    return tuple(map(int, takewhile(str.isdecimal, version.split("."))))
