"""How many messages each group has on a broker, asked over one open connection.

On RabbitMQ none are `unacknowledged`: AMQP does not tell, and the API that does listens on a port, with a password,
that no Celery setting names. What its workers hold they tell themselves (inspection.py).

On Redis what workers hold is there in full, with all its arguments, and of all that only the route and the ETA matter.
A value never changes under its delivery tag. So every look has all tags, which are short, and reads the values of the
new ones only: so many bytes, and the rest at the next looks. Whose it is that is not read yet, nobody knows: it is
`unread` for every group, which takes no pod away for it and starts none.
"""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from reconciler.scaling.brokers.broker import Broker, channel, unreadable
from reconciler.scaling.model import Backlog, Unreadable

Queues = frozenset[str]
Route = tuple[str, str]
"""The exchange, "" if it is the default one, and the routing key."""

MOST_HELD = 20_000
"""Of more messages than that, the youngest are looked at: those that workers run now are among them."""
MOST_READ = 16 << 20
"""Bytes of values that one look reads at most. Beside them come the tags, 1 MiB for MOST_HELD messages."""
LARGEST_READ = 4 << 20
"""Bytes. A message that is larger is never read: it would be in memory four times over."""
_TAGS = 500
_BYTES = 1 << 20
_NAME = 255
"""Characters of an exchange or a routing key that are remembered, as many as AMQP allows."""
_ABSENT = "NOT_FOUND - no queue "
"""How RabbitMQ says so. A durable queue whose node is down is NOT_FOUND as well, and full of messages maybe."""


class Entry(NamedTuple):
    """What matters of a message that a worker has taken, for as long as it is there under its delivery tag."""

    route: Route
    eta: float
    """Seconds since the epoch; 0 if it has none."""


