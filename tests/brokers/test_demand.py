"""Many brokers and Secrets at once: who is told what, and who does not wait for whom.

Order is what counts here. Time-outs are long, where one is not the point: a test that would wait for one never ends.
"""

import json
import sys
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

import pytest
import secured
import servers
import urllib3
from servers import Held

from reconciler.cluster.client import Cluster
from reconciler.cluster.transport import Access, Transport
from reconciler.scaling.brokers import faults
from reconciler.scaling.demand import Crew, Demanded
from reconciler.scaling.group import Group, Parts, SecretKey
from reconciler.scaling.model import Backlog, NotAsked, Silent, Unreadable
from reconciler.scaling.pace import Counters

LONG = 120
PATIENT = 3
EMPTY = Demanded(Backlog(0, 0), {})
SECRET = SecretKey("broker", "url")
NOT_FOUND, FORBIDDEN = ({"kind": "Status", "code": code, "message": ""} for code in (404, 403))


def unreadable(message):
    return Demanded(Unreadable(message), Silent())


@contextmanager
def api_server(secrets):
    """Yield a client of an API server that has these Secrets, by their namespaces. None is never answered."""
    end = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            secret = secrets.get(self.path.split("/")[4], NOT_FOUND)
            if secret is None:
                end.wait()
                return
            self.send_response(secret.get("code", 200))
            self.end_headers()
            self.wfile.write(json.dumps(secret).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer((servers.HERE, 0), Handler) as server, urllib3.PoolManager() as pool:
        threading.Thread(target=server.serve_forever).start()
        access = Access(f"http://{servers.HERE}:{server.server_port}", lambda: pool, lambda: None)
        try:
            yield Cluster(Transport(access, lambda: True, lambda *_: None, silence_seconds=LONG))
        finally:
            end.set()
            server.shutdown()


def secret(url):
    return {"metadata": {}, "data": {"url": b64encode(url.encode()).decode()}}


def kept(place):
    """Return one Secret with all that a broker asks for."""
    texts = {key: text for each in place.secrets.values() for key, text in each.items()}
    return {"metadata": {}, "data": {key: b64encode(text.encode()).decode() for key, text in texts.items()}}


class Told:
    """What is told of whom, in its order."""

    def __init__(self):
        self.queue = SimpleQueue()

    def __call__(self, found):
        self.queue.put(dict(found))

    def next(self):
        return self.queue.get(timeout=LONG)


@pytest.fixture
def told():
    return Told()


def askers():
    return sum(thread.name.startswith("asks") for thread in threading.enumerate())


def test_who_answers_is_told_while_another_still_hangs(on_redis, publish, crew, told, new_demand):
    publish(on_redis, 3)
    with servers.listening() as silent:
        hanging = f"redis://{servers.HERE}:{silent}/0"
        new_demand(None, LONG).look({"hangs": crew(hanging, "celery"), "answers": crew(on_redis, "celery")}, told)
        assert told.next() == {"answers": Demanded(Backlog(3, 0), {})}
    assert list(told.next()) == ["hangs"]


def test_who_does_not_answer_in_time_is_told_so_and_asked_again_when_the_question_has_ended(crew, until, new_demand):
    with servers.listening() as silent:
        address = f"amqp://{servers.HERE}:{silent}//"
        demand, crews = new_demand(None, PATIENT), {"hangs": crew(address, "celery", pods=["mail-1"])}
        assert demand.of(crews) == {"hangs": unreadable(f"{address}: no answer within {PATIENT} s")}
        assert demand.of(crews) == {
            "hangs": unreadable(f"{address}: no answer within {PATIENT} s")
        }  # in the same words
    until(lambda: not askers(), "the end of every thread")
    assert "refused" in demand.of(crews)["hangs"].backlog.message


def test_hundreds_that_hang_take_no_more_than_half_of_the_threads_from_other_namespaces(
    on_redis, crew, told, until, new_demand
):
    with servers.listening() as silent:
        hanging = {
            number: crew(f"redis://{servers.HERE}:{silent}/{number}", "celery", namespace="hostile")
            for number in range(300)
        }
        new_demand(None, LONG).look(hanging | {"answers": crew(on_redis, "celery")}, told)
        assert told.next() == {"answers": EMPTY}
        until(lambda: askers() == 64, "half of the threads")
    assert {key for _ in hanging for key in told.next()} == set(hanging)


def test_a_secret_that_hangs_or_is_not_there_keeps_nobody_waiting(on_redis, crew, told, new_demand):
    secrets = {"hangs": None, "reads": secret(f" {on_redis}\n"), "odd": secret("") | {"data": 5}, "may-not": FORBIDDEN}
    secrets |= {
        "empty": secret(" "),
        "no-text": {"metadata": {}, "data": {"url": "/w=="}},
        "no-key": secret("") | {"data": {}},
    }
    crews = {name: crew(SECRET, "celery", namespace=name) for name in [*secrets, "absent"]}
    with api_server(secrets) as cluster:
        new_demand(cluster, LONG).look(crews | {"no-secret": crew(on_redis, "celery")}, told)
        found = {key: demanded for _ in range(len(crews)) for key, demanded in told.next().items()}
        granted = "by the component queue-scaling, or the chart's value brokerSecrets: docs/operations.md#scaling"
        message = f"Secret/may-not/broker may not be read until it is granted, {granted}"
        assert found == {
            "reads": EMPTY,
            "no-secret": EMPTY,
            "odd": unreadable("Secret/odd/broker: AttributeError"),
            "may-not": Demanded(Unreadable(message), NotAsked(message)),
            "absent": unreadable("Secret/absent/broker is not there"),
            "empty": unreadable("Secret/empty/broker url is empty"),
            "no-text": unreadable("Secret/no-text/broker url is no text"),
            "no-key": unreadable("Secret/no-key/broker has no key url"),
        }
    assert list(told.next()) == ["hangs"]


def test_a_secret_that_is_not_read_in_time(crew, new_demand):
    with api_server({"hangs": None}) as cluster:
        found = new_demand(cluster, PATIENT).of({"one": crew(SECRET, "celery", namespace="hangs")})
        assert found == {"one": unreadable(f"Secret/hangs/broker: no answer within {PATIENT} s")}


def test_a_secret_is_read_again_only_if_its_broker_cannot_be(redis, on_redis, crew, new_demand):
    secrets = {"shop": secret(on_redis)}
    with api_server(secrets) as cluster:
        demand, crews = new_demand(cluster, PATIENT), {"one": crew(SECRET, "celery")}
        assert demand.of(crews) == {"one": EMPTY}
        secrets["shop"] = secret("amqp://elsewhere.invalid/")
        assert demand.of(crews) == {"one": EMPTY}
        redis.stop()
        assert demand.of(crews)["one"].backlog.message.startswith(f"{on_redis}: ")
        assert demand.of(crews)["one"].backlog.message.startswith("amqp://elsewhere.invalid/: ")


def test_a_broker_that_hangs_is_named_though_its_url_is_in_a_secret(crew, new_demand):
    with (
        servers.listening() as silent,
        api_server({"shop": secret(f"redis://:pass@{servers.HERE}:{silent}/0")}) as cluster,
    ):
        found = new_demand(cluster, PATIENT).of({"one": crew(SECRET, "celery")})
        assert found == {"one": unreadable(f"redis://{servers.HERE}:{silent}/0: no answer within {PATIENT} s")}


def test_what_goes_wrong_in_a_look_is_told_of_its_own_groups(on_redis, crew, new_demand):
    crews = {"right": crew(on_redis, "celery"), "wrong": crew(on_redis, "celery", broker_transport_options="text")}
    found = new_demand(None, LONG).of(crews)
    assert found == {"right": EMPTY, "wrong": unreadable(f"{on_redis}: broker_transport_options is no object")}


def test_without_kombu_every_group_is_told(monkeypatch, crew, new_demand):
    monkeypatch.setitem(sys.modules, "kombu.transport.redis", None)
    crews = {"queue": crew("redis://redis/0", "celery"), "cpu": crew("redis://redis/0", pods=["mail-1"])}
    assert new_demand(None, LONG).of(crews) == {
        "queue": unreadable("broker: ModuleNotFoundError"),
        "cpu": Demanded(None, Silent()),
    }


@pytest.fixture
def _no_more_threads():
    """Ask for more memory for each thread than there is."""
    before = threading.stack_size(1 << 46)
    yield
    threading.stack_size(before)


@pytest.mark.usefixtures("_no_more_threads")
def test_without_threads_every_group_is_told(crew, new_demand):
    assert new_demand(None, LONG).of({"one": crew("redis://redis/0", "celery")}) == {
        "one": unreadable("broker: RuntimeError")
    }


def test_an_app_that_names_no_broker_is_not_asked(crew, new_demand):
    found = new_demand(None, LONG).of({"one": crew(None, pods=["mail-1"])})
    assert found == {"one": Demanded(None, NotAsked("the app names no broker, so nobody was asked what runs"))}


def test_whoever_is_scaled_by_something_else_is_asked_what_runs(on_redis, worker, crew, until, new_demand):
    worker(on_redis)
    crews = {"cpu": crew(on_redis, pods=["mail-1"]), "queue": crew(on_redis, "celery", pods=["absent"])}
    idle = {"mail-1": Counters(running=0, begun=0, slots=2)}
    expected = {"cpu": Demanded(None, {"mail-1": ()}, idle), "queue": Demanded(Backlog(0, 0), Silent())}
    until(lambda: new_demand(None, LONG).of(crews) == expected, str(expected))


def test_what_workers_alone_hold_is_waited_for_too(on_rabbitmq, publish, worker, crew, running, until, new_demand):
    publish(on_rabbitmq, 20)
    worker(on_rabbitmq)
    until(lambda: running(on_rabbitmq) == {"mail-1": Held(2, 10)}, "those that are taken")
    found = new_demand(None, LONG).of({"one": crew(on_rabbitmq, "celery", pods=["mail-1"])})
    assert found["one"].backlog == Backlog(10, 10)
    assert [task.name for task in found["one"].running["mail-1"]] == ["hold", "hold"]


def test_one_connection_for_all_who_have_the_same_broker(on_rabbitmq, rabbitmq_server, crew, until, new_demand):
    def connections():
        return rabbitmq_server.log.read_text().count("accepting AMQP connection")

    with api_server({"web": secret(on_rabbitmq), "shop": secret(on_rabbitmq)}) as cluster:
        crews = {
            "in the app": crew(on_rabbitmq, "celery", pods=["mail-1"]),
            "in a Secret": crew(SECRET, "mail", pods=["mail-2"], namespace="shop"),
            "in another": crew(SECRET, "celery", pods=["mail-3"], namespace="web"),
            "by CPU": crew(on_rabbitmq, pods=["mail-4"]),
        }
        demand, expected = new_demand(cluster, LONG), Demanded(Backlog(0, 0), Silent())
        expected = dict.fromkeys(crews, expected) | {"by CPU": Demanded(None, Silent())}
        before = connections()
        assert demand.of(crews) == expected
        until(lambda: connections() == before + 3, "one for the URL that is known, one for each Secret")
        assert demand.of(crews) == expected
        assert connections() == before + 3  # one of them for all


def test_a_name_of_one_word_is_a_service_of_the_app_s_own_namespace(on_redis, publish, crew, services, new_demand):
    publish(on_redis, 3)
    services["redis.shop.svc"] = servers.HERE
    named = on_redis.replace(servers.HERE, "redis")
    crews = {namespace: crew(named, "celery", namespace=namespace) for namespace in ("shop", "web")}
    expected = {"shop": Demanded(Backlog(3, 0), {}), "web": unreadable(f"{named}: {faults.NAME}")}
    demand = new_demand(None, LONG)
    assert demand.of(crews) == expected
    assert demand.of(crews) == expected  # though a connection to one is open


def test_its_certificate_is_for_the_name_that_is_written(redis_program, tmp_path, certificates, services, new_demand):
    services["redis.shop.svc"] = services["valkey.shop.svc"] = servers.HERE
    with secured.on_redis(redis_program, tmp_path, certificates) as place, api_server({"shop": kept(place)}) as cluster:
        urls = {name: place.broker["url"].replace(servers.HERE, name) for name in ("redis", "valkey")}
        parts = Parts.of(place.broker)
        crews = {
            name: Crew("shop", Group("mail", None, frozenset(["celery"]), url, {}, parts), frozenset())
            for name, url in urls.items()
        }
        found = new_demand(cluster, PATIENT).of(crews)
    assert found == {"redis": EMPTY, "valkey": unreadable(f"{urls['valkey']}: {faults.UNTRUSTED}")}


def test_two_looks_at_one_broker_follow_one_another(on_redis, crew, told, new_demand):
    """The workers of one are silent, so that it takes a while."""
    demand = new_demand(None, LONG)
    demand.look({"silent": crew(on_redis, "celery", pods=["absent"])}, told)
    demand.look({"none": crew(on_redis, "celery")}, told)
    assert told.next() | told.next() == {"silent": Demanded(Backlog(0, 0), Silent()), "none": EMPTY}


@pytest.fixture
def _alarm(rabbitmq_server):
    """Let RabbitMQ take nothing from those who publish, as when its memory runs out."""
    rabbitmq_server.control("set_vm_memory_high_watermark", "0.00001")
    yield
    rabbitmq_server.control("set_vm_memory_high_watermark", "0.4")


@pytest.mark.usefixtures("_alarm")
def test_what_was_counted_is_told_though_the_broker_takes_no_question_to_the_workers(on_rabbitmq, crew, new_demand):
    found = new_demand(None, PATIENT).of({"one": crew(on_rabbitmq, "celery", pods=["mail-1"])})
    assert found == {"one": Demanded(Backlog(0, 0), Silent())}


def test_a_broker_is_reached_by_its_parts(place, until, new_demand):
    group = Group("mail", None, frozenset(["celery"]), place.broker["url"], {}, Parts.of(place.broker))
    asked = {"mail": Crew("shop", group, frozenset())}
    with api_server({"shop": kept(place)}) as cluster:
        demand = new_demand(cluster, PATIENT)
        assert demand.of(asked) == {"mail": EMPTY}
        assert demand.of(asked) == {"mail": EMPTY}
        if place.fail_over:
            place.fail_over()
            until(lambda: demand.of(asked) == {"mail": EMPTY}, "the next master")
        else:
            strangers = group._replace(parts=group.parts._replace(files=()))
            found = demand.of({"mail": Crew("shop", strangers, frozenset())})
            assert "its certificate is not trusted" in found["mail"].backlog.message
