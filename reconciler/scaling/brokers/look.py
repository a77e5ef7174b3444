"""What waits on a broker, and what is being run of it: one connection, both questions."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.scaling.brokers import backlog, broker, sqs
from reconciler.scaling.brokers.backlog import Memory, Queues
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.brokers.line import Line
from reconciler.scaling.brokers.load import Load, Node
from reconciler.scaling.model import Backlog, Unreadable

Workers = Mapping[Queues, Collection[Node]]
"""By the queues that their group is scaled by, which may be none."""


class Findings(NamedTuple):
    backlogs: Mapping[Queues, Backlog | Unreadable]
    loads: Mapping[Node, Load] | None
    """Of the workers that answered; None where Celery has no way to ask them."""


class Kept:
    """What is kept of a broker from one look to the next."""

    def __init__(self, broker: Broker, hosts: Hosts) -> None:
        self.broker, self.hosts, self.line, self.memory = broker, hosts, Line(broker, hosts), Memory()


def at(kept: Kept, workers: Workers, seconds: float, tell: Callable[[Findings], None]) -> Findings | Unreadable:
    """Return what waits in the queues and what the workers have in hand; the first is told as soon as it is known.

    Workers are not asked if what waits for them is not known: nothing would follow from their answer.
    """
    if kept.broker.is_sqs:  # Celery's remote control needs a fanout, and is off there
        return Findings(sqs.counted(kept.broker, kept.hosts, workers, seconds), None)
    return kept.line.asked(seconds, partial(_found, kept, workers, tell))


def glance(kept: Kept, groups: Collection[Queues], seconds: float) -> Findings | Unreadable:
    """Return what waits in the queues, and nothing else. On Amazon SQS every glance would be paid for."""
    if kept.broker.is_sqs:
        return Unreadable("Amazon SQS is looked at by the clock alone")
    return kept.line.asked(
        seconds, lambda connection: Findings(backlog.counted(kept.broker, connection, groups, None), {})
    )


def _found(kept: Kept, workers: Workers, tell: Callable[[Findings], None], connection: Any) -> Findings:
    from reconciler.scaling.brokers import inspection  # noqa: PLC0415 (it imports kombu)

    groups = [queues for queues in workers if queues]
    backlogs = backlog.counted(kept.broker, connection, groups, kept.memory) if groups else {}
    tell(Findings(backlogs, {}))
    crews = (crew for queues, crew in workers.items() if not isinstance(backlogs.get(queues), Unreadable))
    nodes = {node for crew in crews for node in crew}
    try:
        return Findings(backlogs, inspection.loads(kept.broker, connection, nodes) if nodes else {})
    except Exception:  # noqa: BLE001 (a user who may read queues may not be allowed to make one: workers are silent then)
        broker.close(kept.broker, connection)  # with whatever the question has left on it
        return Findings(backlogs, {})
