"""What a hostile CeleryApp gets from the reconciler, which asks its broker: no answer, no bytes of its own, no way."""

import gc
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from urllib.parse import quote

import free_ports
import pytest
import servers
from inputs import WORDS

from reconciler.scaling.brokers import faults, hosts, sqs
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.model import Unreadable

PATIENT = 3
WORD = "hunter2"
PWNED = "x\r\nset pwned 0 0 3\r\nabc\r\n"
LINE = "flush_all"
BANNERS = {
    "ssh": f"SSH-2.0-OpenSSH_{WORD}\r\n",
    "smtp": f"220 mail.{WORD} ESMTP\r\n",
    "pop3": f"+OK {WORD}\r\n",
    "http": f"HTTP/1.1 400 {WORD}\r\nServer: {WORD}\r\n\r\n",
    "memcached": "ERROR\r\n",
    "a Redis error": f"-ERR {WORD}\r\n",
    "a Redis that goes on": f"+PONG\r\n-ERR {WORD}\r\n-WRONGPASS {WORD}\r\n",
    "a key of another kind": f"+PONG\r\n+OK\r\n+OK\r\n-WRONGTYPE {WORD}\r\n",
    "half a line": f"-NOAUTH {WORD}",
    "binary": f"\x00\xff{WORD}",
    "AMQP refuses": b"\x01\x00\x00" + (20).to_bytes(4, "big") + b"\x00\x0a\x00\x32" + WORD.encode() + b"\xce",
}


