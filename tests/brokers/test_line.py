"""The one connection to a broker, look after look: by the broker's own account."""

import gc
import socket
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from queue import SimpleQueue

import pytest
import servers
from kombu import Connection

from reconciler.scaling.brokers import look
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.line import Line
from reconciler.scaling.demand import Demanded
from reconciler.scaling.model import Backlog, Silent, Unreadable

LONG = 60
EMPTY, SILENT = Demanded(Backlog(0, 0), {}), Demanded(Backlog(0, 0), Silent())


@pytest.fixture
def line():
    """Return a function that makes a Line which is closed in the end."""
    made = []

    def make(url):
        made.append(Line(Broker(url), servers.HOSTS))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def kept():
    """Return a function: what is kept of a broker, until the end."""
    made = []

    def keep(url):
        made.append(look.Kept(Broker(url), servers.HOSTS))
        return made[-1]

    yield keep
    for each in made:
        each.line.close()


@contextmanager
def redis_clients(url):
    """Yield a function that returns how many others are connected, and one for how many ever were."""
    with Connection(url) as connection:
        client = connection.default_channel.client
        client.ping()
        mine = client.info("stats")["total_connections_received"]
        yield lambda: len(client.client_list()) - 1, lambda: client.info("stats")["total_connections_received"] - mine


