"""One thing to do to one object, and what became of it. Pure values."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from reconciler.apply.child import Child
from reconciler.cluster.errors import ClusterError
from reconciler.cluster.live import Live
from reconciler.model import Change, Outcome, Ref, StepResult
from reconciler.scaling.running import Cost


@dataclass(frozen=True)
class Step:
    outcome: Outcome
    """What it comes to once it is done."""
    ref: Ref
    child: Child | None = None
    """What to apply."""
    live: Live | None = None
    """What is there."""
    mends_ownership: bool = False
    """Whether managedFields are rewritten before the apply."""
    changes: tuple[Change, ...] = ()
    message: str = ""
    replicas: int = 0
    """To scale to."""
    costs: tuple[Cost, ...] = ()
    """Of pods, so that the right ones go."""

    @property
    def result(self) -> StepResult:
        return StepResult(self.ref, self.outcome, self.message, self.changes)

    def skipped(self, why: str) -> Self:
        return replace(self, outcome=Outcome.SKIPPED, message=why)


class Deed(NamedTuple):
    """A step, and what became of it."""

    step: Step
    live: Live | None = None
    """The object as it then was."""
    error: ClusterError | None = None

    @property
    def result(self) -> StepResult:
        result = self.step.result
        return result._replace(outcome=Outcome.FAILED, message=str(self.error)) if self.error else result