@contextmanager
def recording(banner, *, first):
    """Yield the port of a server that says this, at once or after it was spoken to, and all that it was told."""
    heard = []

    def answer(client):
        with suppress(OSError), client:
            if first:
                client.sendall(banner)
            while said := client.recv(1 << 16):
                heard.append(said)
                if not first:
                    client.sendall(banner)

    def serve(server):
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=[server.accept()[0]], daemon=True).start()

    with socket.create_server((servers.HERE, 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        yield server.getsockname()[1], heard
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def read(crew, new_demand):
    """Return a function that reads the backlog of one group, as the reconciler does; by default of hosts here."""

    def read(url, options=None, tls=None, allowed=servers.HERE, queue="celery", patient=PATIENT, **settings):
        demand = new_demand(None, timeout_seconds=patient, hosts=Hosts.of(allowed))
        its = {"broker_transport_options": options or {}, "broker_use_ssl": tls, **settings}
        return demand.of({"group": crew(url, queue, pods=["mail-1"], **its)})["group"].backlog

    return read


def is_ours(message, url):
    """Say whether a message is of the fixed words, after the address that the app itself has written."""
    ours = WORDS | {f"no answer within {PATIENT} s", sqs.REFUSED, "its answer is not understood"}
    return any(message in (f"{Broker(url)}: {word}", f"{Broker(url)}: queue celery: {word}") for word in ours)


@pytest.mark.parametrize("first", [True, False], ids=["at once", "when spoken to"])
@pytest.mark.parametrize("banner", BANNERS.values(), ids=BANNERS)
@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps", "sentinel", "sqs"])
def test_no_word_of_a_server_is_said(scheme, banner, first, read, caplog, capfd):
    text = banner if isinstance(banner, bytes) else banner.encode("latin-1")
    with recording(text, first=first) as (port, _):
        url = f"{scheme}://user:pass@{servers.HERE}:{port}/0"
        options = {"region": "eu-west-1"} if scheme == "sqs" else {"master_name": "shop"}
        found = read(url, options).message
    assert is_ours(found, url), found
    assert WORD not in "".join((*capfd.readouterr(), caplog.text))


def open_to(port):
    """Return the sockets of this process that lead there, garbage among them."""
    sockets = [each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() != -1]
    found = []
    for each in sockets:
        with suppress(OSError):  # it listens only
            found += [each] if each.getpeername()[1:2] == (port,) else []
    return found


CANNOT_BEGIN = [
    {"ssl_ciphers": 1},
    {"ciphers": 1},
    {"keyfile": []},
    {"ssl_ca_certs": {}},
    {"server_hostname": "é" * 99},
]
"""TLS options that are found wrong once there is a connection: by the last, once TLS has taken it over."""


@pytest.fixture
def leaving_garbage():
    """Let nothing be closed but by name."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("leaving_garbage")
@pytest.mark.parametrize("tls", [None, *CANNOT_BEGIN])
@pytest.mark.parametrize("banner", ["ssh", "a key of another kind"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps", "sentinel"])
def test_a_look_that_fails_leaves_nothing_open(scheme, banner, tls, read):
    with recording(BANNERS[banner].encode(), first=True) as (port, _):
        assert isinstance(read(f"{scheme}://{servers.HERE}:{port}/0", {"master_name": "shop"}, tls), Unreadable)
        servers.until(lambda: not open_to(port), "the end of what it opened")


@pytest.mark.usefixtures("leaving_garbage")
def test_a_look_that_fails_behind_tls_leaves_nothing_open(read, tmp_path):
    certificate = servers.Certificate(tmp_path)
    frame_without_end = b"\x01" + bytes(7)
    with recording(frame_without_end, first=True) as (behind, _), servers.tls(behind, certificate) as port:
        assert isinstance(read(f"amqps://{servers.HERE}:{port}//", tls={"cert_reqs": ssl.CERT_NONE}), Unreadable)
        servers.until(lambda: not open_to(port), "the end of what it opened")


def written(port):
    """Return URLs and options of a hostile app, each of which once put a line of its own on the wire."""
    there, line = f"{servers.HERE}:{port}", quote(PWNED, safe="")
    yield from ((f"redis://{line}@{there}/0", {}), (f"redis://:{line}@{there}/0", {}))
    yield from ((f"redis://{there}/{line}", {}), (f"amqp://{line}:x@{there}/{line}", {}))
    yield from ((f"redis://{there}/0?client_name={line}", {}), (f"redis://{there}/0?password={line}", {}))
    yield f"sentinel://{there}/0", {"master_name": PWNED}
    yield f"sentinel://{there}/0", {"master_name": "shop", "sentinel_kwargs": {"username": PWNED, "password": "x"}}
    yield f"redis://{there}/0", {"global_keyprefix": PWNED}
    yield f"redis://{there}/0", {"sep": PWNED}
    yield f"sqs://{line}:x@{there}", {"region": "eu-west-1"}
    yield f"sqs://x:x@{there}", {"region": PWNED}
    # A line of their own without a line end: RESP has one for each argument.
    yield from ((f"redis://{LINE}:{LINE}@{there}/0", {}), (f"redis://{there}/0", {"global_keyprefix": LINE}))
    yield f"sentinel://{there}/0", {"master_name": LINE, "sentinel_kwargs": {"username": LINE, "password": LINE}}
    yield f"redis://{there}/{LINE}", {}


@pytest.mark.parametrize("number", range(len([*written(0)])))
def test_a_memcached_hears_no_line_of_an_app_s(number, read):
    with recording(b"ERROR\r\n", first=False) as (port, heard):
        url, options = [*written(port)][number]
        assert isinstance(read(url, options), Unreadable)
    lines = b"".join(heard).replace(b"\r", b"\n").split(b"\n")
    assert not any(line.startswith((b"set pwned", LINE.encode())) for line in lines), heard


@pytest.mark.parametrize("name", ["set pwned", True, -1, ["shop"]])
def test_the_name_of_a_certificate_is_a_host_s(name, read):
    told = read(f"amqps://{servers.HERE}:1//", tls={"server_hostname": name})
    assert told.message.endswith("server_hostname is no host's name")


def test_the_name_of_a_certificate_begins_no_line(read):
    """It is in plain text in the first bytes of TLS."""
    with recording(b"ERROR\r\n", first=False) as (port, heard):
        tls = {"server_hostname": PWNED}
        assert isinstance(read(f"amqps://{servers.HERE}:{port}//", tls=tls), Unreadable)
    assert b"set pwned" not in b"".join(heard)


ENDLESS = {
    "redis": b"+PONG\r\n$4000000000\r\n",
    "redis, many": b"+PONG\r\n*400000000\r\n",
    "amqp": b"\x01\x00\x00\x7f\xff\xff\xff",
}


@contextmanager
def endless(kind, certificate=None):
    """Yield the URL of a server whose answer does not end, and a queue of how many bytes it got rid of."""
    sent = SimpleQueue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(certificate.path, certificate.key)

    def answer(link):
        with suppress(OSError), context.wrap_socket(link, server_side=True) if certificate else link as client:
            client.recv(1 << 16)
            client.sendall(ENDLESS[kind])
            while True:
                client.sendall(b"$0\r\n\r\n" * 100_000)
                sent.put(600_000)

    with socket.create_server((servers.HERE, 0)) as server:
        threading.Thread(target=lambda: answer(server.accept()[0]), daemon=True).start()
        yield f"{kind.partition(',')[0]}{'s' if certificate else ''}://{servers.HERE}:{server.getsockname()[1]}/0", sent


def drained(sent):
    return sum(sent.get() for _ in range(sent.qsize()))


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_without_end_is_cut(kind, secured, read, tmp_path):
    """What a server could send before it was."""
    tls = {("ssl_" if kind.startswith("redis") else "") + "cert_reqs": ssl.CERT_NONE} if secured else None
    with endless(kind, servers.Certificate(tmp_path) if secured else None) as (url, sent):
        assert read(url, tls=tls, patient=120).message == f"{url}: {faults.TOO_MUCH}"
    assert drained(sent) < 64 << 20


def test_many_answers_without_end_are_cut_together():
    """Seventeen looks in step, a MiB at a time but for one, which reads little."""
    looks, cut, many = 16, {}, 100
    step = threading.Barrier(looks + 1)

    def look(number, piece):
        with Hosts().only():
            for pieces in range(many):
                step.wait()
                try:
                    hosts.received(piece)
                except hosts.TooMuchError:
                    cut.setdefault(number, pieces)
                step.wait()

    threads = [threading.Thread(target=look, args=(each, 1 << 20 if each else 100)) for each in range(looks + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    share = hosts.MOST_TOGETHER // (looks + 1) >> 20
    assert cut == dict.fromkeys(range(1, looks + 1), pytest.approx(share, abs=1))
    with Hosts().only():  # what they had is given back
        hosts.received(hosts.MOST_BYTES)
        with pytest.raises(hosts.TooMuchError):
            hosts.received(1)


def test_a_redis_is_asked_as_ever_after_the_greeting(on_redis, read):
    assert read(on_redis) == (0, 0, 0)


NEAR = {
    "this machine": "127.0.0.1",
    "this machine, by name": "localhost",
    "this machine, by another address": "127.8.8.8",
    "this machine, by a short address": "127.1",
    "this machine, as a number": "2130706433",
    "this machine, by IPv6": "[::1]",
    "this machine, by IPv4 in IPv6": "[::ffff:127.0.0.1]",
    "this machine, by no address": "0.0.0.0",
    "no host, which is this machine": "",
    "the metadata of a cloud": "169.254.169.254",
    "the metadata of Azure": "168.63.129.16",
    "the metadata of AWS, by IPv6": "[fd00:ec2::254]",
    "the link": "[fe80::1%25lo]",
}


@pytest.mark.parametrize("host", NEAR.values(), ids=NEAR)
@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "sentinel", "sqs"])
def test_without_the_option_nothing_near_is_connected_to(scheme, host, read):
    with recording(b"", first=False) as (port, heard):
        host = host or ("localhost" if scheme == "sqs" else "")  # where it would be Amazon's
        url = f"{scheme}://AKID:x@{host}:{port}"
        found = read(url, {"region": "eu-west-1", "master_name": "shop"}, allowed="", patient=60).message
        assert not heard
    assert found.endswith((faults.DENIED, "its answer is not understood") if "%" in host else faults.DENIED), found


LISTS = {
    "a name that is listed": ("*.example.com", "redis.example.com", "10.0.0.1", True),
    "in capital letters, with the last dot": ("*.example.com", "Redis.Example.com.", "10.0.0.1", True),
    "one that is not": ("*.example.com", "redis.example.org", "10.0.0.1", False),
    "one that ends alike": ("*.example.com", "redis-example.com", "10.0.0.1", False),
    "a name that is listed, and leads here": ("*.example.com", "redis.example.com", "127.0.0.1", False),
    "and leads to the metadata": ("*.example.com", "redis.example.com", "169.254.169.254", False),
    "and leads here by IPv6": ("*.example.com", "redis.example.com", "::ffff:127.0.0.1", False),
    "and leads here by NAT64": ("*.example.com", "redis.example.com", "64:ff9b::7f00:1", False),
    "unless the network is listed, too": ("*.example.com 127.0.0.0/8", "redis.example.com", "127.0.0.1", True),
    "an address in a network": ("10.0.0.0/8", "redis.example.com", "10.1.2.3", True),
    "one outside of it": ("10.0.0.0/8", "redis.example.com", "11.1.2.3", False),
    "another kind of address": ("10.0.0.0/8", "redis.example.com", "fd00::1", False),
    "one that is listed by itself": ("fd00::1", "fd00::1", "fd00::1", True),
    "no list": ("", "redis.example.com", "10.1.2.3", True),
    "a zone": ("", "redis", "fe80::1%eth0", False),
    "no address": ("", "redis", "/run/redis.sock", False),
}


@pytest.mark.parametrize(("text", "name", "address", "allowed"), LISTS.values(), ids=LISTS)
def test_what_a_list_allows(text, name, address, allowed):
    assert Hosts.of(text).allow(name, address) is allowed


@pytest.mark.parametrize("text", ["redis://a", "a:6379", "10.0.0.0/33", "user@host"])
def test_what_is_no_list(text):
    with pytest.raises(ValueError, match="neither a host's name"):
        Hosts.of(f"*.example.com, {text}")


def test_a_name_that_is_not_listed_is_not_looked_up(read):
    assert read("redis://no-such-host.invalid/0", allowed="*.example.com").message.endswith(faults.DENIED)


NAMES = {
    "redis": "redis.shop.svc",
    "Redis-0": "Redis-0.shop.svc",
    "redis.databases": "redis.databases",
    "redis.": "redis.",
    "localhost": "localhost",
    "127.0.0.1": "127.0.0.1",
    "::1": "::1",
    "2130706433": "2130706433",
    "0x7f000001": "0x7f000001",
}


@pytest.mark.parametrize(("written", "looked_up"), NAMES.items())
def test_a_name_of_one_word_is_looked_up_in_the_app_s_namespace(written, looked_up):
    assert Hosts(namespace="shop").full(written) == looked_up


@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "sentinel", "sqs"])
def test_whatever_the_broker_a_name_of_one_word_leads_into_the_app_s_namespace(scheme, services, read):
    services["broker.shop.svc"] = servers.HERE
    with recording(b"ERROR\r\n", first=False) as (port, heard):
        read(f"{scheme}://AKID:x@broker:{port}", {"region": "eu-west-1", "master_name": "shop"})
        assert heard


JUDGED = {"redis": False, "*.svc.cluster.local": False, "*.web.svc": False, "redis.shop.svc": True, "*.svc": True}


@pytest.mark.parametrize(("allowed", "is_allowed"), JUDGED.items())
def test_a_name_of_one_word_is_judged_by_the_name_that_is_looked_up(allowed, is_allowed, services, read):
    services["redis.shop.svc"] = "240.0.0.1"
    found = read("redis://redis/0", allowed=allowed, patient=1).message
    assert found.endswith(faults.DENIED) is not is_allowed


def test_a_name_that_leads_here_is_connected_to_if_both_are_listed(on_redis, read):
    here = on_redis.replace(servers.HERE, "localhost")
    assert read(here, allowed="localhost").message.endswith(faults.DENIED)
    assert read(here, allowed="localhost, 127.0.0.0/8, ::1") == (0, 0, 0)


@pytest.mark.parametrize("scheme", ["redis", "sentinel"])
def test_no_socket_of_this_machine_is_opened(scheme, tmp_path, read):
    path = tmp_path / "redis.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(0)
        options = {"master_name": "shop", "sentinel_kwargs": {"unix_socket_path": str(path)}}
        for url in (f"{scheme}://{servers.HERE}:{free_ports.take(1)[0]}/0", f"redis://socket%3A%2F%2F{path}/0"):
            assert isinstance(read(url, options), Unreadable)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_sentinel_leads_nowhere_else(redis_program, tmp_path, read):
    """Its master is another address, of the same machine here: it is judged by itself."""
    master = servers.Redis(redis_program, tmp_path, address="127.8.8.8")
    config = tmp_path / "sentinel/sentinel.conf"
    config.parent.mkdir()
    config.write_text(f"sentinel monitor shop {master.address} {master.port} 1\n")
    watching = servers.Redis(redis_program, config.parent, config, "--sentinel")
    try:
        master.start()
        watching.start()
        url = f"sentinel://{servers.HERE}:{watching.port}/0"
        assert read(url, {"master_name": "shop"}) == Unreadable(f"{url}: {faults.DENIED}")
        assert read(url, {"master_name": "shop"}, allowed="127.0.0.0/8") == (0, 0, 0)
    finally:
        watching.stop()
        master.stop()


def test_an_sqs_that_redirects_leads_nowhere_else(read):
    with recording(b"", first=False) as (port, heard):
        to = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.8.8.8:{port}/\r\nContent-Length: 0\r\n\r\n"
        with servers.listening(to.encode()) as at:
            url = f"sqs://AKID:x@{servers.HERE}:{at}"
            assert is_ours(read(url, {"region": "eu-west-1"}).message, url)
        assert not heard


def test_a_queue_that_an_sqs_or_an_app_names_leads_nowhere_else(read):
    with recording(b"", first=False) as (port, heard):
        elsewhere = f"http://127.8.8.8:{port}/1/celery"
        body = f'{{"QueueUrl": "{elsewhere}"}}'
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        with servers.listening(answer) as at:
            url, region = f"sqs://AKID:x@{servers.HERE}:{at}", {"region": "eu-west-1"}
            assert is_ours(read(url, region).message, url)
            assert is_ours(read(url, region | {"predefined_queues": {"celery": {"url": elsewhere}}}).message, url)
        assert not heard
