"""What workers have in hand. Pure: how they are asked is inspection.py."""

from typing import NamedTuple

from reconciler.scaling.model import Task
from reconciler.scaling.pace import Counters


class Load(NamedTuple):
    """What one worker has in hand."""

    tasks: tuple[Task, ...]
    """Those it is executing."""
    uncounted: int
    """Messages it has that no Backlog counts. With them the sum is exact, however workers acknowledge and prefetch."""
    counters: Counters | None = None
    """None if it did not say."""


Node = tuple[str, str]
"""A control exchange, the setting of that name, and who is asked over it: `mail@shop-mail-5c7d9-x2x4z`."""
