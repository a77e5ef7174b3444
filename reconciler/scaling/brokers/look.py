"""What waits on a broker, and what is being run of it: one connection, both questions."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.scaling.brokers import backlog, broker, sqs
from reconciler.scaling.brokers.backlog import Queues
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.load import Load, Node
from reconciler.scaling.model import Backlog, Unreadable

Workers = Mapping[Queues, Collection[Node]]
"""By the queues that their group is scaled by, which may be none."""


class Findings(NamedTuple):
    backlogs: Mapping[Queues, Backlog | Unreadable]
    loads: Mapping[Node, Load] | None
    """Of the workers that answered; None where Celery has no way to ask them."""


def at(where: Broker, workers: Workers, seconds: float, tell: Callable[[Findings], None]) -> Findings | Unreadable:
    """Return what waits in the queues and what the workers have in hand; the first is told as soon as it is known.

    Workers are not asked if what waits for them is not known: nothing would follow from their answer.
    """
    if where.is_sqs:  # Celery's remote control needs a fanout, and is off there
        return Findings(sqs.counted(where, workers, seconds), None)
    return broker.asked(where, seconds, partial(_found, where, workers, tell))


def _found(where: Broker, workers: Workers, tell: Callable[[Findings], None], connection: Any) -> Findings:
    from reconciler.scaling.brokers import inspection  # noqa: PLC0415 (it imports kombu)

    groups = [queues for queues in workers if queues]
    backlogs = backlog.counted(where, connection, groups) if groups else {}
    tell(Findings(backlogs, {}))
    crews = (crew for queues, crew in workers.items() if not isinstance(backlogs.get(queues), Unreadable))
    nodes = {node for crew in crews for node in crew}
    try:
        return Findings(backlogs, inspection.loads(where, connection, nodes) if nodes else {})
    except Exception:  # noqa: BLE001 (a user who may read queues may not be allowed to make one: workers are silent then)
        return Findings(backlogs, {})
