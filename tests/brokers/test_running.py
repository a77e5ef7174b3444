"""What real workers say that they have in hand, and what asking them leaves behind."""

import threading
from datetime import UTC, datetime, timedelta

import free_ports
import pytest
import servers
from kombu import Connection
from servers import Held

from reconciler.scaling.brokers import inspection
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.load import Load
from reconciler.scaling.demand import Demanded
from reconciler.scaling.model import Unreadable
from reconciler.scaling.pace import Counters

IDLE = Counters(running=0, begun=0, slots=2)


def test_each_pod_tells_its_own(url, publish, worker, running, until, tmp_path):
    worker(url, node="mail@mail-1", queues="one")
    worker(url, node="mail@mail-2", queues="two")
    until(lambda: set(running(url, "mail-1", "mail-2")) == {"mail-1", "mail-2"}, "both workers")
    assert running(url, "mail-1", "mail-2", "mail-3") == {"mail-1": Held(0, 0), "mail-2": Held(0, 0)}
    publish(url, 1, queue="two")
    until(lambda: running(url, "mail-1", "mail-2") == {"mail-1": Held(0, 0), "mail-2": Held(1, 1)}, "one running")
    (tmp_path / "go").touch()
    until(lambda: running(url, "mail-2") == {"mail-2": Held(0, 0)}, "its end")


@pytest.mark.parametrize("late", [False, True], ids=["acknowledged early", "acknowledged late"])
def test_a_worker_tells_of_each_task_what_it_is_since_when_and_whether_it_comes_back(
    url, publish, worker, seen, until, late
):
    node, before = ("celery", "mail@mail-1"), datetime.now(UTC)
    worker(url, task_acks_late=late)
    publish(url, 2)

    def tasks():
        return seen(Broker(url), {frozenset(): [node]}).loads.get(node, Load((), 0)).tasks

    until(lambda: len(tasks()) == 2, "two running")
    first, second = told = tasks()
    assert first.id != second.id
    for task in told:
        assert (task.name, task.is_acknowledged) == ("hold", not late)
        assert before - timedelta(seconds=1) <= task.started_at <= datetime.now(UTC)
    assert tasks() == told


@pytest.mark.parametrize("began", [None, "now", float("nan"), 1e300, -1e300, []], ids=str)
def test_whatever_a_worker_says_it_is_a_task(began):
    told = inspection._task({"time_start": began, "name": None, "id": 7})  # noqa: SLF001 (no Celery says such things)
    assert (told.id, told.name, told.is_acknowledged) == ("7", "None", True)
    assert told.started_at is None


@pytest.mark.parametrize(
    ("total", "slots", "counters"),
    [
        (float("inf"), 2, None),
        (3, float("nan"), None),
        (10**400, 10**400, Counters(1, 2**63 - 1, 2**31 - 1)),
        (-7, -7, Counters(1, 0, 1)),
    ],
)
def test_whatever_a_worker_counts_is_a_number_that_can_be_reckoned_with(total, slots, counters):
    stats = {"total": {"a": total}, "pool": {"max-concurrency": slots}}
    assert inspection._counters(stats, 1) == counters  # noqa: SLF001 (as above)


def test_groups_and_brokers_do_not_mix(on_redis, on_rabbitmq, worker, seen, until):
    worker(on_redis, node="mail@pod")
    worker(on_rabbitmq, node="web@pod")
    mail, web = nodes = [("celery", "mail@pod"), ("celery", "web@pod")]
    for url, node in ((on_redis, mail), (on_rabbitmq, web)):
        one = Broker(url)
        until(
            lambda one=one, node=node: seen(one, {frozenset(): nodes}).loads == {node: Load((), 0, IDLE)},
            "its own worker",
        )


def test_two_who_ask_on_one_redis_get_their_own_answers(on_redis, worker, crew, until, new_demand):
    """They have other options, as two apps may."""
    for pod in ("one", "two"):
        worker(on_redis, node=f"mail@{pod}")
    crews = {
        pod: crew(on_redis, pods=[pod], broker_transport_options={"visibility_timeout": seconds})
        for pod, seconds in (("one", 3600), ("two", 7200))
    }
    expected = {pod: Demanded(None, {pod: ()}, {pod: IDLE}) for pod in crews}
    demand = new_demand(None, timeout_seconds=10)
    until(lambda: demand.of(crews) == expected, "both workers")
    assert [demand.of(crews) for _ in range(10)] == [expected] * 10


def test_a_control_exchange_of_another_name(url, worker, running, until):
    worker(url, control_exchange="shop")
    until(lambda: running(url, exchange="shop") == {"mail-1": Held(0, 0)}, "an answer")
    assert running(url) == {}


def test_options_are_those_of_the_workers(on_redis, worker, running, until):
    options = {"global_keyprefix": "shop:", "fanout_prefix": "/fans."}
    worker(on_redis, broker_transport_options=options)
    until(lambda: running(on_redis, options=options) == {"mail-1": Held(0, 0)}, "an answer")
    assert running(on_redis) == {}


def test_an_answer_in_pickle_is_none(on_redis, worker, running, until):
    worker(on_redis, node="mail@pickle", task_serializer="pickle", accept_content=["pickle", "json"])
    worker(on_redis, node="mail@json")
    until(lambda: running(on_redis, "json"), "the other worker")
    assert running(on_redis, "json", "pickle") == {"json": Held(0, 0)}


def test_a_broker_that_fails_is_told_as_such(seen):
    url = f"redis://:hunter2@{servers.HERE}:{free_ports.take(1)[0]}/0"
    found = seen(Broker(url), {frozenset(): [("celery", "mail@mail-1")]})
    assert isinstance(found, Unreadable)
    assert "hunter2" not in found.message


def keys(url):
    with Connection(url) as connection:
        return sorted(connection.default_channel.client.keys())


@pytest.fixture(params=["", "shop:"], ids=["plain", "prefixed"])
def options(request):
    return {"global_keyprefix": request.param}


def test_twenty_questions_leave_nothing_on_redis(on_redis, worker, running, until, options):
    worker(on_redis, broker_transport_options=options)
    until(lambda: running(on_redis, options=options), "the worker")
    before = keys(on_redis)
    for _ in range(20):
        assert running(on_redis, options=options) == {"mail-1": Held(0, 0)}
    assert keys(on_redis) == before


def test_questions_that_nobody_answers_leave_nothing_on_redis(on_redis, running, options):
    assert running(on_redis, options=options) == {}
    assert keys(on_redis) == []


def test_what_a_failure_has_left_goes_with_the_next_question(redis, running, until):
    redis.command += ["--appendonly", "yes"]
    redis.start()
    asked = threading.Thread(target=running, args=[redis.url])
    asked.start()
    until(lambda: keys(redis.url), "the queue for the answers")
    redis.kill()
    asked.join()
    redis.start()
    until(lambda: keys(redis.url), "what the question has left")
    assert running(redis.url) == {}
    assert keys(redis.url) == []


def test_questions_leave_nothing_on_rabbitmq(on_rabbitmq, rabbitmq_server, worker, running, until):
    worker(on_rabbitmq)
    until(lambda: running(on_rabbitmq), "the worker")
    vhost = on_rabbitmq.rpartition("/")[2]
    before = rabbitmq_server.queues(vhost)
    assert before == {"celery", "mail@mail-1.celery.pidbox"}
    for _ in range(20):
        assert running(on_rabbitmq) == {"mail-1": Held(0, 0)}
    assert running(on_rabbitmq, "absent") == {}
    assert rabbitmq_server.queues(vhost) == before
