"""What is said of a kubeconfig that leads to no cluster: which it is, and what to do, in one line."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("celery-reconcile")


def said(path, *options):
    """Return what is said when this kubeconfig is asked for apps, without what all of it begins with."""
    environment = os.environ | {"KUBECONFIG": "kc"}
    ended = subprocess.run(
        [PROGRAM, "status", *options], cwd=path.parent, env=environment, capture_output=True, check=False, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    return ended.stderr.removeprefix("celery-reconcile: ")


def plugin(command, *args):
    return {"exec": {"command": command, "args": args, "apiVersion": "client.authentication.k8s.io/v1beta1"}}


PLUGINS = {
    "not installed": (
        plugin("aws-iam-nope"),
        "aws-iam-nope cannot be started: No such file or directory: install it, or mend the PATH",
    ),
    "not allowed": (
        plugin("/etc/passwd"),
        "/etc/passwd cannot be started: Permission denied: install it, or mend the PATH",
    ),
    "failing": (
        plugin("sh", "-c", "echo log in first >&2; exit 3"),
        "sh failed: process returned 3. log in first: run it by itself until it works",
    ),
    "saying nothing": (
        plugin("echo", "{}"),
        "echo failed: malformed response. missing key 'apiVersion': run it by itself until it works",
    ),
}


@pytest.mark.parametrize(("user", "words"), PLUGINS.values(), ids=PLUGINS)
def test_a_credential_plugin_that_gives_nothing_is_named(kubeconfig, user, words):
    path = kubeconfig("https://127.0.0.1:1", **user)
    assert said(path) == f"no cluster: the credential plugin {words} (context a of kc)\n"


@pytest.mark.parametrize(
    ("server", "wanted"),
    [
        ("127.0.0.1:1", "https://127.0.0.1:1"),
        ("localhost:1", "https://localhost:1"),
        ("tcp://127.0.0.1:1", "https://127.0.0.1:1"),
        ("", "https://HOST:PORT"),
    ],
)
def test_a_server_without_its_scheme_is_not_spoken_to(kubeconfig, server, wanted):
    words = f"no cluster: server: {server!r} is no URL: write {wanted} (context a of kc)\n"
    assert said(kubeconfig(server)) == words


def test_a_server_that_does_not_run_is_named_with_where_it_is_written(kubeconfig):
    words = "Failed to establish a new connection: Connection refused"
    assert (
        said(kubeconfig("https://127.0.0.1:1")) == f"CeleryApp list: https://127.0.0.1:1 (context a of kc): {words}\n"
    )


def test_a_server_that_speaks_no_tls_is_named(kubeconfig):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer_in_plain, args=[server]).start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        assert said(kubeconfig(url)).startswith(f"CeleryApp list: {url} (context a of kc): [SSL")


def _answer_in_plain(server):
    with server.accept()[0] as connection:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_context_is_chosen_though_none_is_the_current_one(kubeconfig):
    path = kubeconfig("https://127.0.0.1:1")
    path.write_text(
        json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "current-context"})
    )
    assert "https://127.0.0.1:1 (context a of kc)" in said(path, "--context=a")
    assert "Expected key current-context" in said(path)


def test_the_contexts_there_are_are_named_where_another_is_asked_for(kubeconfig):
    assert "kc: there is no context b, only a: " in said(kubeconfig("https://127.0.0.1:1"), "--context=b")
