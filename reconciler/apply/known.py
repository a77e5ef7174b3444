"""What is remembered of applying one app, to save work and to know who else changes what: an empty one is always right.

Pure values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self, TypeVar

from reconciler.apply import admission, fights, verdicts
from reconciler.apply.child import Child
from reconciler.apply.fights import Fight
from reconciler.apply.step import Done
from reconciler.cluster.live import App, Live, digest
from reconciler.model import Moment, Outcome, Ref, Verdict

T = TypeVar("T")

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0


def retry_seconds(count: int) -> float:
    """Return how long to wait after so many failures."""
    return min(FIRST_RETRY_SECONDS * 2.0 ** min(count - 1, 16), LONGEST_RETRY_SECONDS)


@dataclass(frozen=True)
class Failure:
    """What could not be done lately, and when it is tried again: later each time."""

    verdict: Verdict
    about: bytes
    count: int
    retry_at: datetime

    @classmethod
    def after(cls, before: "Failure | None", verdict: Verdict, about: bytes, now: Moment) -> Self:
        count = before.count + 1 if before and before.about == about else 1
        seconds = max(retry_seconds(count), verdict.retry_after_seconds)
        return cls(verdict, about, count, now.steady + timedelta(seconds=seconds))


@dataclass(frozen=True)
class Known:
    generation: int = -1
    clean: Mapping[Ref, tuple[bytes, bytes]] = field(default_factory=dict)
    """Children the server has nothing to change about: digests of what was desired and of what was there."""
    altered: Mapping[Ref, tuple[str, ...]] = field(default_factory=dict)
    """Of which children the cluster has changed fields of ours on their way in, and which."""
    rest: bytes | None = None
    """Everything there was of the app when there was nothing left to do; None while there is."""
    verdict: Verdict | None = None
    failures: Mapping[Ref, Failure] = field(default_factory=dict)
    """Of children; of the app itself where the fault is ours."""
    fights: Mapping[Ref, Fight] = field(default_factory=dict)

    def is_at_rest(self, app: App, lives: Mapping[Ref, Live]) -> bool:
        """Say whether neither the app nor anything of it has changed since there was nothing left to do."""
        return self.generation == app.generation and self.rest == digested(lives)

    def is_clean(self, child: Child) -> bool:
        """Say whether the server need not be asked: it was, about exactly this."""
        return child.live is not None and self.clean.get(child.ref) == (child.digest, child.live.digest)

    def made(self, child: Child) -> bool:
        """Say whether it was as it is desired, by our doing, whatever it is now."""
        return self.clean.get(child.ref, (b"",))[0] == child.digest

    def failed(self, ref: Ref, about: bytes, now: Moment) -> Failure | None:
        """Return why something was not done just now, while it is too early to try it again."""
        failure = self.failures.get(ref)
        return failure if failure and failure.about == about and now.steady < failure.retry_at else None

    def due(self, now: Moment) -> datetime | None:
        """Return when to look again though nothing happens."""
        times = [each.retry_at for each in self.failures.values()]
        times += [at for each in self.fights.values() for at in (each.held_until, each.forgotten_at)]
        return min((at for at in times if at > now.steady), default=None)

    def rejected(self, app: App, lives: Mapping[Ref, Live], why: Verdict) -> Self:
        """Leave everything as it is until the app is changed."""
        return replace(self, generation=app.generation, rest=digested(lives), verdict=why, failures={})

    def crashed(self, app: App, error: BaseException, now: Moment) -> Self:
        """Try again later."""
        why, about = verdicts.crashed(error), digest(str(app.generation))
        failures = {app.ref: Failure.after(self.failures.get(app.ref), why, about, now)}
        return replace(self, generation=app.generation, rest=None, verdict=why, failures=failures)

    def after(self, app: App, children: Iterable[Child], done: Iterable[Done], now: Moment) -> Self:
        """Take in what became of the steps."""
        children, tried = tuple(children), {each.step.ref: each for each in done}
        obstacles = {ref: each.obstacle for ref, each in tried.items() if each.obstacle}
        about = {child.ref: child.about for child in children}
        waiting = {child.ref: kept for child in children if (kept := self.failed(child.ref, child.about, now))}
        failures = {
            ref: waiting.get(ref) or Failure.after(self.failures.get(ref), why, about.get(ref, b""), now)
            for ref, why in obstacles.items()
            if why.reason != verdicts.LIST_FAILED  # it is heard of when that is over
        }
        again = {
            child.ref: child
            for child in children
            if self.made(child) and child.ref in tried and tried[child.ref].is_written
        }
        still = (*about, app.ref)  # what is not wanted any more and comes back later is new
        contested = {ref: fights.contested(self.fights.get(ref), child, now) for ref, child in again.items()}
        return replace(
            self,
            generation=app.generation,
            rest=None,
            clean={**_of(still, self.clean), **dict(_clean(children, tried))},
            altered={child.ref: found for child in children if (found := self._altered(child, tried.get(child.ref)))},
            verdict=verdicts.together(obstacles.values()),
            failures=failures,
            fights={**_of(still, self.fights), **contested},
        )

    def _altered(self, child: Child, done: Done | None) -> tuple[str, ...]:
        """Return which of a child's fields the cluster has changed, by the server's last answer about it."""
        if done and done.is_written and done.live:
            return admission.altered(child.desired, done.live.manifest)
        if child.answer:
            return admission.altered(child.desired, child.answer)
        is_as_before = child.obstacle or self.is_clean(child)
        return self.altered.get(child.ref, ()) if is_as_before else ()  # else it is there to the letter

    def resting(self, lives: Mapping[Ref, Live]) -> Self:
        return replace(self, rest=digested(lives))


def digested(lives: Mapping[Ref, Live]) -> bytes:
    """Return a digest of all that is stable of these objects."""
    return digest("".join(f"{ref}{live.digest.hex()}{live.is_terminating}" for ref, live in sorted(lives.items())))


def _of(refs: Iterable[Ref], known: Mapping[Ref, T]) -> dict[Ref, T]:
    return {ref: known[ref] for ref in refs if ref in known}


def _clean(children: Iterable[Child], tried: Mapping[Ref, Done]) -> Iterable[tuple[Ref, tuple[bytes, bytes]]]:
    """Yield the children that are now as they shall be, and how they are: the server's last answer is the truth."""
    for child in children:
        done = tried.get(child.ref)
        live = done.live if done else child.live
        if live and not (done and (done.error or done.step.outcome is Outcome.SKIPPED)):
            yield child.ref, (child.digest, live.digest)
