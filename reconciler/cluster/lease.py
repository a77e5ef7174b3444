"""Who may write: one of several reconcilers, by a Lease that it renews.

`kubernetes.leaderelection` does not give the Lease back when the process ends, and needs the typed models.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from reconciler.cluster import errors
from reconciler.cluster.client import Cluster
from reconciler.model import LEASE, Manifest, Ref

log = logging.getLogger(__name__)

NEVER = float("-inf")


class Claim(NamedTuple):
    """Who wants which Lease, and the periods of client-go's leader election: 15, 10, 2 and 1 s."""

    namespace: str
    name: str
    identity: str
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

    def held(self) -> bool:
        return True

    def start(self, changed: Callable[[], None]) -> None:
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
        self._held_until = NEVER
        self._live: Manifest | None = None
        self._unchanged_since = NEVER  # by our own clock: those of other machines may be wrong

    def held(self) -> bool:
        """Say whether we may write: no as soon as a renewal is late. Asks nobody."""
        return self._clock() < self._held_until

    def start(self, changed: Callable[[], None]) -> None:
        """Claim the Lease until it is released, and tell whenever it is won or lost."""
        threading.Thread(target=self._tend_until_released, args=[changed], name="lease", daemon=True).start()

    def release(self) -> None:
        """Give the Lease back, so that another may have it at once."""
        self._released.set()
        with self._lock:
            if not self.held():
                return
            self._held_until = NEVER
            try:
                self._cluster.replace(self._written("", duration_seconds=1))
            except errors.ClusterError as error:
                log.warning("not released, it will lapse: %s", error)

    def tend(self) -> None:
        """Take the Lease if nobody has it, renew it if it is ours. Raises ClusterError."""
        with self._lock:
            if self._released.is_set():
                return
            asked_at = self._clock()
            if not self.held():
                self._look(asked_at)
            taken = self._taken(asked_at)
            if not taken and self.held():  # it is not as we knew it: by our own renewal, maybe, whose answer was lost
                self._look(asked_at)
                taken = self._spec().get("holderIdentity") == self._claim.identity and self._taken(asked_at)
            self._held_until = asked_at + self._claim.deadline_seconds if taken else NEVER

    def _tend_until_released(self, changed: Callable[[], None]) -> None:
        held = False
        while not self._released.is_set():
            try:
                self.tend()
            except errors.ClusterError as error:
                log.warning("%s", error)
            if held != self.held():
                held = not held
                log.info("%s %s by %s", self._claim.ref, "held" if held else "lost", self._claim.identity)
                changed()
            self._released.wait(self._claim.renewal_seconds if held else self._claim.polling_seconds)

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
        if spec.get("holderIdentity") in {None, "", self._claim.identity}:
            return True
        return now - self._unchanged_since > (spec.get("leaseDurationSeconds") or self._claim.duration_seconds)

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
        return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "spec": spec}

    def _spec(self) -> dict[str, Any]:
        return (self._live or {}).get("spec") or {}
