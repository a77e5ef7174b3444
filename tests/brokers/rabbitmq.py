"""A RabbitMQ of the tests' own: the machine's, or Debian's packages unpacked into .cache/. Nothing is installed.

It ends when its standard input closes, so with the test run, however that ends.
"""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import debian
import free_ports
from servers import HERE, answers, until

CACHE = Path(__file__).parents[2] / ".cache/rabbitmq/root"
USER, PASSWORD = "shop", "pass/word#1"
VHOSTS = 40  # each costs a tenth of a second
_EPMD = '"$0" -port "$1" -address 127.0.0.1 & read line; kill $!; wait'  # it has no end of its own


class Server:
    """One that is given an authority takes over TLS only clients whose certificate that has signed.

    The HTTP API is that of its plugin for management, which is on where a server is asked for it.
    """

    def __init__(
        self,
        folder,
        certificate,
        address=HERE,
        vhosts=VHOSTS,
        *,
        authority=None,
        user=USER,
        password=PASSWORD,
        with_http=False,
    ):
        self.port, self.tls_port, self.dist_port, self.epmd_port, self.http_port = free_ports.take(5)
        self.with_http = with_http
        self.folder, self.certificate, self.address, self.vhosts = folder, certificate, address, vhosts
        self.authority, self.user, self.password = authority, user, password
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
            assert answers(self.port, self.address)
            yield self

    def queues(self, vhost):
        """Return the names of the queues of a virtual host."""
        return set(self.control("--vhost", vhost, "list_queues", "name").split()) - {"name"}

    def url(self, vhost):
        return f"amqp://{USER}:{quote(PASSWORD, safe='')}@{self.address}:{self.port}/{vhost}"

    def control(self, *command):
        """Run rabbitmqctl; `stop_app` closes every connection and takes no other until `start_app`."""
        program = ["sh", self.script.with_name("rabbitmqctl"), "--node", self.environment["RABBITMQ_NODENAME"]]
        return subprocess.run(
            [*program, "--silent", *command], env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def _configure(self):
        owner = {"user": self.user, "configure": ".*", "write": ".*", "read": ".*"}
        vhosts = [f"test-{number}" for number in range(self.vhosts)]
        definitions = {
            "users": [{"name": self.user, "password": self.password, "tags": "management"}],
            "vhosts": [{"name": vhost} for vhost in vhosts],
            "permissions": [{"vhost": vhost, **owner} for vhost in vhosts],
        }
        (self.folder / "definitions.json").write_text(json.dumps(definitions))
        trusted = self.authority.path if self.authority else None
        clients = f"ssl_options.cacertfile = {trusted}\nssl_options.verify = verify_peer\n" if trusted else ""
        clients += "ssl_options.fail_if_no_peer_cert = true\n" if trusted else ""
        http = f"management.tcp.ip = {self.address}\nmanagement.tcp.port = {self.http_port}\n" if self.with_http else ""
        (self.folder / "plugins").write_text("[rabbitmq_management]." if self.with_http else "[].")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {self.address}:{self.port}\n"
            f"listeners.ssl.1 = {self.address}:{self.tls_port}\n"
            f"ssl_options.certfile = {self.certificate.path}\n"
            f"ssl_options.keyfile = {self.certificate.key}\n"
            f"{clients}{http}"
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
    """Return the unpacked server and the PATH for it. Raises NoPackages."""
    root = debian.unpacked(CACHE, ["rabbitmq-server"], ("erlang-",))
    [server] = (root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server")
    erlang = root / "usr/lib/erlang"
    [binaries] = erlang.glob("erts-*/bin")
    start = folder / "bin/erl"  # Debian's own has the place where it would be installed written into it
    start.parent.mkdir()
    start.write_text(
        f'#!/bin/sh\nexport ROOTDIR={erlang} BINDIR={binaries} EMU=beam PROGNAME=erl\nexec {binaries}/erlexec "$@"\n'
    )
    start.chmod(0o755)
    return server, f"{start.parent}:{binaries}:{os.environ['PATH']}"
