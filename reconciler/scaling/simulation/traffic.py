"""Tasks as they arrive over time, whether recorded (trace.py) or invented (shapes.py). Pure values."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Step(NamedTuple):
    """Tasks that arrive evenly from a time on until the next step."""

    seconds: float
    """Since the beginning."""
    arrivals: int
    duration_seconds: float
    """Of each of them."""


class Batch(NamedTuple):
    """The tasks of a step, by their number."""

    begins_at: float
    gap_seconds: float
    """Between one task and the next."""
    tasks: int
    duration_seconds: float

    def arrived(self, until: float) -> int:
        """Return how many have come before a time."""
        return min(max(math.ceil((until - self.begins_at) / self.gap_seconds), 0), self.tasks)


@dataclass(frozen=True)
class Traffic:
    steps: tuple[Step, ...]
    """In the order of time."""
    end_seconds: float
    """When the last step ends."""

    @property
    def arrivals(self) -> int:
        return sum(step.arrivals for step in self.steps)

    def batches(self) -> Iterator[Batch]:
        """Yield the tasks of every step that has any."""
        ends = (*(step.seconds for step in self.steps[1:]), self.end_seconds)
        for step, end in zip(self.steps, ends, strict=True):
            if step.arrivals:
                yield Batch(step.seconds, (end - step.seconds) / step.arrivals, step.arrivals, step.duration_seconds)
