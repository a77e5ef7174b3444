"""What is said of a broker that cannot be read: helpful words, never a number, never a secret."""

import gc
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, unquote

import free_ports
import pytest
import servers
from amqp import NotFound
from kombu import Connection

from reconciler.scaling.brokers import faults
from reconciler.scaling.brokers.backlog import is_absent
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.model import Backlog, Unreadable

PATIENT = 3
SECRET = "hunter2/se#cret"
USER = f"shop:{quote(SECRET, safe='')}@"
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
NO_HELLO = f"-ERR unknown command 'AUTH', with args beginning with: 'shop', '{SECRET[:9]}\r\n".encode()
ECHO = f"-WRONGPASS shop may not use {SECRET} or {quote(SECRET, safe='')}\r\n".encode()
MALFORMED = "broker: its URL is malformed; in a password, / is written %2F, # is %23, ? is %3F, ; is %3B and @ is %40"
OTHER = "queues can be counted on Redis, Redis Sentinel, RabbitMQ and Amazon SQS only"


@pytest.fixture(autouse=True)
def _no_secret(caplog, capfd):
    """Fail a test whose logs or output have a secret."""
    yield
    out, err = capfd.readouterr()
    for text in (out, err, caplog.text):
        assert "hunter2" not in text


def server(stack, kind):
    """Return the port of a server of this kind."""
    match kind:
        case "closed":
            return free_ports.take(1)[0]
        case "silent":
            return stack.enter_context(servers.listening())
        case _:
            return stack.enter_context(servers.listening(kind))


FAULTS = {
    "redis refuses": ("redis", "closed", faults.REFUSED),
    "rediss refuses": ("rediss", "closed", faults.REFUSED),
    "amqp refuses": ("amqp", "closed", faults.REFUSED),
    "sentinel refuses": ("sentinel", "closed", faults.MASTER),
    "redis is a web server": ("redis", HTTP, faults.OTHER),
    "rediss is a web server": ("rediss", HTTP, faults.TLS),
    "amqps is a web server": ("amqps", HTTP, faults.TLS),
    "sentinel is a web server": ("sentinel", HTTP, faults.OTHER),
    "redis knows no AUTH and repeats it": ("redis", b"+PONG\r\n" + NO_HELLO, faults.COMMAND),
    "redis repeats the password": ("redis", b"+PONG\r\n" + ECHO, faults.LOGIN),
    "redis is full": ("redis", b"-ERR max number of clients reached\r\n", faults.FULL),
    "redis loads its data": ("redis", b"+PONG\r\n-LOADING hunter2\r\n", faults.LOADING),
    "redis is silent": ("redis", "silent", f"no answer within {PATIENT} s"),
    "rediss is silent": ("rediss", "silent", f"no answer within {PATIENT} s"),
    "amqp is silent": ("amqp", "silent", f"no answer within {PATIENT} s"),
    "amqps is silent": ("amqps", "silent", f"no answer within {PATIENT} s"),
    "sentinel is silent": ("sentinel", "silent", f"no answer within {PATIENT} s"),
}


