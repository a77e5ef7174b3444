"""Hostile apps made at random: what they write, and what the server answers that they chose. `make fuzz-inputs`."""

import argparse
import gc
import logging
import random
import re
import secrets
import socket
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import quote

import servers

from reconciler.scaling.brokers import faults, sqs
from reconciler.scaling.demand import Crew, Demand
from reconciler.scaling.group import Group
from reconciler.scaling.model import Backlog
from render import load, pipeline, schema
from render.errors import InvalidInput

ROOT = Path(__file__).parents[2]
WORD = "hunter2"
"""What only servers say, and nobody repeats."""
MINE = "flush_all"
"""What only apps write, and no stranger may hear at the beginning of a line."""
SECONDS = 1.0

SCHEMES = ["redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp", "sqs", "redis+socket", "kafka", "filesystem", ""]
PIECES = [
    MINE,
    "x",
    ":",
    "@",
    "/",
    "?",
    "#",
    ";",
    "%",
    "%00",
    "%0D%0A",
    f"%0d%0a{MINE}%0d%0a",
    "%zz",
    "é",
    "\u2100",
    "[",
    "]",
    "::1",
]
PIECES += [
    "&",
    "=",
    "ssl_cert_reqs=",
    "credential_provider=os:abort",
    "transport=os:abort",
    "client_name=",
    "\n",
    "\x00",
    " ",
]
PIECES += ["hostname=socket:///tmp/x", "65536", "-1", "🐍", "virtual_host=", f"\r\n{MINE}\r\n", "$(X)"]
VALUES = [None, True, 0, -1, 1e300, "", MINE, f"a\r\n{MINE}\r\n", "\x06\x16", [], {}, [MINE], {MINE: MINE}, "é" * 300]
OPTIONS = [
    "global_keyprefix",
    "sep",
    "priority_steps",
    "unacked_key",
    "visibility_timeout",
    "master_name",
    "region",
    "is_secure",
]
OPTIONS += [
    "sentinel_kwargs",
    "queue_name_prefix",
    "predefined_queues",
    "fanout_prefix",
    "min_other_sentinels",
    "credential_provider",
]
TLS = [
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "server_hostname",
    "ca_certs",
    "keyfile",
    "ciphers",
    "cert_reqs",
    "ssl_password",
]
ANSWERS = [
    b"",
    b"+PONG\r\n",
    b"+OK\r\n",
    b"-ERR " + WORD.encode() + b"\r\n",
    b"-NOAUTH " + WORD.encode() + b"\r\n",
    b"-MOVED 1 127.0.0.1:1\r\n",
]
ANSWERS += [
    b"$7\r\nhunter2\r\n",
    b"*2\r\n$7\r\nhunter2\r\n:1\r\n",
    b":99999999999999999999\r\n",
    b"%1\r\n+hunter2\r\n:1\r\n",
    b"$-5\r\n",
    b"*9999999\r\n",
]
ANSWERS += [
    b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"hunter2": 1}',
    b"SSH-2.0-hunter2\r\n",
    b"AMQP\x00\x00\x09\x01",
    b"hunter2" * 99,
]
ANSWERS += [
    b"\x01\x00\x00\x00\x00\x00\x0b\x00\x0a\x00\x0ahunter2\xce",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b">2\r\n+MOVING\r\n+127.0.0.1:1\r\n",
]
REFUSALS = [
    "its URL is malformed",
    "queues can be counted on",
    "master_name is missing",
    "credential_provider is not",
    "contain a control character",
]
REFUSALS += [
    "server_hostname is no",
    "broker_transport_options is no object",
    "no answer within",
    "not asked, too many",
    sqs.REFUSED,
    "its answer is not understood",
    "no connection",
    "the reconciler's role",
]
REFUSALS += [
    "its region is not known",
    "the reconciler has no AWS credentials",
    "too many requests",
    "is not among the predefined_queues",
]
WORDS = frozenset(value for name, value in vars(faults).items() if name.isupper() and isinstance(value, str))
"""All that is said of a broker that cannot be read."""
REFUSALS += ["is not valid", "may not read it", "belongs to another account", *WORDS]
OPENINGS = re.compile(
    rb"|\*1\r\n\$4\r\nPING\r\n|AMQP\x00\x00\x09\x01|\x16\x03[\x00-\x04](?s:.*)|POST / HTTP/1\.1\r\n(?s:.*)"
)
"""All that a stranger may hear first: nothing, a greeting, the beginning of TLS, and Amazon's protocol."""


