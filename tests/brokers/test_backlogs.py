"""The counts, against what was published and what real workers have done with it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from kombu import Connection, Exchange, Queue
from servers import Held

from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.model import Backlog

TASKS = 20
LATE, ONE, QUORUM = {"task_acks_late": True}, {"worker_prefetch_multiplier": 1}, {"task_default_queue_type": "quorum"}
BUSY = [  # of TASKS, by a worker of two processes; all add up to them
    ("redis", {}, [], Backlog(10, 8), Held(2, 2)),
    ("redis", ONE, [], Backlog(16, 2), Held(2, 2)),
    ("redis", LATE, [], Backlog(12, 8), Held(2, 0)),
    ("redis", LATE | ONE, [], Backlog(18, 2), Held(2, 0)),
    ("redis", {}, ["--disable-prefetch"], Backlog(18, 0), Held(2, 2)),
    ("redis", LATE, ["--disable-prefetch"], Backlog(18, 2), Held(2, 0)),
    ("rabbitmq", {}, [], Backlog(10, 0), Held(2, 10)),
    ("rabbitmq", ONE, [], Backlog(16, 0), Held(2, 4)),
    ("rabbitmq", LATE, [], Backlog(12, 0), Held(2, 8)),
    ("rabbitmq", LATE | ONE, [], Backlog(18, 0), Held(2, 2)),
    ("rabbitmq", QUORUM, [], Backlog(10, 0), Held(2, 10)),
    ("rabbitmq", QUORUM | ONE, [], Backlog(16, 0), Held(2, 4)),
    ("rabbitmq", QUORUM | LATE, [], Backlog(12, 0), Held(2, 8)),
    ("rabbitmq", QUORUM | LATE | ONE, [], Backlog(18, 0), Held(2, 2)),
]


@pytest.mark.parametrize("case", BUSY, ids=str)
def test_every_one_of_twenty_tasks_is_found_and_those_left_by_a_killed_worker(
    request, publish, worker, backlog, running, until, kill, celery_version, record_property, case
):
    server, settings, flags, waiting, load = case
    if flags and celery_version in ("5.4", "5.5"):
        pytest.skip(f"Celery {celery_version} has no {flags}")
    assert sum(waiting) + load.uncounted == TASKS
    url = request.getfixturevalue(f"on_{server}")
    publish(url, TASKS, settings=settings)
    process = worker(url, *flags, **settings)
    seen = {}

    def all_is_found():
        left, held = seen["now"] = (backlog(url), running(url).get("mail-1", Held(0, 0)))
        if QUORUM.items() <= settings.items():  # how many a worker takes from them varies, what it adds up to does not
            return (held.active, sum(left) + held.uncounted) == (load.active, TASKS)
        return (left, held) == (waiting, load)

    until(all_is_found, seen)
    kill(process)
    left = TASKS if settings.get("task_acks_late") else TASKS - load.active  # those are gone for good
    until(lambda: sum(backlog(url)) == left, f"{left} tasks")
    record_property("counted", json.dumps([server, settings, flags, celery_version, TASKS, left]))


def test_queues_without_a_worker_count_what_was_published(url, publish, backlog):
    publish(url, 3)
    publish(url, 4, queue="mail")
    assert backlog(url, "celery", "mail") == Backlog(7, 0)


def test_a_queue_that_does_not_exist_yet_is_empty(url, publish, backlog):
    publish(url, 1, queue="mail")
    assert backlog(url, "absent", "mail", "not-yet") == Backlog(1, 0)


def test_groups_on_one_broker_count_their_own(url, publish, worker, seen, until):
    publish(url, 6)
    publish(url, 5, queue="mail")
    worker(url, queues="mail", **LATE, **ONE)
    one = Broker(url)
    unacknowledged = 2 if one.is_redis else 0
    expected = {frozenset({"celery"}): Backlog(6, 0), frozenset({"mail"}): Backlog(3, unacknowledged)}
    until(lambda: seen(one, dict.fromkeys(expected, ())).backlogs == expected, str(expected))


def test_every_priority_counts(on_redis, publish, backlog):
    for priority in range(10):
        publish(on_redis, priority=priority)
    assert backlog(on_redis) == Backlog(10, 0)


def test_priorities_are_where_the_options_put_them(on_redis, publish, backlog):
    options = {"priority_steps": list(range(10)), "sep": ":"}
    for priority in range(10):
        publish(on_redis, options=options, priority=priority)
    assert backlog(on_redis, options=options) == Backlog(10, 0)
    assert backlog(on_redis) == Backlog(1, 0)


def test_keys_are_named_as_the_options_say(on_redis, publish, worker, backlog, until):
    options = {"global_keyprefix": "shop:", "unacked_key": "taken", "unacked_index_key": "taken_index"}
    publish(on_redis, 5, options=options)
    publish(on_redis, 1)
    worker(on_redis, broker_transport_options=options, **LATE, **ONE)
    until(lambda: backlog(on_redis, options=options) == Backlog(3, 2), "two of five taken")
    assert backlog(on_redis) == Backlog(1, 0)


def test_databases_do_not_mix(on_redis, publish, backlog):
    other = on_redis.removesuffix("/0") + "/5"
    publish(other, 2)
    assert (backlog(on_redis), backlog(other)) == (Backlog(0, 0), Backlog(2, 0))


def test_tasks_held_for_later_keep_one_worker_and_not_more(on_redis, publish, worker, backlog, until):
    publish(on_redis, 7, countdown=3600)
    worker(on_redis)
    until(lambda: backlog(on_redis) == Backlog(0, 1), "all taken")
    publish(on_redis, 3)
    until(lambda: backlog(on_redis) == Backlog(0, 1), "two running, one reserved")


def test_on_rabbitmq_tasks_that_a_worker_holds_for_later_do_not_count(
    on_rabbitmq, publish, worker, backlog, running, until
):
    publish(on_rabbitmq, 7, countdown=3600)
    worker(on_rabbitmq)
    until(lambda: backlog(on_rabbitmq) == Backlog(0, 0), "all taken")
    assert running(on_rabbitmq) == {"mail-1": Held(0, 0)}


def test_tasks_whose_time_has_come_count(on_redis, backlog):
    with Connection(on_redis) as connection:
        for eta, tag in ((-1, "due"), (-2, "overdue"), (3600, "later")):
            moment = (datetime.now(UTC) + timedelta(seconds=eta)).isoformat()
            hold(connection, tag, {"headers": {"eta": moment}}, "", "celery")
        hold(connection, "nothing is known of its time", {}, "", "celery")
    assert backlog(on_redis) == Backlog(0, 3)


def test_what_is_held_belongs_to_the_queues_its_routing_key_is_bound_to(on_redis, seen):
    with Connection(on_redis) as connection:
        topic, direct = Exchange("events", "topic"), Exchange("orders", "direct")
        for queue, exchange, key in (("mail", topic, "user.*"), ("all", topic, "#"), ("shop", direct, "new")):
            Queue(queue, exchange, key)(connection.channel()).declare()
        hold(connection, "1", {}, "events", "user.born")
        hold(connection, "2", {}, "events", "user.born.twice")
        hold(connection, "3", {}, "orders", "new")
    expected = {frozenset({queue}): Backlog(0, held) for queue, held in (("mail", 1), ("all", 2), ("shop", 1))}
    assert seen(Broker(on_redis), dict.fromkeys(expected, ())).backlogs == expected


def test_large_messages_are_counted_too(on_redis, backlog):
    with Connection(on_redis) as connection:
        for number in range(5):
            hold(connection, str(number), {"body": "x" * 700_000}, "", "celery")
    assert backlog(on_redis) == Backlog(0, 5)


def hold(connection, tag, message, exchange, routing_key):
    """Leave a message where kombu keeps what a worker has taken."""
    redis = connection.default_channel.client
    redis.hset("unacked", tag, json.dumps([message, exchange, routing_key]))
    redis.zadd("unacked_index", {tag: datetime.now(UTC).timestamp()})
