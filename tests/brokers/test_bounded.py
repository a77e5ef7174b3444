"""How much of what workers hold on Redis is read: by the server's own account, look after look."""

import gc
import json
import re
import time
from pathlib import Path

import pytest
import servers
from kombu import Connection

from reconciler.scaling.brokers import look
from reconciler.scaling.brokers.backlog import LARGEST_READ, MOST_READ, Entry, Memory
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.model import Backlog

DOCS = Path(__file__).parents[2] / "docs/scaling.md"
TAGS = 1 << 20
"""Bytes: the tags of 20,000 messages, and what the server says of itself, are fewer."""
SIZE = 20_000
LATER = "2999-01-01T00:00:00+00:00"


class Server:
    """A Redis where workers have taken messages."""

    def __init__(self, client):
        self.client = client

    def hold(self, *tags, size=0, eta=None, routing_key="celery", age=0, prefix="", exchange=""):
        value = json.dumps([{"body": "x" * size, "headers": {"eta": eta}}, exchange, routing_key])
        self.client.hset(f"{prefix}unacked", mapping=dict.fromkeys(tags, value))
        self.client.zadd(f"{prefix}unacked_index", dict.fromkeys(tags, time.time() - age))

    def acknowledge(self, *tags):
        self.client.hdel("unacked", *tags)
        self.client.zrem("unacked_index", *tags)

    def cost(self, question):
        """Return the answer, the bytes that the server sent for it, and the commands that read or measured values."""
        self.client.config_resetstat()
        answer = question()
        sent, commands = self.client.info("stats")["total_net_output_bytes"], self.client.info("commandstats")
        return answer, sent, {name for name in ("hmget", "hstrlen", "hgetall") if f"cmdstat_{name}" in commands}


@pytest.fixture
def server(on_redis):
    with Connection(on_redis) as connection:
        yield Server(connection.default_channel.client)


class Kept(dict):
    """What is kept of each broker."""

    def __missing__(self, broker):
        return self.setdefault(broker, look.Kept(broker, servers.HOSTS))


@pytest.fixture
def kept():
    found = Kept()
    yield found
    for each in found.values():
        each.line.close()


@pytest.fixture
def memory(on_redis, kept):
    """Return what is remembered of the broker as it is without options."""
    return kept[Broker(on_redis)].memory


@pytest.fixture
def seen(on_redis, kept):
    """Return a function that looks once more, with the same memory, and returns what each queue's group has."""

    def once(*queues, **options):
        groups = [frozenset({queue}) for queue in queues or ["celery"]]
        found = look.at(kept[Broker(on_redis, options)], dict.fromkeys(groups, ()), 60, lambda _: None)
        return [found.backlogs[group] for group in groups]

    return once


def test_what_was_read_is_not_read_again(server, seen, memory):
    tags = [str(number) for number in range(100)]
    server.hold(*tags, size=SIZE)
    counted, sent, _ = server.cost(seen)
    assert counted == [Backlog(0, 100)]
    assert sent > 100 * SIZE
    counted, sent, commands = server.cost(seen)
    assert (counted, commands) == ([Backlog(0, 100)], set())
    assert sent < SIZE
    server.acknowledge(*tags[:30])
    server.hold("new", size=SIZE)
    counted, sent, commands = server.cost(seen)
    assert (counted, commands) == ([Backlog(0, 71)], {"hstrlen", "hmget"})
    assert SIZE < sent < 2 * SIZE
    assert set(memory.entries) == {tag.encode() for tag in [*tags[30:], "new"]}