@contextmanager
def stranger(choose):
    """Yield the port of a server that gives each client the answers that are chosen, and what each has said first."""
    heard = SimpleQueue()

    def answer(client):
        with suppress(OSError), client:
            client.settimeout(SECONDS)
            heard.put(client.recv(1 << 16))
            for each in choose():
                client.sendall(each)
                if each == b"+PONG\r\n":
                    client.recv(1 << 16)

    def serve(server):
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=[server.accept()[0]], daemon=True).start()

    with socket.create_server((servers.HERE, 0), backlog=300) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        yield server.getsockname()[1], heard
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def url(chance, port):
    """Return a URL that leads to the stranger, mostly."""
    noise = lambda most: "".join(chance.choices(PIECES, k=chance.randint(0, most)))  # noqa: E731
    quoted = lambda: quote(noise(3), safe="") if chance.random() < 0.5 else noise(2)  # noqa: E731
    user = f"{quoted()}:{quoted()}@" if chance.random() < 0.6 else ""
    there = f"{servers.HERE}:{port}" if chance.random() < 0.9 else noise(2)
    query = f"?{noise(3)}" if chance.random() < 0.3 else ""
    return f"{chance.choice(SCHEMES)}://{user}{there}/{quoted() if chance.random() < 0.5 else 0}{query}"


def crew(chance, port):
    options = {name: chance.choice(VALUES) for name in chance.sample(OPTIONS, chance.randint(0, 3))}
    if chance.random() < 0.7:
        options |= {"region": "eu-west-1", "master_name": "shop"}
    tls = (
        {name: chance.choice(VALUES) for name in chance.sample(TLS, chance.randint(0, 2))}
        if chance.random() < 0.3
        else None
    )
    settings = {
        "broker_transport_options": options if chance.random() < 0.95 else chance.choice(VALUES),
        "broker_use_ssl": tls,
    }
    settings["control_exchange"] = chance.choice(["celery", *VALUES])
    queues = frozenset(chance.sample(["celery", MINE, "é"], chance.randint(1, 2)))
    return Crew("shop", Group("mail", None, queues, url(chance, port), settings), frozenset({"mail-1"}))


@contextmanager
def left_open():
    """Yield a list of what Python will have closed for us: what it warns of as it does so."""
    with warnings.catch_warnings(record=True, action="always", category=ResourceWarning) as found:
        yield found
        gc.collect()


def look(chance, count):
    """Yield what went wrong as apps were looked at, 20 at a time: in words, on the wire, in logs, and after."""
    log = StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        with stranger(lambda: chance.choices(ANSWERS, k=chance.randint(0, 4))) as (port, heard):
            for _ in range(0, count, 20):
                crews = {number: crew(chance, port) for number in range(20)}
                with left_open() as left:
                    demand = Demand(None, servers.HOSTS, SECONDS)
                    answers = demand.of(crews)
                    demand.close()
                yield from (f"{each.message}, by one of {[*crews.values()]}" for each in left)
                for number, found in answers.items():
                    said = found.backlog if isinstance(found.backlog, Backlog) else found.backlog.message
                    if WORD in str(found):
                        yield f"{crews[number].group.url!r}: says {found}"
                    elif isinstance(said, str) and not any(word in said for word in REFUSALS):
                        yield f"{crews[number].group.url!r}: is not of our words: {said}"
        while not heard.empty():
            first = heard.get()
            if not OPENINGS.fullmatch(first) or re.search(rb"(^|[\r\n])" + MINE.encode(), first):
                yield f"a stranger heard {first!r}"
    finally:
        logging.getLogger().removeHandler(handler)
    if WORD in log.getvalue() or "Traceback" in log.getvalue():
        yield log.getvalue()


def read(chance, count):
    """Yield what went wrong as that many documents were read: each is rendered or refused, in words."""
    texts = [path.read_text() for path in ROOT.glob("examples/*/app.yaml")]
    known = schema.load()
    for _ in range(count):
        text = list(chance.choice(texts))
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(text))
            text[start : start + chance.randint(0, 8)] = chance.choice(
                [*PIECES, "&a ", "*a", "!!python/object ", "- ", "{", "|", "\t", "<<: "]
            )
        document = "".join(text)
        try:
            for app in load.documents(document.encode("utf-8", "surrogatepass"), "app.yaml").documents:
                with suppress(InvalidInput):
                    pipeline.base(app, known)
        except Exception as error:  # noqa: BLE001 (that is the question)
            yield f"{type(error).__name__}: {error}: {document!r}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)  # noqa: T201
    chance = random.Random(options.seed)
    found = [*look(chance, options.count), *read(chance, options.count)]
    print(f"{options.count} looks at brokers and {options.count} documents, {len(found)} went wrong")  # noqa: T201
    sys.exit("\n".join(found[:20]) if found else 0)


if __name__ == "__main__":
    main()
