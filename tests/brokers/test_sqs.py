"""Amazon SQS, as moto's server plays it: counts beside kombu's own transport, and what is said when there are none."""

import os
import sys
from contextlib import ExitStack
from urllib.parse import quote

import amazon
import free_ports
import pytest
import servers

from reconciler.scaling.brokers import faults, sqs
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.demand import UNASKED, Demand, Demanded
from reconciler.scaling.model import Backlog, NotAsked, Policy, Unreadable

TASKS = 20
REGION = {"region": amazon.REGION}
LATE = {"task_acks_late": True}
PATIENT = 3
THEIRS, MAY_NOT = (
    "the key in the app's URL or settings",
    "may not read it: allow sqs:GetQueueUrl and sqs:GetQueueAttributes",
)
SCALING = {"scaling": {"minReplicas": 1, "maxReplicas": 9, "cooldownSeconds": 300, "paused": False}}


@pytest.fixture(autouse=True)
def _no_secret(caplog, capfd):
    """Fail a test whose logs or output have a secret."""
    yield
    assert "hunter2" not in "".join((*capfd.readouterr(), caplog.text))


@pytest.fixture
def moto(tmp_path):
    """Return a function that starts a server, and returns its port."""
    with ExitStack() as stack:
        yield lambda **environment: stack.enter_context(amazon.running(tmp_path, **environment))


@pytest.fixture
def port(moto):
    return moto()


@pytest.fixture
def url(port):
    return amazon.url(port)


@pytest.fixture
def client(port):
    """Return Amazon's own client."""
    return amazon.client(port)


@pytest.fixture
def count(crew):
    """Return a function that counts the queues of a group as the reconciler does.

    What makes clients is kept, by their time-out: with another one the environment is looked at again.
    """

    def count(url, *queues, pods=(), options=REGION, seconds=PATIENT):
        crews = {"group": crew(url, *(queues or ["celery"]), pods=pods, broker_transport_options=options)}
        found = Demand(None, servers.HOSTS, seconds).of(crews)["group"].backlog
        assert "hunter2" not in str(found)
        return found

    return count


@pytest.mark.parametrize(
    ("settings", "left", "unfinished"),
    [
        ({}, Backlog(10, 8), 18),
        (LATE, Backlog(12, 8), 20),
        (LATE | {"worker_prefetch_multiplier": 1}, Backlog(18, 2), 20),
    ],
)
def test_what_waits_and_what_a_worker_has_in_flight(
    url, publish, worker, count, until, kill, settings, left, unfinished
):
    publish(url, TASKS, options=REGION)
    assert count(url) == Backlog(TASKS, 0)
    process, seen = worker(url, broker_transport_options=REGION, **settings), {}

    def is_taken():
        seen["now"] = count(url, pods=["mail-1"])
        return seen["now"] == left

    until(is_taken, seen)
    kill(process)
    assert sum(count(url, pods=["mail-1"])) == unfinished  # in flight until the visibility timeout


@pytest.mark.parametrize("queue", ["mail", "mail.high", "a:b/c", "late.mail.fifo"])
@pytest.mark.parametrize("prefix", ["", "shop.test-"])
def test_queues_are_called_what_kombu_calls_them(url, publish, count, queue, prefix):
    options = REGION | {"queue_name_prefix": prefix}
    publish(url, 3, queue=queue, options=options)
    assert count(url, queue, options=options) == Backlog(3, 0)


def test_a_group_counts_all_its_queues_and_no_others(url, publish, count):
    publish(url, 1, queue="a", options=REGION)
    publish(url, 2, queue="b", options=REGION)
    publish(url, 4, queue="c", options=REGION)
    assert count(url, "a", "b") == Backlog(3, 0)


def test_queues_that_are_given(url, client, publish, count):
    at = client.create_queue(QueueName="elsewhere")["QueueUrl"]
    options = REGION | {
        "predefined_queues": {"mail": {"url": at, "access_key_id": "A", "secret_access_key": "hunter2"}}
    }
    publish(url, 3, queue="mail", options=options)
    assert count(url, "mail", options=options) == Backlog(3, 0)
    assert count(url, "elsewhere") == Backlog(3, 0)
    where = f"{Broker(url)}: queue"
    assert count(url, "other", options=options) == Unreadable(
        f"{where} other: other is not among the predefined_queues of broker_transport_options"
    )
    client.delete_queue(QueueUrl=at)
    assert count(url, "mail", options=options) == Unreadable(
        f"{where} mail: is not in eu-west-1, or {THEIRS} belongs to another account"
    )


def test_a_queue_of_another_region_is_counted_there(url, port, count):
    there = amazon.client(port, region="us-west-2")
    at = there.create_queue(QueueName="mail")["QueueUrl"]
    there.send_message(QueueUrl=at, MessageBody="{}")
    assert count(url, "mail") == Backlog(0, 0)
    assert count(url, "mail", options={"region": "us-west-2"}) == Backlog(1, 0)
    assert count(url, "mail", options=REGION | {"predefined_queues": {"mail": {"url": at, "region": "us-west-2"}}}) == (
        Backlog(1, 0)
    )


def test_a_queue_that_is_not_there_is_empty_until_somebody_should_have_made_it(url, publish, count):
    publish(url, 1, queue="mail", options=REGION)
    assert count(url, "absent", "mail") == Backlog(1, 0)
    assert count(url, "absent", "mail", pods=["mail-1"]) == Unreadable(
        f"{Broker(url)}: queue absent: is not in eu-west-1, or {THEIRS} belongs to another account"
    )


