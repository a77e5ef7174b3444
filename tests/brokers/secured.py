"""Brokers that ask for everything: a password of every printable character, TLS with a client certificate, Sentinel."""

from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import debian
import pytest
import rabbitmq
import servers
from redis.client import Redis

USER, PASSWORD = "sh:o@p/%", "".join(map(chr, range(0x21, 0x7F))) + " $(HOSTNAME)"
"""White space is inside only: KEDA takes it off both ends."""


class Secured(NamedTuple):
    """What a CeleryApp says of a broker, and the Secrets that it names."""

    broker: dict[str, Any]
    secrets: dict[str, dict[str, str]]
    fail_over: Any = None
    """Kills the master, if there is another server that can become one."""


def ref(name, key):
    return {"secretKeyRef": {"name": name, "key": key}}


LOGIN = {"usernameFrom": ref("login", "username"), "passwordFrom": ref("login", "password")}
SECRETS = {"login": {"username": USER, "password": PASSWORD}}
TLS = {
    "verify": "Full",
    "caFrom": ref("tls", "ca.crt"),
    "certFrom": ref("tls", "tls.crt"),
    "keyFrom": ref("tls", "tls.key"),
}


class Certificates:
    """Of a private authority, of a server at this address and of a client."""

    def __init__(self, folder, address=servers.HERE):
        for name in ("authority", "server", "client"):
            (folder / name).mkdir()
        self.authority = servers.Certificate(folder / "authority")
        self.server = servers.Certificate(folder / "server", self.authority, address)
        self.client = servers.Certificate(folder / "client", self.authority)

    @property
    def secret(self):
        files = {"ca.crt": self.authority.path, "tls.crt": self.client.path, "tls.key": self.client.key}
        return {key: path.read_text() for key, path in files.items()}


def quoted(text):
    """Return the text as a Redis configuration file takes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def redis_server(program, folder, address, *lines):
    """Return a Redis of this configuration that knows the user."""
    folder.mkdir()
    config = folder / "redis.conf"
    password = quoted(f">{PASSWORD}")
    lines = (f"user {quoted(USER)} on {password} ~* &* +@all", f"requirepass {quoted(PASSWORD)}", *lines)
    config.write_text("\n".join(lines) + "\n")
    return servers.Redis(program, folder, config, address=address)


@contextmanager
def on_redis(program, folder, certificates, address=servers.HERE):
    """Yield a Redis behind TLS."""
    server = redis_server(program, folder / "redis", address)
    server.start()
    try:
        with servers.tls(server.port, certificates.server, certificates.authority, address) as port:
            broker = {"url": f"rediss://{address}:{port}/0", **LOGIN, "tls": TLS}
            yield Secured(broker, SECRETS | {"tls": certificates.secret})
    finally:
        server.stop()


@contextmanager
def on_rabbitmq(folder, certificates, address=servers.HERE, vhosts=1):
    """Yield the first virtual host of a RabbitMQ. Raises debian.NoPackages."""
    (folder / "rabbitmq").mkdir()
    server = rabbitmq.Server(
        folder / "rabbitmq",
        certificates.server,
        address,
        vhosts,
        authority=certificates.authority,
        user=USER,
        password=PASSWORD,
    )
    with server.running():
        broker = {"url": f"amqps://{address}:{server.tls_port}/test-0", **LOGIN, "tls": TLS}
        yield Secured(broker, SECRETS | {"tls": certificates.secret})


@contextmanager
def on_sentinel(program, folder, address=servers.HERE):
    """Yield three sentinels over two servers."""
    with ExitStack() as stack:

        def started(server):
            stack.callback(server.stop)
            server.start()
            return server

        master = started(redis_server(program, folder / "redis-0", address, f"masterauth {quoted(PASSWORD)}"))
        of_master = f"replicaof {address} {master.port}"
        started(redis_server(program, folder / "redis-1", address, f"masterauth {quoted(PASSWORD)}", of_master))
        sentinels = []
        for number in range(3):
            config = folder / f"sentinel-{number}/sentinel.conf"
            config.parent.mkdir()
            config.write_text(
                f"sentinel monitor shop {address} {master.port} 2\n"
                f"sentinel auth-pass shop {quoted(PASSWORD)}\n"
                "sentinel down-after-milliseconds shop 1000\n"
                f"requirepass {quoted(PASSWORD)}\n"
                f"sentinel sentinel-pass {quoted(PASSWORD)}\n"
            )
            sentinels.append(started(servers.Redis(program, config.parent, config, "--sentinel", address=address)))

        ask = stack.enter_context(Redis(address, sentinels[0].port, password=PASSWORD))

        def ready():
            known = ask.sentinel_master("shop")
            return known["num-slaves"] == 1 and known["num-other-sentinels"] == 2

        def fail_over():
            master.kill()
            servers.until(lambda: ask.sentinel_get_master_addr_by_name("shop")[1] != master.port, "another master")

        servers.until(ready, "three sentinels that know each other")
        url = ";".join(f"sentinel://{address}:{server.port}/0" for server in sentinels)
        sentinel = {"masterName": "shop", "passwordFrom": ref("login", "password")}
        yield Secured({"url": url, **LOGIN, "sentinel": sentinel}, SECRETS, fail_over)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["redis", "rabbitmq", "sentinel"])
def place(request, tmp_path_factory, certificates):
    """Return a running broker."""
    folder = tmp_path_factory.mktemp("servers")
    if request.param == "rabbitmq":
        try:
            with on_rabbitmq(folder, certificates) as found:
                yield found
        except debian.NoPackages as reason:
            servers.missing(str(reason))
        return
    program = request.getfixturevalue("redis_program")
    is_redis = request.param == "redis"
    with on_redis(program, folder, certificates) if is_redis else on_sentinel(program, folder) as found:
        yield found
