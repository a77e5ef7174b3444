"""One app within a pass: what there is of it, what is known about it, what was done and said. Pure values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from reconciler.apply import verdict
from reconciler.apply.child import Child
from reconciler.apply.step import Deed
from reconciler.apply.verdict import Verdict
from reconciler.cluster.live import App, Live
from reconciler.memory import Known, Scaled, digests
from reconciler.model import Outcome, Ref, StepResult
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import Decision, History


@dataclass(frozen=True)
class Work:
    app: App
    lives: Mapping[Ref, Live]
    """Everything there is of the app."""
    known: Known = field(default_factory=Known)
    scaled: Scaled | None = None
    """Its groups that are scaled; None if there is none."""
    results: tuple[StepResult, ...] = ()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """By group."""
    histories: Mapping[GroupKey, History] = field(default_factory=dict)
    """What the next decisions have to know."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Type to status, as they are now to be reported."""
    problem: str = ""
    """What could not be done about it besides its children."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that are scaled."""
        return self.scaled.groups if self.scaled else ()

    @property
    def unserved(self) -> Self:
        """The app as one whose children are not ours to apply."""
        return replace(self, known=Known(verdict=self.scaled.verdict if self.scaled else None))

    def decided(self, group: Group, decision: Decision, result: StepResult | None) -> Self:
        """Take in what was decided about a group, and what became of it."""
        failed = result is not None and result.outcome is Outcome.FAILED
        history = decision.unwritten if failed else decision.history
        return replace(
            self,
            results=(*self.results, *([result] if result else ())),
            decisions={**self.decisions, group.name: decision},
            histories={**self.histories, (self.app.uid, group.name): history},
            problem=self.problem or (result.message if result and failed else ""),
        )

    @property
    def scaling(self) -> dict[str, dict[str, int]]:
        """What was decided and seen, in numbers, by group."""
        return {name: {"replicas": each.replicas, **each.metrics} for name, each in self.decisions.items()}

    def needs_serving(self, now: datetime) -> bool:
        """Say whether anything has changed since the app was last served, and it is not too early to try again."""
        return not (self.known.is_at_rest(self.app, self.lives) or self.known.backs_off(self.app, now))

    def rejected(self, why: Verdict) -> Self:
        """Leave everything as it is until the app is changed."""
        return replace(self, known=Known(self.app.generation, rest=digests(self.lives), verdict=why))

    def failed(self, why: Verdict, now: datetime) -> Self:
        """Try again later."""
        failures, retry_at = self.known.retry(self.app, why, now)
        return replace(self, known=Known(self.app.generation, self.known.clean, None, why, failures, retry_at))

    def done(self, children: Iterable[Child], deeds: Iterable[Deed], now: datetime) -> Self:
        """Take in what became of the steps."""
        deeds = tuple(deeds)
        after = {deed.step.ref: deed.live for deed in deeds if not deed.error}
        lives = {ref: live for ref, live in ({**self.lives, **after}).items() if live}
        known = replace(self.known, clean=dict(_clean(children, deeds)))
        work = replace(self, lives=lives, known=known, results=(*self.results, *(deed.result for deed in deeds)))
        for deed in deeds:
            if deed.error:
                return work.failed(verdict.refused(deed.error), now)
        if waiting := [deed.step.message for deed in deeds if deed.step.outcome is Outcome.SKIPPED]:
            return replace(work, known=Known(self.app.generation, known.clean, None, verdict.waiting(waiting)))
        return replace(work, known=Known(self.app.generation, known.clean, digests(lives)))


def _clean(children: Iterable[Child], deeds: Iterable[Deed]) -> Iterable[tuple[Ref, tuple[bytes, bytes]]]:
    """Yield the children that are now as they shall be, and how they are: the server's last answer is the truth."""
    tried = {deed.step.ref: deed for deed in deeds}
    for child in children:
        deed = tried.get(child.ref)
        live = deed.live if deed else child.live
        if live and not (deed and (deed.error or deed.step.outcome is Outcome.SKIPPED)):
            yield child.ref, (child.digest, live.digest)