def test_one_look_reads_so_much_and_the_next_ones_the_rest(server, seen):
    for start in range(0, 3000, 100):
        server.hold(*(str(number) for number in range(start, start + 100)), size=SIZE, eta=LATER, age=3000 - start)
    unread, costs = [], []
    while not costs or costs[-1] > TAGS:
        [counted], sent, _ = server.cost(seen)
        unread.append(counted.unread)
        costs.append(sent)
        assert counted == Backlog(0, 1, unread[-1])  # what waits for its ETA keeps one pod
    assert max(costs) < MOST_READ + TAGS
    assert sum(costs) < 3000 * SIZE + MOST_READ + TAGS  # nothing was read twice
    left = [3000 - looks * (MOST_READ // SIZE) for looks in range(1, len(unread))]
    assert all(some == pytest.approx(each, abs=200) for some, each in zip(unread[:-2], left, strict=False))
    assert unread[-2:] == [0, 0]


def test_the_oldest_are_read_first(server, seen, memory):
    server.hold(*(f"young-{number}" for number in range(1000)), size=SIZE)
    server.hold("old", size=SIZE, age=60)
    seen()
    assert 0 < len(memory.entries) < 1001
    assert b"old" in memory.entries


def test_what_is_not_read_is_nobody_s_work(server, seen):
    server.hold(*map(str, range(1000)), size=SIZE, routing_key="mail")
    other, mail = seen("celery", "mail")
    assert 0 < mail.unread < 1000
    assert (other, mail) == (Backlog(0, 0, mail.unread), Backlog(0, 1000 - mail.unread, mail.unread))
    assert seen("celery", "mail") == [Backlog(0, 0), Backlog(0, 1000)]


def test_of_more_messages_than_are_looked_at_the_others_are_not_read(server, seen, monkeypatch):
    monkeypatch.setattr("reconciler.scaling.brokers.backlog.MOST_HELD", 10)
    server.hold(*map(str, range(15)))
    assert seen("celery", "mail") == [Backlog(0, 10, 5), Backlog(0, 0, 5)]


def test_a_message_too_large_to_be_read_never_is(server, seen):
    server.hold("large", size=LARGEST_READ, eta=LATER, routing_key="mail")
    for expected in ({"hstrlen"}, set()):
        counted, sent, commands = server.cost(lambda: seen("celery", "mail"))
        assert (counted, commands) == ([Backlog(0, 0, 1)] * 2, expected)
        assert sent < TAGS
    server.acknowledge("large")
    assert seen("celery", "mail") == [Backlog(0, 0), Backlog(0, 0)]


def test_a_route_too_long_to_be_remembered_is_not(server, seen, memory):
    server.hold("long", routing_key="x" * 256)
    assert seen("celery", "mail") == seen("celery", "mail") == [Backlog(0, 0, 1)] * 2
    assert memory.entries == {b"long": None}


def test_what_was_read_waits_until_its_eta_has_come_or_its_worker_is_dead(server, seen, memory):
    """Of none of them the value is there: what is remembered alone tells."""
    later = time.time() + 3600
    server.client.zadd("unacked_index", dict.fromkeys(["due", "soon", "later"], time.time()) | {"dead": 1})
    memory.entries = {tag: Entry(("", tag.decode()), eta) for tag, eta in ((b"due", 1.0), (b"dead", 0.0))}
    memory.entries |= {tag: Entry(("", "later"), later) for tag in (b"soon", b"later")}
    counted, _, commands = server.cost(lambda: seen("due", "dead", "later"))
    assert (counted, commands) == ([Backlog(0, 1)] * 3, set())
    memory.entries = dict.fromkeys(memory.entries, Entry(("", "celery"), later)) | {b"due": Entry(("", "celery"), 1.0)}
    assert seen() == [Backlog(0, 1)]
    memory.entries = dict.fromkeys(memory.entries, Entry(("", "celery"), 1.0))
    assert seen() == [Backlog(0, 3)]  # and the one that was taken too long ago waits


def test_what_is_taken_again_under_its_tag_counts_again(server, seen):
    """That its value is gone is not remembered: it was acknowledged, or put back, while a look was under way."""
    server.client.zadd("unacked_index", {"1": time.time()})
    assert seen() == [Backlog(0, 0)]
    server.hold("1")
    assert seen() == [Backlog(0, 1)]


def test_whoever_may_run_these_commands_may_read_it(server, on_redis, kept):
    """Those that docs/scaling.md names, on the app's own keys."""
    [line] = [line for line in DOCS.read_text().splitlines() if "`HMGET`" in line]
    commands = [f"+{name.lower()}" for name in re.findall("`([A-Z]+)`", line)]
    server.client.execute_command("acl", "setuser", "shop", "on", ">hunter2", "~*", *commands)
    server.client.sadd("_kombu.binding.tasks", "mail\x06\x16\x06\x16mail")
    server.hold("1", routing_key="mail", exchange="tasks")
    queues = frozenset({"mail"})
    found = look.at(kept[Broker(on_redis.replace("//", "//shop:hunter2@"))], {queues: ()}, 60, lambda _: None)
    assert found.backlogs == {queues: Backlog(0, 1)}


def test_keys_and_priorities_are_the_options_also_of_what_is_remembered(server, seen):
    options = {"global_keyprefix": "shop:", "priority_steps": [0, 5], "sep": ":"}
    server.client.lpush("shop:celery:5", "waits")
    server.hold("1", "2", size=SIZE, prefix="shop:")
    server.hold("3")
    assert seen(**options) == [Backlog(1, 2)]
    counted, _, commands = server.cost(lambda: seen(**options))
    assert (counted, commands) == ([Backlog(1, 2)], set())


def test_nobody_has_the_memory_of_another_broker(server, on_redis, crew, new_demand):
    """Which are two databases here, and one with two prefixes, where all that is held has the same tag."""
    options = {"broker_transport_options": {"global_keyprefix": "shop:"}}
    other = on_redis.removesuffix("/0") + "/5"
    server.hold("1", "2", "3", routing_key="celery")
    server.hold("1", "2", "3", routing_key="mail", prefix="shop:")
    with Connection(other) as connection:
        Server(connection.default_channel.client).hold("1", "2", "3", eta=LATER)
    crews = {"one": crew(on_redis, "celery"), "prefix": crew(on_redis, "celery", **options)}
    crews |= {"database": crew(other, "celery"), "its mail": crew(on_redis, "mail", **options)}
    demand = new_demand(None, 60)
    expected = {"one": 3, "prefix": 0, "database": 1, "its mail": 3}
    first, _, commands = server.cost(lambda: demand.of(crews))
    assert {key: demanded.backlog.unacknowledged for key, demanded in first.items()} == expected
    assert commands == {"hstrlen", "hmget"}
    second, _, commands = server.cost(lambda: demand.of(crews))
    assert (second, commands) == (first, set())


def test_brokers_that_nobody_asks_any_more_are_forgotten(server, on_redis, crew, monkeypatch, new_demand):
    def remembered():
        gc.collect()  # and no isinstance, which asks Celery's proxies who they are and has them make apps
        return sum(type(each) is Memory and b"mine alone" in each.entries for each in gc.get_objects())

    server.hold("mine alone")
    demand, other = new_demand(None, 60), {"other": crew(on_redis.removesuffix("/0") + "/5", "celery")}
    demand.of({"one": crew(on_redis, "celery")})
    demand.of(other)
    assert remembered() == 1
    monkeypatch.setattr("reconciler.scaling.demand.IDLE_SECONDS", 0)
    demand.of(other)
    assert remembered() == 0
