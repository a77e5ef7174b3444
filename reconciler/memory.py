"""What is kept from pass to pass, to save work only: an empty memory is always right. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.apply.child import Child
from reconciler.apply.verdict import Verdict
from reconciler.cluster.live import App, Live
from reconciler.model import Ref
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import History

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class Known:
    """What the last pass found out about one app."""

    generation: int = -1
    clean: Mapping[Ref, tuple[bytes, bytes]] = field(default_factory=dict)
    """Children the server has nothing to change about: digests of what was desired and of what was there."""
    rest: Mapping[Ref, bytes] | None = None
    """Everything there was of the app when there was nothing left to do; None while there is."""
    verdict: Verdict | None = None
    failures: int = 0
    retry_at: datetime | None = None

    def is_at_rest(self, app: App, lives: Mapping[Ref, Live]) -> bool:
        """Say whether neither the app nor anything of it has changed since there was nothing left to do."""
        return self.generation == app.generation and self.rest == digests(lives)

    def backs_off(self, app: App, now: datetime) -> bool:
        """Say whether the app failed lately, and has not been changed since."""
        return self.generation == app.generation and self.retry_at is not None and now < self.retry_at

    def is_clean(self, child: Child) -> bool:
        """Say whether the server need not be asked: it was, about exactly this."""
        return child.live is not None and self.clean.get(child.ref) == (child.digest, child.live.digest)

    def retry(self, app: App, verdict: Verdict, now: datetime) -> tuple[int, datetime]:
        """Return how often the app has failed with this spec, and when it is tried again: later each time."""
        failures = self.failures + 1 if self.generation == app.generation else 1
        seconds = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_RETRY_SECONDS)
        return failures, now + timedelta(seconds=max(seconds, verdict.retry_after_seconds))


class Scaled(NamedTuple):
    """The groups of an app that are scaled, as its spec of this generation has them."""

    generation: int
    groups: tuple[Group, ...]
    verdict: Verdict | None = None
    """Why there are none, of an app that is invalid."""


@dataclass(frozen=True)
class Memory:
    apps: Mapping[str, Known] = field(default_factory=dict)
    """By UID: an app that is deleted and created again is another."""
    scaled: Mapping[str, Scaled] = field(default_factory=dict)
    """By UID as well."""
    histories: Mapping[GroupKey, History] = field(default_factory=dict)
    """Without them nothing is scaled in for as long as its window is, as after a restart."""
    lives: Mapping[Ref, Live] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    """By UID: what the last pass could not do besides the children, and has said."""

    def of(self, app: App) -> Known:
        return self.apps.get(app.uid, Known())


def digests(lives: Mapping[Ref, Live]) -> dict[Ref, bytes]:
    return {ref: live.digest for ref, live in lives.items()}
