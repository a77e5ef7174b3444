"""What waits on the brokers, and what is being run of it: many brokers at once, one connection to each.

A broker that fails or hangs costs its own groups their answer, and everybody one time-out at most.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from reconciler.scaling.brokers import backlog, broker
from reconciler.scaling.brokers.backlog import Uncounted
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.load import Load, Node
from reconciler.scaling.brokers.patience import Late, Patience
from reconciler.scaling.model import Backlog, Unreadable

Answer = TypeVar("Answer")


class Inquiry(NamedTuple):
    """What is to be known of a group's queues."""

    key: Hashable
    broker: Broker
    queues: frozenset[str]


class Crew(NamedTuple):
    """The pods of a group, to be asked what they have in hand."""

    key: Hashable
    broker: Broker
    group: str
    pods: frozenset[str]
    control_exchange: str = "celery"
    """The setting of that name."""

    def node(self, pod: str) -> Node:
        """Return the worker in a pod, whose name is its hostname."""
        return self.control_exchange, f"{self.group}@{pod}"


class Brokers:
    """All brokers there are, for one caller at a time."""

    def __init__(self, timeout_seconds: float = 5.0, at_once: int = 32) -> None:
        broker.prepare()
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

    def running(self, crews: Iterable[Crew]) -> dict[Hashable, dict[str, Load] | Unreadable]:
        """Return what each pod of a crew has in hand, by the crew's key; a pod that does not answer is not there."""
        from reconciler.scaling.brokers import inspection  # noqa: PLC0415 (it imports kombu)

        crews = list(crews)
        nodes: dict[Broker, set[Node]] = defaultdict(set)
        for crew in crews:
            nodes[crew.broker].update(map(crew.node, crew.pods))
        asked = {each: wanted for each, wanted in nodes.items() if wanted}
        found = self._answers(
            {each: partial(inspection.loads, asked=asked[each], on_redis=each.is_redis) for each in asked}
        )

        def of(crew: Crew) -> dict[str, Load] | Unreadable:
            answer = found.get(crew.broker, {})
            if isinstance(answer, Unreadable):
                return answer
            return {pod: answer[crew.node(pod)] for pod in sorted(crew.pods) if crew.node(pod) in answer}

        return {crew.key: of(crew) for crew in crews}

    def _answers(self, questions: dict[Broker, Callable[[Any], Answer]]) -> dict[Broker, Answer | Unreadable]:
        seconds = self._patience.seconds
        calls = {each: partial(broker.asked, each, seconds, question) for each, question in questions.items()}
        found = self._patience.ask(calls)
        return {
            each: Unreadable(f"{each}: {answer.reason}") if isinstance(answer, Late) else answer
            for each, answer in found.items()
        }


def _backlogs(each: Broker, groups: set[frozenset[str]], connection: Any) -> dict[frozenset[str], Backlog | Unreadable]:
    if each.is_redis:
        found = backlog.on_redis(connection, str(each.options.get("global_keyprefix", "")), groups)
    else:
        found = backlog.on_rabbitmq(connection, groups)
    return {
        group: broker.unreadable(each, answer.error, f"queue {answer.queue}: ")
        if isinstance(answer, Uncounted)
        else answer
        for group, answer in found.items()
    }
