"""What waits on the brokers, and what is being run of it: many brokers at once, one connection to each.

A broker that fails or hangs costs its own groups their answer, and everybody one time-out at most.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from reconciler import backlog, broker
from reconciler.broker import Broker
from reconciler.patience import Late, Patience
from reconciler.scaling import Backlog, Unreadable

Answer = TypeVar("Answer")


class Inquiry(NamedTuple):
    """What is to be known of a group's queues."""

    key: Hashable
    broker: Broker
    queues: frozenset[str]


class Brokers:
    """All brokers there are, for one caller at a time."""

    def __init__(self, timeout_seconds: float = 5.0, at_once: int = 32) -> None:
        self._patience: Patience[Broker] = Patience(timeout_seconds, at_once)

    def backlogs(self, inquiries: Iterable[Inquiry]) -> dict[Hashable, Backlog | Unreadable]:
        """Return what waits for each group, by the key of its inquiry."""
        asked = list(inquiries)
        groups: dict[Broker, set[frozenset[str]]] = defaultdict(set)
        for inquiry in asked:
            groups[inquiry.broker].add(inquiry.queues)
        found = self._answers({each: partial(_backlogs, each, wanted) for each, wanted in groups.items()})
        return {
            inquiry.key: answer if isinstance(answer := found[inquiry.broker], Unreadable) else answer[inquiry.queues]
            for inquiry in asked
        }

    def _answers(self, questions: dict[Broker, Callable[[Any], Answer]]) -> dict[Broker, Answer | Unreadable]:
        seconds = self._patience.seconds
        calls = {each: partial(broker.asked, each, seconds, question) for each, question in questions.items()}
        found = self._patience.ask(calls)
        return {
            each: Unreadable(f"{each}: {answer.reason}") if isinstance(answer, Late) else answer
            for each, answer in found.items()
        }


def _backlogs(each: Broker, groups: set[frozenset[str]], connection: Any) -> dict[frozenset[str], Backlog]:
    if each.is_redis:
        return backlog.on_redis(connection, str(each.options.get("global_keyprefix", "")), groups)
    return backlog.on_rabbitmq(connection, groups)
