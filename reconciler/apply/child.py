"""A child of an app: what it shall be, what is there, and what an apply would make of it. Pure values."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from reconciler.cluster import live
from reconciler.cluster.live import Live
from reconciler.model import Manifest, Ref

NEVER = "1"
"""A resourceVersion that no object has: the first revision is that of an empty store."""


@dataclass(frozen=True)
class Child:
    """One desired child. Without a live object it is new; without an answer the server was not asked about it."""

    desired: Manifest
    live: Live | None = None
    answer: Manifest | None = None

    @cached_property
    def ref(self) -> Ref:
        return Ref.of(self.desired)

    @cached_property
    def digest(self) -> bytes:
        """Digest of what is desired."""
        return live.digest(live.text_of(self.desired))

    @property
    def guarded(self) -> Manifest:
        """What is applied: bound to the object that was seen, or else to there being none.

        Both are preconditions to the API server. One request thus creates safely: server-side apply creates an absent
        object whatever resourceVersion it names, and refuses (409) to touch one that has another.
        """
        guard = {"uid": self.live.uid} if self.live else {"resourceVersion": NEVER}
        return self.desired | {"metadata": self.desired["metadata"] | guard}

    def found(self, manifest: Manifest) -> Self:
        return replace(self, live=Live.of(manifest))

    def answered(self, manifest: Manifest) -> Self:
        return replace(self, answer=manifest)