@pytest.mark.parametrize(("scheme", "kind", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_in_words(scheme, kind, words, read):
    with ExitStack() as stack:
        port = server(stack, kind)
        url = f"{scheme}://{USER}{servers.HERE}:{port}/0"
        assert read(url, {"master_name": "shop"}) == Unreadable(f"{scheme}://{servers.HERE}:{port}/0: {words}")


def descriptors():
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def _no_garbage_collection():
    """Leave what goes round in a circle where it is, as the reconciler does for long."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_garbage_collection")
@pytest.mark.parametrize("url", ["redis://HERE", "redis://HERE;redis://HERE", "sentinel://HERE"])
def test_who_refuses_costs_no_descriptor(url, read):
    url = url.replace("HERE", f"{servers.HERE}:{free_ports.take(1)[0]}/0")
    before = descriptors()
    assert isinstance(read(url, {"master_name": "shop"}), Unreadable)
    assert descriptors() == before


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_name_that_nobody_knows(scheme, read):
    found = read(f"{scheme}://{USER}no-such-host.invalid/0", hosts="*.invalid")
    assert found == Unreadable(f"{scheme}://no-such-host.invalid/0: {faults.NAME}")


def test_a_web_server_is_no_rabbitmq(read):
    with servers.listening(HTTP) as port:
        assert isinstance(read(f"amqp://{USER}{servers.HERE}:{port}/0"), Unreadable)


def test_a_wrong_password(redis, on_rabbitmq, read):
    redis.command += ["--requirepass", "right"]
    redis.start()
    found = read(redis.url.replace("//", f"//:{quote(SECRET, safe='')}@"))
    assert found == Unreadable(f"{redis.url}: {faults.LOGIN}")
    assert read(redis.url) == Unreadable(f"{redis.url}: {faults.LOGIN}")
    address = on_rabbitmq.partition("@")[2]
    assert read(f"amqp://{USER}{address}") == Unreadable(f"amqp://{address}: {faults.LOGIN}")


def test_a_virtual_host_that_is_not_there(on_rabbitmq, on_redis, read):
    url, _, _ = on_rabbitmq.rpartition("/")
    assert read(f"{url}/absent").message.endswith(f"/absent: {faults.PLACE}")
    assert read(on_redis.removesuffix("0") + "99") == Unreadable(
        f"{on_redis}99".replace("/099", "/99") + f": {faults.DATABASE}"
    )


GROUPS = {"a": ["a"], "z": ["z"], "both": ["a", "z"], "mail": ["mail"], "all": ["a", "mail", "z"]}


def only_mail_is_unreadable(backlogs, crew, url, words):
    """Say whether groups that have nothing to do with the queue mail are counted, and the others are told why not."""
    found = backlogs({key: crew(url, *queues) for key, queues in GROUPS.items()})
    message = f"{Broker(url)}: queue mail: {words}"
    assert found.pop("mail") == found.pop("all") == Unreadable(message)
    return found == {"a": Backlog(1, 0), "z": Backlog(2, 0), "both": Backlog(3, 0)}


def test_a_key_that_is_no_list_costs_its_own_groups_only(on_redis, publish, crew, backlogs):
    publish(on_redis, 1, queue="a")
    publish(on_redis, 2, queue="z")
    with Connection(on_redis) as connection:
        connection.default_channel.client.set("mail", "mine")
        assert only_mail_is_unreadable(backlogs, crew, on_redis, faults.KIND)


def test_a_queue_of_another_connection_costs_its_own_groups_only(on_rabbitmq, publish, crew, backlogs):
    publish(on_rabbitmq, 1, queue="a")
    publish(on_rabbitmq, 2, queue="z")
    with Connection(on_rabbitmq) as connection:
        connection.channel().queue_declare("mail", exclusive=True)
        assert only_mail_is_unreadable(backlogs, crew, on_rabbitmq, faults.LOCKED)


def test_an_index_that_is_not_kombu_s(on_redis, read):
    with Connection(on_redis) as connection:
        connection.default_channel.client.set("unacked_index", "mine")
    assert read(on_redis) == Unreadable(f"{Broker(on_redis)}: {faults.KIND}")


def test_a_hash_that_is_not_kombu_s(on_redis, read):
    with Connection(on_redis) as connection:
        client = connection.default_channel.client
        client.hset("unacked", "1", "mine")
        client.zadd("unacked_index", {"1": 1e12})
    assert isinstance(read(on_redis), Unreadable)


REFUSED = {
    "a slash in the password": ("redis://:pa/hunter2@redis:6379/0", MALFORMED),
    "a slash after digits": ("redis://:12/hunter2@redis:6379/0", MALFORMED),
    "a hash in the password": ("amqp://shop:12#hunter2@rabbitmq/shop", MALFORMED),
    "a question mark in the password": ("redis://:12?hunter2@redis/0", MALFORMED),
    "a semicolon in the password": ("redis://:a;hunter2@redis:6379/0", MALFORMED),
    "no URL": ("hunter2", MALFORMED),
    "nothing": ("", MALFORMED),
    "Kafka": ("confluentkafka://key:hunter2@kafka", f"confluentkafka://kafka/: {OTHER}"),
    "files": ("filesystem://", f"filesystem:///: {OTHER}"),
    "a class to import": ("hunter2.a:b://x", MALFORMED),
    "only a password": ("redis:hunter2", MALFORMED),
    "Redis and RabbitMQ": ("redis://:hunter2@a;amqp://b", f"redis://a/;amqp://b/: {OTHER}"),
    "code to call": (
        "redis://:hunter2@a/0?credential_provider=os:abort",
        "redis://a/0: credential_provider is not supported",
    ),
    "code to call, in the host": ("redis://socket%3A%2F%2F%2Fx%3Fcredential_provider%3Dos%3Aabort/0", MALFORMED),
}


@pytest.mark.parametrize(("url", "message"), REFUSED.values(), ids=REFUSED)
def test_a_url_of_another_kind_is_refused(url, message, read):
    assert read(url) == Unreadable(message)


def test_options_that_kombu_would_call_are_left_out(on_redis, read):
    assert read(on_redis, {"queue_order_strategy": "os:abort", "credential_provider": "os:abort"}) == Backlog(0, 0)
    tls = {"credential_provider": "os:abort", "socket_timeout": 3600}
    assert isinstance(read(on_redis.replace("redis:", "rediss:"), tls=tls), Unreadable)


def test_a_broker_shows_no_secret():
    broker = Broker(f"redis://{USER}redis:6379/1", {"sentinel_kwargs": {"password": SECRET}}, {"ssl_password": SECRET})
    assert repr(broker) == "Broker()"
    assert str(broker) == "redis://redis:6379/1"


@pytest.mark.parametrize("words", ["sentinel_kwargs", "tls"])
def test_the_passwords_beside_the_url_are_secret_too(words, read):
    with servers.listening(b"+PONG\r\n" + ECHO) as port:
        address = f"redis://{servers.HERE}:{port}/0"
        options = {"sentinel_kwargs": {"password": SECRET}} if words == "sentinel_kwargs" else {}
        tls = {"ssl_password": SECRET} if words == "tls" else None
        assert "hunter2" not in read(address, options, tls).message


@pytest.fixture
def read(crew, new_demand):
    """Return a function that reads the backlog of one group, as the reconciler does."""

    def read(url, options=None, tls=None, hosts=servers.HERE):
        one = crew(url, "celery", broker_transport_options=options or {}, broker_use_ssl=tls)
        demand = new_demand(None, timeout_seconds=PATIENT, hosts=Hosts.of(hosts))
        found = demand.of({"group": one})["group"].backlog
        assert "hunter2" not in unquote(str(found))
        return found

    return read


@pytest.fixture
def backlogs(new_demand):
    """Return a function that reads the backlogs of several groups."""
    demand = new_demand(None, timeout_seconds=PATIENT)
    return lambda crews: {key: demanded.backlog for key, demanded in demand.of(crews).items()}


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("NOT_FOUND - no queue 'mail' in vhost '/'", True),
        ("NOT_FOUND - home node 'rabbit@b' of durable queue 'mail' in vhost '/' is down or inaccessible", False),
    ],
)
def test_a_queue_whose_node_is_down_is_not_empty(text, absent):
    assert is_absent(NotFound(text, (50, 10), "Queue.declare")) is absent