class Memory:
    """What is known of what the workers of one broker hold, from one look to the next."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry | None] = {}
        """By delivery tag, those of the last look alone: at most MOST_HELD. None if there is no telling: too large."""


class Held(NamedTuple):
    """Messages that workers have taken and not acknowledged, all alike."""

    queues: Queues
    waits: bool
    """For its ETA, until which the worker holds it; or for a worker to take it from one that is dead."""


class Holding(NamedTuple):
    """What the workers of a broker hold."""

    counts: Mapping[Held, int]
    unread: int
    """Messages that are not read, yet or ever."""


Lengths = Mapping[str, list[int | Exception]]
"""What a queue is made of, on Redis a list for each priority."""


def counted(
    broker: Broker, connection: Any, groups: Collection[Queues], memory: Memory | None
) -> dict[Queues, Backlog | Unreadable]:
    """Return what each group has, or why it has no number: one of its queues is somebody else's, or no queue at all.

    Without a memory only what waits is counted, not what workers hold.
    """
    queues = sorted(Queues().union(*groups))
    if broker.is_redis:
        prefix = str(broker.options.get("global_keyprefix", ""))
        with channel(broker, connection) as its, its.conn_or_acquire() as client:
            lengths, held = _on_redis(_Redis(its, client, prefix), queues, memory)
    else:
        lengths, held = _on_rabbitmq(connection, queues), Holding({}, 0)
    return {group: _backlog(broker, group, lengths, held) for group in groups}


def is_absent(error: Exception) -> bool:
    """Say whether RabbitMQ refused since nobody has declared the queue yet."""
    return _ABSENT in str(error)


def _on_rabbitmq(connection: Any, queues: Iterable[str]) -> Lengths:
    """Return what is ready in each queue. One that nobody has declared yet is empty."""
    ready = dict[str, list[int | Exception]]()
    with ExitStack() as stack:
        its = stack.enter_context(connection.channel())
        for queue in queues:
            try:
                ready[queue] = [its.queue_declare(queue=queue, passive=True).message_count]
            except connection.channel_errors as error:  # which has closed the channel
                ready[queue] = [] if is_absent(error) else [error.with_traceback(None)]
                its = stack.enter_context(connection.channel())
    return ready


def _on_redis(redis: "_Redis", queues: list[str], memory: Memory | None) -> tuple[Lengths, Holding]:
    """Return what waits in each queue, and what workers have taken and not acknowledged.

    What was taken longer ago than the visibility timeout was taken by a worker that is dead, and another puts it back
    into its queue. That, and messages that wait for their ETA, keep one worker but not more: without any, the one
    would stay where it is, and the others would be back in the queue and start one.
    """
    if memory is None:
        return redis.lengths(queues), Holding({}, 0)
    lengths, tags, alive = redis.lengths_and_tags(queues)
    return lengths, redis.held(tags, alive, memory)


def _backlog(broker: Broker, group: Queues, lengths: Lengths, held: Holding) -> Backlog | Unreadable:
    waiting = 0
    for queue in sorted(group):
        for length in lengths[queue]:
            if isinstance(length, Exception):
                return unreadable(broker, length, f"queue {queue}: ")
            waiting += length
    its = {each: number for each, number in held.counts.items() if each.queues & group}
    works = sum(number for each, number in its.items() if not each.waits)
    return Backlog(waiting, works or int(bool(its) and not waiting), held.unread)


class _Redis:
    """kombu's keys, as the options of the channel name them."""

    def __init__(self, channel: Any, client: Any, prefix: str) -> None:
        self.channel, self.client, self.prefix = channel, client, prefix
        self.client.global_keyprefix = ""  # kombu puts it before the keys of some commands; here all have it already
        self.unacked = prefix + channel.unacked_key
        self.bound = cache(self._bound)

    def lengths(self, queues: list[str]) -> Lengths:
        """Return the lengths of each queue."""
        lists = [(queue, key) for queue in queues for key in self._lists(queue)]
        with self.client.pipeline(transaction=False) as pipe:
            for _, key in lists:
                pipe.llen(key)
            return _by_queue(lists, pipe.execute(raise_on_error=False))

    def lengths_and_tags(self, queues: list[str]) -> tuple[Lengths, list[bytes], int]:
        """Return the lengths of each queue, and the tags of what is held, the youngest first: all at one moment.

        And how many were taken less than the visibility timeout ago: the first so many, and more if there are more.
        """
        lists = [(queue, key) for queue in queues for key in self._lists(queue)]
        index = self.prefix + self.channel.unacked_index_key
        oldest = time.time() - float(self.channel.visibility_timeout)
        with self.client.pipeline(transaction=True) as pipe:
            for _, key in lists:
                pipe.llen(key)
            pipe.zrevrange(index, 0, MOST_HELD - 1)  # without the scores: to parse those takes four times as long
            pipe.zcount(index, oldest, "+inf")
            *found, tags, alive = pipe.execute(raise_on_error=False)
        for answer in (tags, alive):
            if isinstance(answer, Exception):
                raise answer
        return _by_queue(lists, found), tags, alive

    def held(self, tags: list[bytes], alive: int, memory: Memory) -> Holding:
        """Count the messages of these tags, less what was acknowledged in the meantime, and remember them."""
        before = memory.entries  # to which another look at this broker, that was late, may still add
        known = memory.entries = {tag: before[tag] for tag in tags if tag in before}
        gone = self._read([tag for tag in reversed(tags) if tag not in known], known)
        now, counts, unread = time.time(), Counter[tuple[Route, bool]](), max(alive - len(tags), 0)
        for place, tag in enumerate(tags):
            if entry := known.get(tag):
                counts[entry.route, place >= alive or entry.eta > now] += 1
            elif tag not in gone:
                unread += 1
        held = Counter[Held]()
        for (route, waits), number in counts.items():
            held[Held(self._queues(*route), waits)] += number
        return Holding(held, unread)

    def _lists(self, queue: str) -> list[str]:
        """Return the keys of a queue: one for each priority, the first without a number."""
        steps = sorted(set(self.channel.priority_steps))
        return [f"{self.prefix}{queue}{self.channel.sep}{step}" if step else f"{self.prefix}{queue}" for step in steps]

    def _read(self, tags: list[bytes], known: dict[bytes, Entry | None]) -> set[bytes]:
        """Add to what is known as many of these tags as one look may read, and return those that are gone.

        The oldest come first: what is held for long is read once, and what comes and goes may be gone before it is its
        turn. What is gone is not remembered: it may be taken again, under the same tag.
        """
        gone, left = set[bytes](), MOST_READ
        routes = {entry.route: entry.route for entry in known.values() if entry}  # few, in many messages: kept once
        for start in range(0, len(tags), _TAGS):
            sizes = self._sizes(tags[start : start + _TAGS])
            gone.update(tag for tag, size in sizes.items() if not size)
            known.update((tag, None) for tag, size in sizes.items() if size > LARGEST_READ)
            for portion in _portions({tag: size for tag, size in sizes.items() if 0 < size <= LARGEST_READ}):
                left -= sum(sizes[tag] for tag in portion)
                if left < 0:
                    return gone
                for tag, value in zip(portion, self.client.hmget(self.unacked, portion), strict=True):
                    if value:
                        known[tag] = _entry(value, routes)
                    else:
                        gone.add(tag)
        return gone

    def _sizes(self, tags: list[bytes]) -> dict[bytes, int]:
        """Return the bytes of each value, 0 if it is gone: nobody knows how large messages are."""
        with self.client.pipeline(transaction=False) as pipe:
            for tag in tags:
                pipe.hstrlen(self.unacked, tag)
            return dict(zip(tags, pipe.execute(), strict=True))

    def _queues(self, exchange: str, routing_key: str) -> Queues:
        """Return where kombu would put the message back."""
        if not exchange:
            return Queues({routing_key})
        found = {queue for key, _, queue in self.bound(exchange) if _fits(key, routing_key)}
        return Queues(found or {routing_key})

    def _bound(self, exchange: str) -> list[tuple[str, str, str]]:
        members = self.client.smembers(self.prefix + self.channel.keyprefix_queue % exchange)
        return [tuple(member.decode().split(self.channel.sep)) for member in members]


