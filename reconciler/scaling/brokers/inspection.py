"""What workers have in hand, as they tell over their broker: Celery's `inspect`, asked without Celery.

Nothing of it is left on the broker: the queue for the answers is deleted; where that fails, the next one has its name.
"""

import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4
from zlib import crc32

from kombu import Consumer, Exchange, Producer, Queue

from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.load import Load, Node
from reconciler.scaling.model import Task

ANSWER_SECONDS = 1.5
"""A worker answers at once, unless it is the solo pool's and busy. Nobody is waited for longer than that."""

_ACTIVE, _RESERVED = "active", "reserved"
_NAME = 200
"""Characters of a name, or an id, that are kept."""
_NAMES: dict[str, object] = {}


def loads(broker: Broker, connection: Any, asked: Collection[Node]) -> dict[Node, Load]:
    """Return the load of each node that answered in time. Of the others nothing is known.

    Uncounted are, on Redis, tasks whose message was acknowledged when they began; on RabbitMQ all that a worker has
    taken, save what waits for its ETA: there may be any number of those, and they would come with all their arguments.
    """
    commands = [_ACTIVE] if broker.is_redis else [_ACTIVE, _RESERVED]
    channel, told = connection.channel(), {node: dict[str, tuple[Task, ...]]() for node in asked}
    exchanges = sorted({exchange for exchange, _ in asked})
    tickets = {str(uuid4()): (exchange, command) for exchange in exchanges for command in commands}

    def hear(body: Any, message: Any) -> None:
        exchange, command = tickets.get(message.headers.get("ticket"), ("", ""))
        for node, tasks in body.items() if isinstance(body, Mapping) else ():
            if (exchange, node) in told and isinstance(tasks, list):
                told[exchange, node][command] = tuple(_task(task) for task in tasks if isinstance(task, Mapping))

    with ExitStack() as stack:
        name = _name(broker, stack)
        queues = {exchange: stack.enter_context(_answers(channel, exchange, name)) for exchange in exchanges}
        stack.enter_context(_hearing(channel, list(queues.values()), hear))
        for ticket, (exchange, command) in tickets.items():
            nodes = [node for each, node in asked if each == exchange]
            _ask(queues[exchange], exchange, {"method": command, "destination": nodes, "ticket": ticket})
        _listen(connection, lambda: all(len(found) == len(commands) for found in told.values()))
    return {node: _load(found) for node, found in told.items() if len(found) == len(commands)}


def _name(broker: Broker, stack: ExitStack) -> str:
    """Return a name for the answers that is ours alone until the end: two with the same would take each other's.

    On Redis it is the next one's again, in a pod also after a crash. RabbitMQ's queue goes with its connection, yet
    maybe much later.
    """
    here, me = f"{socket.gethostname()}-{os.getpid()}-{crc32(str(broker).encode()):x}", object()
    names = (f"{here}-{number if broker.is_redis else uuid4()}" for number in count())
    name = next(name for name in names if _NAMES.setdefault(name, me) is me)
    stack.callback(_NAMES.pop, name)
    return name


def _task(told: Mapping[str, Any]) -> Task:
    """Return a task by what its worker says; one of which it does not say that it is not acknowledged is."""
    started_at = None
    with suppress(KeyError, TypeError, ValueError, OverflowError, OSError):
        started_at = datetime.fromtimestamp(told["time_start"], UTC).replace(microsecond=0)
    is_acknowledged = told.get("acknowledged") is not False
    return Task(str(told.get("id"))[:_NAME], str(told.get("name"))[:_NAME], started_at, is_acknowledged)


def _load(told: Mapping[str, tuple[Task, ...]]) -> Load:
    active = told[_ACTIVE]
    acknowledged = sum(task.is_acknowledged for task in active)
    return Load(active, len(active) + len(told[_RESERVED]) if _RESERVED in told else acknowledged)


def _listen(connection: Any, enough: Callable[[], bool]) -> None:
    end = time.monotonic() + ANSWER_SECONDS
    while not enough() and (left := end - time.monotonic()) > 0:
        with suppress(TimeoutError):
            connection.drain_events(timeout=left)


@contextmanager
def _answers(channel: Any, exchange: str, name: str) -> Iterator[Any]:
    """Yield the queue for the answers to what is asked over an exchange."""
    to = Exchange(f"reply.{exchange}.pidbox", "direct", durable=False, delivery_mode="transient")
    queue = Queue(f"{name}.{to.name}", to, name, durable=False, exclusive=True, auto_delete=True)(channel)
    queue.declare()
    try:
        yield queue
    finally:
        queue.delete()


def _hearing(channel: Any, queues: list[Any], hear: Any) -> Any:
    # Workers that are set to answer in pickle are not understood, and so are silent.
    return Consumer(channel, queues, callbacks=[hear], on_decode_error=lambda *_: None, accept=["json"], no_ack=True)


def _ask(answers: Any, exchange: str, question: Mapping[str, Any]) -> None:
    """Ask as Celery does; the arguments of tasks only as a short text, where the command knows of that."""
    pidbox = Exchange(f"{exchange}.pidbox", "fanout", durable=False, delivery_mode="transient")
    reply_to = {"exchange": answers.exchange.name, "routing_key": answers.routing_key}
    Producer(answers.channel, auto_declare=False).publish(
        {"arguments": {"safe": True}, "pattern": None, "matcher": None, "reply_to": reply_to, **question},
        exchange=pidbox,
        declare=[pidbox],
        headers={"clock": 0, "expires": time.time() + ANSWER_SECONDS},
        serializer="json",
        retry=False,  # kombu would try for ever
    )
