"""A RabbitMQ of the tests' own: the machine's, or Debian's packages unpacked into .cache/. Nothing is installed.

It ends when its standard input closes, so with the test run, however that ends.
"""

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from servers import HERE, answers, free_ports, until

CACHE = Path(__file__).parents[2] / ".cache/rabbitmq"
PACKAGE = "rabbitmq-server"
USER, PASSWORD = "shop", "pass/word#1"
VHOSTS = 60
_DEPENDS = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"]
_DEPENDS += ["--no-replaces", "--no-enhances", PACKAGE]
_EPMD = '"$0" -port "$1" -address 127.0.0.1 & read line; kill $!; wait'  # it has no end of its own


class NoRabbitMQ(Exception):  # noqa: N818 (says what it is)
    """It is not here, and its packages cannot be had."""


class Server:
    def __init__(self, folder, certificate):
        self.port, self.tls_port, self.dist_port, self.epmd_port = free_ports(4)
        self.folder, self.certificate = folder, certificate
        self.log = folder / "log"

    @contextmanager
    def running(self):
        self.script, path = _installed() or _unpacked(self.folder)
        self.environment = self._environment(path)
        self._configure()
        epmd = shutil.which("epmd", path=path)
        names = ["sh", "-c", _EPMD, epmd, str(self.epmd_port)]
        with (
            self.log.open("w") as log,
            subprocess.Popen(names, stdin=subprocess.PIPE, start_new_session=True),
            subprocess.Popen(
                ["sh", self.script],
                env=self.environment,
                stdin=subprocess.PIPE,  # never written to
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests
            ) as process,
        ):
            until(lambda: process.poll() is not None or "startup complete" in self.log.read_text(), "RabbitMQ")
            assert process.poll() is None, self.log.read_text()
            assert answers(self.port)
            yield self

    def queues(self, vhost):
        """Return the names of the queues of a virtual host."""
        node = self.environment["RABBITMQ_NODENAME"]
        command = ["sh", self.script.with_name("rabbitmqctl"), "--node", node, "--silent", "--vhost", vhost]
        listed = subprocess.run(
            [*command, "list_queues", "name"], env=self.environment, check=True, stdout=subprocess.PIPE
        )
        return set(listed.stdout.decode().split()) - {"name"}

    def _configure(self):
        owner = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
        vhosts = [f"test-{number}" for number in range(VHOSTS)]
        definitions = {
            "users": [{"name": USER, "password": PASSWORD, "tags": ""}],
            "vhosts": [{"name": vhost} for vhost in vhosts],
            "permissions": [{"vhost": vhost, **owner} for vhost in vhosts],
        }
        (self.folder / "definitions.json").write_text(json.dumps(definitions))
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {HERE}:{self.port}\n"
            f"listeners.ssl.1 = {HERE}:{self.tls_port}\n"
            f"ssl_options.certfile = {self.certificate.path}\n"
            f"ssl_options.keyfile = {self.certificate.key}\n"
            f"load_definitions = {self.folder}/definitions.json\n"
            "log.console = true\nlog.file = false\n"
        )

    def _environment(self, path):
        return {
            "PATH": path,
            "HOME": str(self.folder),  # of the cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_ALLOW_INPUT": "1",  # the shell that it then has ends it when its input does
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_NODENAME": f"rabbit-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            **{
                f"RABBITMQ_{name}": str(self.folder / name.lower())
                for name in ("MNESIA_BASE", "LOG_BASE", "SCHEMA_DIR", "GENERATED_CONFIG_DIR")
            },
        }


def _installed():
    """Return the machine's own server and the PATH for it, if it has one."""
    debian = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    server = debian[-1] if debian else shutil.which("rabbitmq-server")  # Debian's command is for root only
    return (Path(server).resolve(), os.environ["PATH"]) if server and shutil.which("epmd") else None


def _unpacked(folder):
    """Return the unpacked server and the PATH for it. Raises NoRabbitMQ."""
    if not (CACHE / "root").exists():
        _download()
    [server] = (CACHE / "root/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server")
    erlang = CACHE / "root/usr/lib/erlang"
    [binaries] = erlang.glob("erts-*/bin")
    start = folder / "bin/erl"  # Debian's own has the place where it would be installed written into it
    start.parent.mkdir()
    start.write_text(
        f'#!/bin/sh\nexport ROOTDIR={erlang} BINDIR={binaries} EMU=beam PROGNAME=erl\nexec {binaries}/erlexec "$@"\n'
    )
    start.chmod(0o755)
    return server, f"{start.parent}:{binaries}:{os.environ['PATH']}"


def _download():
    if not shutil.which("apt-get"):
        raise NoRabbitMQ(f"{PACKAGE} is not installed, and this is no Debian or Ubuntu to take its packages from")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        root = Path(unfinished) / "root"
        if not _fetched(unfinished):
            update = subprocess.run(
                ["apt-get", "update"], check=False, capture_output=True
            )  # a fresh machine has no lists
            if update.returncode or not _fetched(unfinished):
                raise NoRabbitMQ(
                    f"{PACKAGE} is not installed, nor can it be downloaded (apt-get update; apt-get download)"
                )
        for package in sorted(Path(unfinished).glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, root], check=True)
        if not (CACHE / "root").exists():
            root.rename(CACHE / "root")  # at once: another run sees all of it or nothing


def _fetched(folder):
    """Download RabbitMQ and all of Erlang that it needs; say whether that worked."""
    listed = subprocess.run(_DEPENDS, check=False, capture_output=True, text=True).stdout.splitlines()
    packages = sorted({name for name in listed if name.startswith(("erlang-", PACKAGE))})
    download = ["apt-get", "download", *packages]
    return PACKAGE in packages and not subprocess.run(download, cwd=folder, check=False, capture_output=True).returncode