def test_delayed_messages_have_one_worker_ready_and_not_more(url, client, count):
    at = client.create_queue(QueueName="celery")["QueueUrl"]
    for _ in range(5):
        client.send_message(QueueUrl=at, MessageBody="{}", DelaySeconds=600)
    assert count(url) == Backlog(1, 0)
    client.send_message(QueueUrl=at, MessageBody="{}")
    client.send_message(QueueUrl=at, MessageBody="{}")
    assert count(url) == Backlog(2, 0)


def test_who_may_not_read_is_told_what_is_needed(moto, count):
    port = moto(INITIAL_NO_AUTH_ACTION_COUNT="2")  # the two that follow
    iam = amazon.client(port, "iam")
    iam.create_user(UserName="shop")
    key = iam.create_access_key(UserName="shop")["AccessKey"]
    address = f"{servers.HERE}:{port}"
    secret = quote(key["SecretAccessKey"], safe="")
    assert count(f"sqs://{key['AccessKeyId']}:{secret}@{address}") == Unreadable(
        f"sqs://{address}/: queue celery: {THEIRS} {MAY_NOT}"
    )


@pytest.fixture
def no_role(monkeypatch):
    """Have no role and no region."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    return monkeypatch


def test_our_own_role_is_taken_where_there_is_no_key(no_role, client, port, count):
    at = client.create_queue(QueueName="celery")["QueueUrl"]
    client.send_message(QueueUrl=at, MessageBody="{}")
    assert count("sqs://", options={}) == Unreadable(
        "Amazon SQS: queue celery: its region is not known: set region in broker_transport_options"
    )
    assert count("sqs://", seconds=PATIENT + 1) == Unreadable(
        "Amazon SQS: queue celery: the reconciler has no AWS credentials: give its ServiceAccount a role"
    )
    role = {"AWS_ACCESS_KEY_ID": "OURS", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_REGION": "eu-west-1"}
    for name, value in (role | {"AWS_ENDPOINT_URL_SQS": f"http://{servers.HERE}:{port}"}).items():
        no_role.setenv(name, value)
    assert count("sqs://", options={}, seconds=PATIENT + 2) == Backlog(1, 0)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "sqs.eu-west-1.amazonaws.com.example.com", "ec2-1-2-3-4.compute.amazonaws.com"]
)
def test_our_own_role_is_shown_to_nobody_else(count, host):
    assert count(f"sqs://{host}") == Unreadable(
        f"sqs://{host}/: queue celery: the reconciler's role is shown to Amazon only: remove the host from the URL,"
        " or add a key to it"
    )


def refusal(code):
    """Return how Amazon refuses."""
    body = f'{{"__type":"com.amazon.coral.service#{code}","message":"hunter2"}}'.encode()
    head = (
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: "
    )
    return f"{head}{len(body)}\r\n\r\n".encode() + body


ANSWERS = {
    "denied": (refusal("AccessDeniedException"), f"{THEIRS} {MAY_NOT}"),
    "unknown": (refusal("InvalidClientTokenId"), f"{THEIRS} is not valid"),
    "throttled": (refusal("ThrottlingException"), "too many requests"),
    "something else": (refusal("hunter2"), sqs.REFUSED),
    "nobody is there": (None, "no connection"),
    "silent": (b"", f"no answer within {PATIENT} s"),
    "a web server": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nhunter2", sqs.REFUSED),
    "endless": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99000000000\r\n\r\n" + b" " * (1 << 20),
        "its answer is not understood",
    ),
    "too little": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "its answer is not understood"),
}


@pytest.mark.parametrize(("answer", "words"), ANSWERS.values(), ids=ANSWERS)
def test_a_server_that_is_none(count, answer, words):
    with servers.listening(answer) as port:
        address = f"{servers.HERE}:{free_ports.take(1)[0] if answer is None else port}"
        found = count(f"sqs://AKID:hunter2@{address}").message
        assert found in {f"sqs://{address}/: queue celery: {words}", f"sqs://{address}/: {words}"}


@pytest.mark.parametrize("options", ["text", {"predefined_queues": ["celery"]}, {"region": "no/region"}, {"region": 5}])
def test_options_of_another_kind(count, options):
    found = count("sqs://AKID:hunter2@", options=options)
    assert found == Unreadable(f"Amazon SQS: queue celery: {faults.UNKNOWN}")


def test_without_its_client_the_extra_is_named(monkeypatch, url, count):
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    assert count(url) == Unreadable(f"{Broker(url)}: queue celery: {sqs.EXTRA}")


def test_what_runs_is_known_only_if_nothing_can_be_lost(url, client, crew):
    at = client.create_queue(QueueName="celery")["QueueUrl"]
    hard, soft = Policy.of(SCALING), Policy.of(SCALING | {"softShutdownSeconds": 30})

    def running(policy, **settings):
        one = crew(url, "celery", pods=["a", "b"], broker_transport_options=REGION, **settings)
        one = one._replace(group=one.group._replace(policy=policy))
        return Demand(None, servers.HOSTS, PATIENT).of({"group": one})["group"]

    nothing = {"a": (), "b": ()}
    assert running(hard) == Demanded(Backlog(0, 0), NotAsked(UNASKED))
    assert running(hard, **LATE) == Demanded(Backlog(0, 0), nothing)
    client.send_message(QueueUrl=at, MessageBody="{}")
    client.receive_message(QueueUrl=at)
    assert running(hard, **LATE) == Demanded(Backlog(0, 1), NotAsked(f"{UNASKED}, and messages are in flight"))
    assert running(soft, **LATE) == Demanded(Backlog(0, 1), nothing)
    assert running(soft) == Demanded(Backlog(0, 1), NotAsked(UNASKED))


def test_a_group_that_is_not_scaled_by_its_queues_needs_no_client(crew):
    found = Demand(None, servers.HOSTS, PATIENT).of({"group": crew("sqs://", pods=["a"])})
    assert found == {"group": Demanded(None, NotAsked(UNASKED))}
