"""One thing to do to one object, and what became of it. Pure values."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from reconciler.apply import verdicts
from reconciler.apply.child import Child
from reconciler.cluster.errors import ClusterError
from reconciler.cluster.live import Live
from reconciler.model import Change, Outcome, Ref, StepResult, Verdict


@dataclass(frozen=True)
class Step:
    outcome: Outcome
    """What it comes to once it is done."""
    ref: Ref
    child: Child | None = None
    """What to apply; of a deletion what it makes room for."""
    live: Live | None = None
    """What is there."""
    mends_ownership: bool = False
    """Whether managedFields are rewritten before the apply."""
    changes: tuple[Change, ...] = ()
    obstacle: Verdict | None = None
    """Why it cannot be done."""
    message: str = ""
    """Why it is left for later."""

    @property
    def result(self) -> StepResult:
        return StepResult(
            self.ref, self.outcome, self.obstacle.message if self.obstacle else self.message, self.changes
        )

    def later(self, why: str) -> Self:
        """Return the step as one that is left for later."""
        return replace(self, outcome=Outcome.SKIPPED, message=why)


class Done(NamedTuple):
    """A step, and what became of it."""

    step: Step
    live: Live | None = None
    """The object as it then was."""
    error: ClusterError | None = None

    @property
    def is_written(self) -> bool:
        return self.error is None and self.step.outcome.writes

    @property
    def obstacle(self) -> Verdict | None:
        return verdicts.refused(self.error) if self.error else self.step.obstacle

    @property
    def result(self) -> StepResult:
        result = self.step.result
        return result._replace(outcome=Outcome.FAILED, message=str(self.error)) if self.error else result
