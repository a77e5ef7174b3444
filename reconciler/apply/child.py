"""A child of an app: what it shall be, what is there, and what an apply would make of it. Pure values."""

from dataclasses import dataclass
from functools import cached_property

from reconciler.cluster.live import Live, digest, text_of
from reconciler.model import Change, Manifest, Ref, Verdict

NEVER = "1"
"""A resourceVersion that no object has: the first revision is that of an empty store."""


@dataclass(frozen=True)
class Child:
    """One desired child. Without a live object it is new; without an answer the server was not asked about it."""

    desired: Manifest
    live: Live | None = None
    answer: Manifest | None = None
    changes: tuple[Change, ...] = ()
    """What an apply would change of what is there."""
    obstacle: Verdict | None = None
    """Why it cannot be applied now."""
    is_listed: bool = True
    """Whether the lists show what is there; else nobody tells when that changes."""

    @cached_property
    def ref(self) -> Ref:
        return Ref.of(self.desired)

    @cached_property
    def digest(self) -> bytes:
        """Digest of what is desired."""
        return digest(text_of(self.desired))

    @property
    def about(self) -> bytes:
        """What a failure is about: what is desired, and what is there. Of anything else it says nothing."""
        live = self.live if self.is_listed else None
        return self.digest + (live.digest + bytes([live.is_terminating]) if live else b"")

    @property
    def guarded(self) -> Manifest:
        """What is applied: bound to the object that was seen, or else to there being none.

        Both are preconditions to the API server. One request thus creates safely: server-side apply creates an absent
        object whatever resourceVersion it names, and refuses (409) to touch one that has another.
        """
        guard = {"uid": self.live.uid} if self.live else {"resourceVersion": NEVER}
        return self.desired | {"metadata": self.desired["metadata"] | guard}

    @cached_property
    def needs(self) -> frozenset[tuple[str, str]]:
        """The children, by kind and name, without which it is of no use: what it mounts, scales, logs in by."""
        spec = self.desired.get("spec", {})
        volumes = spec.get("template", {}).get("spec", {}).get("volumes", ())
        named = [("ConfigMap", volume["configMap"]["name"]) for volume in volumes if "configMap" in volume]
        claims = (volume["persistentVolumeClaim"] for volume in volumes if "persistentVolumeClaim" in volume)
        named += [("PersistentVolumeClaim", claim["claimName"]) for claim in claims]
        if "scaleTargetRef" in spec:
            named.append(("Deployment", spec["scaleTargetRef"]["name"]))
        logins = (trigger.get("authenticationRef", {}).get("name") for trigger in spec.get("triggers", ()))
        named += [("TriggerAuthentication", name) for name in logins if name]
        paths = [path for rule in spec.get("rules", ()) for path in rule.get("http", {}).get("paths", ())]
        named += [("Service", path["backend"]["service"]["name"]) for path in paths]
        return frozenset(named)
