"""What workers have in hand, as they tell over their broker: Celery's `inspect`, asked without Celery.

Nothing of it is left on the broker: the queue for the answers is deleted; where that fails, the next one has its name.
"""

import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4
from zlib import crc32

from kombu import Consumer, Exchange, Producer, Queue
from kombu.exceptions import ContentDisallowed, DecodeError

from reconciler.scaling.brokers.broker import Broker, channel
from reconciler.scaling.brokers.load import Load, Node
from reconciler.scaling.model import MAX_INT32, MAX_INT64, Task
from reconciler.scaling.pace import Counters

ANSWER_SECONDS = 1.5
"""A worker answers at once, unless it is the solo pool's and busy. Nobody is waited for longer than that."""
PAUSE_SECONDS = 0.02
"""Between two glances at Redis for an answer."""

_ACTIVE, _RESERVED, _STATS = "active", "reserved", "stats"
_NAME = 200
"""Characters of a name, or an id, that are kept."""
_NAMES: dict[str, object] = {}

Hear = Callable[[Any, Any], None]
"""Told the body of a message, and the message."""


class _Told(NamedTuple):
    """What a worker has answered, by command."""

    tasks: dict[str, tuple[Task, ...]]
    stats: dict[str, Any]

    def hear(self, command: str, answer: Any) -> None:
        if command == _STATS and isinstance(answer, Mapping):
            self.stats[command] = answer
        elif isinstance(answer, list):
            self.tasks[command] = tuple(_task(task) for task in answer if isinstance(task, Mapping))

    @property
    def answered(self) -> set[str]:
        return {*self.tasks, *self.stats}

    @property
    def load(self) -> Load:
        active = self.tasks[_ACTIVE]
        acknowledged = sum(task.is_acknowledged for task in active)
        uncounted = len(active) + len(self.tasks[_RESERVED]) if _RESERVED in self.tasks else acknowledged
        return Load(active, uncounted, _counters(self.stats.get(_STATS, {}), len(active)))


def loads(broker: Broker, connection: Any, asked: Collection[Node]) -> dict[Node, Load]:
    """Return the load of each node that answered in time. Of the others nothing is known.

    Uncounted are, on Redis, tasks whose message was acknowledged when they began; on RabbitMQ all that a worker has
    taken, save what waits for its ETA: there may be any number of those, and they would come with all their arguments.
    """
    commands = [_STATS, _ACTIVE] if broker.is_redis else [_STATS, _ACTIVE, _RESERVED]
    told = {node: _Told({}, {}) for node in asked}
    exchanges = sorted({exchange for exchange, _ in asked})
    tickets = {str(uuid4()): (exchange, command) for exchange in exchanges for command in commands}

    def hear(body: Any, message: Any) -> None:
        exchange, command = tickets.get(message.headers.get("ticket"), ("", ""))
        for node, answer in body.items() if isinstance(body, Mapping) else ():
            if (exchange, node) in told:
                told[exchange, node].hear(command, answer)

    with ExitStack() as stack:
        name = _name(broker, stack)
        its = stack.enter_context(channel(broker, connection))
        queues = {exchange: stack.enter_context(_answers(its, exchange, name)) for exchange in exchanges}
        if not broker.is_redis:
            stack.enter_context(_hearing(its, list(queues.values()), hear))
        for ticket, (exchange, command) in tickets.items():
            nodes = [node for each, node in asked if each == exchange]
            _ask(queues[exchange], exchange, {"method": command, "destination": nodes, "ticket": ticket})
        next_ = partial(_next_on_redis, list(queues.values()), hear) if broker.is_redis else partial(_next, connection)
        end = time.monotonic() + ANSWER_SECONDS
        while not all(set(commands) <= found.answered for found in told.values()):
            if (left := end - time.monotonic()) <= 0:
                break
            next_(left)
    needed = set(commands) - {_STATS}
    return {node: found.load for node, found in told.items() if needed <= found.answered}


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


def _counters(stats: Mapping[str, Any], running: int) -> Counters | None:
    """Return what a worker counts, if it does: `total` by the names of tasks, and how many its pool runs at a time."""
    try:
        begun, slots = sum(map(int, stats["total"].values())), int(stats["pool"]["max-concurrency"])
        return Counters(running, min(max(begun, 0), MAX_INT64), min(max(slots, 1), MAX_INT32))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _next(connection: Any, seconds: float) -> None:
    """Hear the next answer."""
    with suppress(TimeoutError):
        connection.drain_events(timeout=seconds)


def _next_on_redis(queues: Iterable[Any], hear: Hear, seconds: float) -> None:
    """Hear the next answers, or wait a moment for them.

    kombu would wait for it on a second connection, and there longer than it is told to.
    """
    heard = [message for queue in queues if (message := queue.get(no_ack=True, accept=["json"]))]
    for message in heard:
        with suppress(ContentDisallowed, DecodeError):
            hear(message.payload, message)
    if not heard:
        time.sleep(min(PAUSE_SECONDS, seconds))


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


def _hearing(channel: Any, queues: list[Any], hear: Hear) -> Any:
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