def _by_queue(lists: Iterable[tuple[str, str]], found: Iterable[int | Exception]) -> Lengths:
    lengths: dict[str, list[int | Exception]] = {}
    for (queue, _), length in zip(lists, found, strict=True):
        lengths.setdefault(queue, []).append(length)
    return lengths


def _portions(sizes: Mapping[bytes, int]) -> Iterator[list[bytes]]:
    """Yield the tags by the megabyte, or one by itself that has more."""
    portion, total = list[bytes](), 0
    for tag, size in sizes.items():
        if portion and total + size > _BYTES:
            yield portion
            portion, total = [], 0
        portion.append(tag)
        total += size
    if portion:
        yield portion


def _entry(value: bytes, routes: dict[Route, Route]) -> Entry | None:
    """Return what is remembered of kombu's value, None if its route is too long to be, or no route."""
    message, exchange, routing_key = json.loads(value)
    route = (exchange or "", routing_key or "")
    if not all(isinstance(name, str) and len(name) <= _NAME for name in route):
        return None
    return Entry(routes.setdefault(route, route), _seconds((message.get("headers") or {}).get("eta")))


def _fits(binding: str, routing_key: str) -> bool:
    """Say whether a key is bound, on a direct or a topic exchange (`*` is a word, `#` any number of them).

    kombu keeps a regular expression for it on the broker. One written in bad faith would never come to an end.
    """
    words, ends = routing_key.split("."), {0}
    for part in binding.split("."):
        if part == "#":
            ends = set(range(min(ends, default=len(words) + 1), len(words) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(words) and part in ("*", words[end])}
    return len(words) in ends


def _seconds(eta: str | None) -> float:
    """Return an ETA in seconds since the epoch, 0 if it is none."""
    try:
        moment = datetime.fromisoformat(eta or "")
    except (ValueError, TypeError):
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
