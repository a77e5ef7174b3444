"""Children that somebody else changes again and again: set back less and less often, and said. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from reconciler.apply import ownership
from reconciler.apply.child import Child
from reconciler.model import Moment, Ref

PEACEFUL = 2
"""So often an object is set back and may be at once again: somebody may well try twice."""
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
FORGOTTEN_SECONDS = 3 * LONGEST_PAUSE_SECONDS


@dataclass(frozen=True)
class Fight:
    """One object, and what of it we have set back."""

    paths: frozenset[str]
    others: str
    """Who else writes there."""
    began: datetime
    last: datetime
    """By the steady clock."""
    count: int = 1

    def after(self, before: Self | None) -> Self:
        """Return this one as what goes on since before; two may take turns with two fields."""
        return replace(self, began=before.began, count=before.count + 1) if before else self

    @property
    def is_open(self) -> bool:
        """Say whether it is more than an edit by hand."""
        return self.count > PEACEFUL

    @property
    def held_until(self) -> datetime:
        """When it may be set back again."""
        seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self.count - PEACEFUL - 1, 16), LONGEST_PAUSE_SECONDS)
        return self.last + timedelta(seconds=seconds if self.is_open else 0)

    @property
    def forgotten_at(self) -> datetime:
        return self.last + timedelta(seconds=FORGOTTEN_SECONDS)

    def words(self, ref: Ref) -> str:
        what = ", ".join(sorted(path for path in self.paths if path)) or "all of it"
        who = f"{self.others} writes it too" if self.others else "something else removes it"
        return f"{ref.kind} {ref.name}: {what} is set back again and again, {who}"


def held(before: Mapping[Ref, Fight], ref: Ref, now: Moment) -> str:
    """Return why an object is left as it is for now; empty if it need not be."""
    fight = before.get(ref)
    return fight.words(ref) if fight and fight.is_open and now.steady < fight.held_until else ""


def contested(before: Fight | None, child: Child, now: Moment) -> Fight:
    """Return what is remembered once a child was set back."""
    paths = frozenset(change.path for change in child.changes)
    others = ownership.writers(child.live.managed_fields if child.live else (), paths)
    return Fight(paths, others, now.wall, now.steady).after(before)


def remembered(before: Mapping[Ref, Fight], now: Moment) -> dict[Ref, Fight]:
    """Return those that are not long ago."""
    return {ref: each for ref, each in before.items() if now.steady < each.forgotten_at}
