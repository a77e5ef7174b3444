"""What waits on a broker, and what is being run of it: one connection, both questions."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from reconciler.scaling.brokers import backlog, broker
from reconciler.scaling.brokers.backlog import Memory, Queues
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.load import Load, Node
from reconciler.scaling.model import Backlog, Unreadable

Workers = Mapping[Queues, Collection[Node]]
"""By the queues that their group is scaled by, which may be none."""


class Findings(NamedTuple):
    backlogs: Mapping[Queues, Backlog | Unreadable]
    loads: Mapping[Node, Load]
    """Of the workers that answered."""


def at(
    where: Broker, workers: Workers, seconds: float, tell: Callable[[Findings], None], memory: Memory | None = None
) -> Findings | Unreadable:
    """Return what waits in the queues and what the workers have in hand; the first is told as soon as it is known.

    Workers are not asked if what waits for them is not known: nothing would follow from their answer. The memory, of
    this broker alone, has what is not read again.
    """
    return broker.asked(where, seconds, partial(_found, where, workers, tell, memory or Memory()))


def _found(
    where: Broker, workers: Workers, tell: Callable[[Findings], None], memory: Memory, connection: Any
) -> Findings:
    from reconciler.scaling.brokers import inspection  # noqa: PLC0415 (it imports kombu)

    groups = [queues for queues in workers if queues]
    backlogs = backlog.counted(where, connection, groups, memory) if groups else {}
    tell(Findings(backlogs, {}))
    crews = (crew for queues, crew in workers.items() if not isinstance(backlogs.get(queues), Unreadable))
    nodes = {node for crew in crews for node in crew}
    try:
        return Findings(backlogs, inspection.loads(where, connection, nodes) if nodes else {})
    except Exception:  # noqa: BLE001 (a user who may read queues may not be allowed to make one: workers are silent then)
        return Findings(backlogs, {})