@contextmanager
def relayed(port):
    """Yield the port of a firewall before a server, and a function with which it forgets the connections there are."""
    links = []

    def pump(source, sink, link):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if link in links:
                    sink.sendall(data)

    def serve(server):
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                behind = socket.create_connection((servers.HERE, port))
                links.append(link := (client, behind))
                every.append(link)
                for source, sink in (link, link[::-1]):
                    threading.Thread(target=pump, args=[source, sink, link], daemon=True).start()

    every = []
    with socket.create_server((servers.HERE, 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        yield server.getsockname()[1], links.clear
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        for each in [each for link in every for each in link]:
            each.close()


@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_redis_sees_one_connection_over_several_looks(on_redis, crew, new_demand, prefix):
    demand = new_demand(None, LONG)
    options = {"broker_transport_options": {"global_keyprefix": prefix}}
    crews = {"mail": crew(on_redis, "celery", pods=["absent"], **options)}
    with redis_clients(on_redis) as (now, ever):
        assert demand.of(crews) == {"mail": SILENT}
        assert now() == 1
        opened = ever()
        for _ in range(3):
            assert demand.of(crews) == {"mail": SILENT}
            assert (now(), ever()) == (1, opened)


def test_rabbitmq_sees_one_connection_without_a_channel_over_several_looks(
    on_rabbitmq, rabbitmq_server, crew, new_demand, publish
):
    publish(on_rabbitmq, queue="mail")
    vhost = on_rabbitmq.rpartition("/")[2]

    def connections():
        lines = rabbitmq_server.control("list_connections", "vhost", "pid", "channels").splitlines()
        return [line.split()[1:] for line in lines if line.split()[0] == vhost]

    demand = new_demand(None, LONG)
    crews = {name: crew(on_rabbitmq, name, pods=["absent"]) for name in ("mail", "not there", "nor there")}
    seen = []
    for _ in range(3):
        assert demand.of(crews)["mail"] == Demanded(Backlog(1, 0), Silent())
        seen.append(connections())
        assert rabbitmq_server.queues(vhost) == {"mail"}
    [[_, channels]] = seen[0]
    assert channels == "0"
    assert seen == [seen[0]] * 3


def test_a_glance_counts_what_waits_and_asks_nothing_else(url, publish, crew, new_demand):
    publish(url, 3, queue="mail")
    demand, told = new_demand(None, LONG), SimpleQueue()
    demand.glance({"mail": crew(url, "mail", pods=["absent"]), "none": crew(url, "celery")}, told.put)
    assert told.get(timeout=LONG) == {"mail": Demanded(Backlog(3, 0), Silent()), "none": EMPTY}


def test_on_redis_a_glance_does_not_look_at_what_workers_hold(on_redis, crew, new_demand):
    demand, told = new_demand(None, LONG), SimpleQueue()
    with Connection(on_redis) as connection:
        client = connection.default_channel.client
        client.config_resetstat()
        demand.glance({"mail": crew(on_redis, "mail")}, told.put)
        assert told.get(timeout=LONG) == {"mail": EMPTY}
        assert set(client.info("commandstats")) & {"cmdstat_zrevrange", "cmdstat_llen"} == {"cmdstat_llen"}


def test_nobody_glances_at_a_broker_while_it_is_looked_at(on_redis, crew, new_demand):
    """The workers of the look are silent, so that it takes a while."""
    demand, told = new_demand(None, LONG), SimpleQueue()
    with redis_clients(on_redis) as (now, ever):
        demand.of({"mail": crew(on_redis, "celery")})
        opened = ever()
        demand.look({"look": crew(on_redis, "celery", pods=["absent"])}, told.put)
        for number in range(5):
            demand.glance({number: crew(on_redis, "celery")}, told.put)
        assert {key for _ in range(6) for key in told.get(timeout=LONG)} == {"look", *range(5)}
        assert (now(), ever()) == (1, opened)


def test_what_was_declared_on_redis_is_not_remembered_for_ever(on_redis, kept, monkeypatch):
    """By kombu, in 23 kB for a hundred looks. Fewer are its beginnings."""
    monkeypatch.setattr("reconciler.scaling.brokers.inspection.ANSWER_SECONDS", 0.001)
    broker = kept(on_redis)
    workers = {frozenset({"celery", "mail"}): [("celery", "mail@absent")]}

    def remembered():
        for _ in range(100):
            assert look.at(broker, workers, LONG, lambda _: None).loads == {}
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        assert remembered() > remembered() - 10_000
    finally:
        tracemalloc.stop()


def test_a_redis_that_was_started_anew_is_connected_to_anew(redis, on_redis, crew, new_demand):
    demand, crews = new_demand(None, LONG), {"mail": crew(on_redis, "celery")}
    assert demand.of(crews) == {"mail": EMPTY}
    redis.kill()
    redis.start()
    assert demand.of(crews) == {"mail": EMPTY}


def test_a_rabbitmq_that_was_started_anew_is_connected_to_anew(on_rabbitmq, rabbitmq_server, crew, new_demand):
    demand, crews = new_demand(None, LONG), {"mail": crew(on_rabbitmq, "celery", pods=["absent"])}
    assert demand.of(crews) == {"mail": SILENT}
    rabbitmq_server.control("stop_app")
    rabbitmq_server.control("start_app")
    assert demand.of(crews) == {"mail": SILENT}


def test_one_that_was_cut_without_a_word_is_given_up_in_the_same_look(url, crew, new_demand):
    _, _, port = url.rpartition("/")[0].rpartition(":")
    demand = new_demand(None, LONG)
    with relayed(int(port)) as (relay, forget):
        crews = {"mail": crew(url.replace(f":{port}/", f":{relay}/"), "celery")}
        assert demand.of(crews) == {"mail": EMPTY}
        forget()
        assert demand.of(crews) == {"mail": EMPTY}


def test_with_another_password_it_is_another_and_the_old_one_goes(on_redis, crew, new_demand, monkeypatch, until):
    demand = new_demand(None, LONG)
    with redis_clients(on_redis) as (now, _), Connection(on_redis) as connection:
        admin = connection.default_channel.client
        assert demand.of({"mail": crew(on_redis, "celery")}) == {"mail": EMPTY}
        kept = now()
        admin.config_set("requirepass", "hunter2")
        crews = {"mail": crew(on_redis.replace("//", "//:hunter2@"), "celery")}
        assert demand.of(crews) == {"mail": EMPTY}
        assert now() == kept + 1
        monkeypatch.setattr("reconciler.scaling.demand.IDLE_SECONDS", 0)
        demand.of({})
        until(lambda: now() == kept - 1, "the end of both")


def test_a_password_that_is_good_no_more_is_told(on_redis, crew, new_demand):
    demand, crews = new_demand(None, LONG), {"mail": crew(on_redis, "celery")}
    assert demand.of(crews) == {"mail": EMPTY}
    with Connection(on_redis) as connection:
        admin = connection.default_channel.client
        admin.config_set("requirepass", "hunter2")
        admin.client_kill_filter(_type="normal", skipme=True)
        assert isinstance(demand.of(crews)["mail"].backlog, Unreadable)


def test_a_look_has_its_connection_for_itself(url, line):
    """Also one that is late: the next one begins before it has ended."""
    one, seen = line(url), []

    def nested(outer):
        assert one.asked(LONG, seen.append) is None
        assert outer.connected
        seen.append(outer)

    one.asked(LONG, nested)
    inner, outer = seen
    assert inner is not outer
    assert inner.connected
    assert not outer.connected
    one.asked(LONG, seen.append)
    assert seen[2] is inner


def test_a_question_that_fails_takes_its_connection_with_it(url, line):
    one, seen = line(url), []

    def fails(connection):
        seen.append(connection)
        raise ValueError("wrong")

    assert isinstance(one.asked(LONG, fails), Unreadable)
    one.asked(LONG, seen.append)
    assert seen[0] is not seen[1]
    assert not seen[0].connected


def test_what_comes_back_to_one_that_is_closed_is_closed(url, line):
    one, seen = line(url), []

    def late(connection):
        one.close()
        seen.append(connection)

    assert one.asked(LONG, late) is None
    assert not seen[0].connected
