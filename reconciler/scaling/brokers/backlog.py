"""How many messages each group has on a broker, asked over one open connection.

On RabbitMQ none are `unacknowledged`: AMQP does not tell, and the API that does listens on a port, with a password,
that no Celery setting names. What its workers hold they tell themselves (inspection.py).
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from reconciler.scaling.brokers.broker import Broker, unreadable
from reconciler.scaling.model import Backlog, Unreadable

Queues = frozenset[str]

MOST_HELD = 20_000
"""Of more messages than that, the youngest are looked at: those that workers run now are among them."""
_TAGS = 500
_BYTES = 1 << 20
_ABSENT = "NOT_FOUND - no queue "
"""How RabbitMQ says so. A durable queue whose node is down is NOT_FOUND as well, and full of messages maybe."""


class Held(NamedTuple):
    """A message that a worker has taken and not acknowledged."""

    queues: Queues
    waits: bool
    """For its ETA, until which the worker holds it; or for a worker to take it from one that is dead."""


Lengths = Mapping[str, list[int | Exception]]
"""What a queue is made of, on Redis a list for each priority."""


def counted(broker: Broker, connection: Any, groups: Collection[Queues]) -> dict[Queues, Backlog | Unreadable]:
    """Return what each group has, or why it has no number: one of its queues is somebody else's, or no queue at all."""
    queues = sorted(Queues().union(*groups))
    if broker.is_redis:
        lengths, held = _on_redis(connection, queues, str(broker.options.get("global_keyprefix", "")))
    else:
        lengths, held = _on_rabbitmq(connection, queues), []
    return {group: _backlog(broker, group, lengths, held) for group in groups}


def is_absent(error: Exception) -> bool:
    """Say whether RabbitMQ refused since nobody has declared the queue yet."""
    return _ABSENT in str(error)


def _on_rabbitmq(connection: Any, queues: Iterable[str]) -> Lengths:
    """Return what is ready in each queue. One that nobody has declared yet is empty."""
    ready = dict[str, list[int | Exception]]()
    channel = connection.channel()
    for queue in queues:
        try:
            ready[queue] = [channel.queue_declare(queue=queue, passive=True).message_count]
        except connection.channel_errors as error:  # which has closed the channel
            ready[queue] = [] if is_absent(error) else [error.with_traceback(None)]
            channel = connection.channel()
    return ready


def _on_redis(connection: Any, queues: list[str], prefix: str) -> tuple[Lengths, list[Held]]:
    """Return what waits in each queue, and what workers have taken and not acknowledged.

    What was taken longer ago than the visibility timeout was taken by a worker that is dead, and another puts it back
    into its queue. That, and messages that wait for their ETA, keep one worker but not more: without any, the one
    would stay where it is, and the others would be back in the queue and start one.
    """
    redis = _Redis(connection.channel(), prefix)
    lengths, since = redis.lengths_and_tags(queues)
    return lengths, list(redis.held(since))


def _backlog(broker: Broker, group: Queues, lengths: Lengths, held: list[Held]) -> Backlog | Unreadable:
    waiting = 0
    for queue in sorted(group):
        for length in lengths[queue]:
            if isinstance(length, Exception):
                return unreadable(broker, length, f"queue {queue}: ")
            waiting += length
    waits = [message.waits for message in held if message.queues & group]
    return Backlog(waiting, waits.count(False) or int(bool(waits) and not waiting))


class _Redis:
    """kombu's keys, as the options of the channel name them."""

    def __init__(self, channel: Any, prefix: str) -> None:
        self.channel, self.client, self.prefix = channel, channel.client, prefix
        self.client.global_keyprefix = ""  # kombu puts it before the keys of some commands; here all have it already
        self.bound = cache(self._bound)

    def lengths_and_tags(self, queues: list[str]) -> tuple[Lengths, dict[bytes, float]]:
        """Return the lengths of each queue, and since when the youngest of what is held is: all at one moment."""
        lists = [(queue, key) for queue in queues for key in self._lists(queue)]
        index = self.prefix + self.channel.unacked_index_key
        with self.client.pipeline(transaction=True) as pipe:
            for _, key in lists:
                pipe.llen(key)
            pipe.zrevrange(index, 0, MOST_HELD - 1, withscores=True)
            *found, tags = pipe.execute(raise_on_error=False)
        if isinstance(tags, Exception):
            raise tags
        lengths: dict[str, list[int | Exception]] = {queue: [] for queue in queues}
        for (queue, _), length in zip(lists, found, strict=True):
            lengths[queue].append(length)
        return lengths, dict(tags)

    def held(self, since: Mapping[bytes, float]) -> Iterator[Held]:
        """Yield the messages of these tags, less what was acknowledged in the meantime."""
        now, oldest = datetime.now(UTC), time.time() - float(self.channel.visibility_timeout)
        for tag, value in self._values(self.prefix + self.channel.unacked_key, list(since)):
            message, exchange, routing_key = json.loads(value)
            waits = since[tag] < oldest or _is_later((message.get("headers") or {}).get("eta"), now)
            yield Held(self._queues(exchange, routing_key), waits)

    def _lists(self, queue: str) -> list[str]:
        """Return the keys of a queue: one for each priority, the first without a number."""
        steps = sorted(set(self.channel.priority_steps))
        return [f"{self.prefix}{queue}{self.channel.sep}{step}" if step else f"{self.prefix}{queue}" for step in steps]

    def _values(self, key: str, tags: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield each tag with its value, read by the megabyte: nobody knows how large messages are."""
        for start in range(0, len(tags), _TAGS):
            some = tags[start : start + _TAGS]
            with self.client.pipeline(transaction=False) as pipe:
                for tag in some:
                    pipe.hstrlen(key, tag)
                sizes = pipe.execute()
            for portion in _portions(some, sizes):
                values = self.client.hmget(key, portion)
                yield from ((tag, value) for tag, value in zip(portion, values, strict=True) if value)

    def _queues(self, exchange: str, routing_key: str) -> Queues:
        """Return where kombu would put the message back."""
        if not exchange:
            return Queues({routing_key})
        found = {queue for key, _, queue in self.bound(exchange) if _fits(key, routing_key)}
        return Queues(found or {routing_key})

    def _bound(self, exchange: str) -> list[tuple[str, str, str]]:
        members = self.client.smembers(self.prefix + self.channel.keyprefix_queue % exchange)
        return [tuple(member.decode().split(self.channel.sep)) for member in members]


def _portions(tags: list[bytes], sizes: list[int]) -> Iterator[list[bytes]]:
    portion, total = list[bytes](), 0
    for tag, size in zip(tags, sizes, strict=True):
        if portion and total + size > _BYTES:
            yield portion
            portion, total = [], 0
        portion.append(tag)
        total += size
    if portion:
        yield portion


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


def _is_later(eta: str | None, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(eta or "")
    except (ValueError, TypeError):
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) > now
