"""reconciler/service/health.py: what the kubelet is told, over HTTP."""

import resource
import socket
import threading
import urllib.error
import urllib.request
from collections import deque
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest

from reconciler.service import health
from reconciler.service.health import Health
from reconciler.service.metrics import Metrics


@pytest.fixture
def clock():
    return SimpleNamespace(seconds=0.0)


@pytest.fixture
def condition(clock):
    return Health(lambda: clock.seconds, patience_seconds=60)


@pytest.fixture
def page(condition):
    """Return a function: code and text of a page."""
    with health.serve(0, condition, Metrics().registry) as server:

        def page(path):
            try:
                with urllib.request.urlopen(f"http://localhost:{server.port}{path}") as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as answer:
                with answer:
                    return answer.code, answer.read().decode()

        yield page


def test_a_process_is_healthy_while_all_its_threads_turn(condition, clock, page):
    assert page("/healthz") == (200, "yes\n")
    for thread in ("queue", "follow Deployment"):
        condition.turned(thread)
    clock.seconds = 59
    condition.turned("queue")
    assert page("/healthz") == (200, "yes\n")
    clock.seconds = 60
    assert page("/healthz") == (503, "no\n")
    condition.turned("follow Deployment")
    assert page("/healthz") == (200, "yes\n")


def test_answers_do_not_hide_that_a_thread_is_stuck(condition, clock):
    condition.turned("queue")
    for clock.seconds in range(0, 120, 30):
        condition.answered("200")
    assert (condition.healthy, condition.ready) == (False, True)


@pytest.mark.parametrize(
    ("code", "ready"),
    [
        ("200", True),
        ("404", True),
        ("409", True),
        ("429", True),
        ("401", False),
        ("403", False),
        ("503", False),
        ("error", False),
    ],
)
def test_a_process_is_ready_once_the_server_knows_it(condition, page, code, ready):
    assert page("/readyz") == (503, "no\n")
    condition.answered(code)
    assert page("/readyz")[0] == (200 if ready else 503)


def test_a_process_is_not_ready_when_the_server_is_silent(condition, clock):
    condition.answered("200")
    clock.seconds = 60
    condition.turned("queue")
    assert (condition.healthy, condition.ready) == (True, False)


def test_an_outage_of_the_server_is_no_reason_to_start_anew(condition, clock):
    for clock.seconds in range(0, 600, 30):
        condition.answered("error")
        condition.turned("queue")
        assert condition.healthy


def test_metrics_are_those_of_the_registry(page):
    code, text = page("/metrics")
    assert code == 200
    assert "celery_reconcile_apps_failing 0.0" in text
    assert "process_cpu_seconds_total" in text


@pytest.fixture
def port(condition):
    with health.serve(0, condition, Metrics().registry) as server:
        yield server.port


def said(port, request):
    """Return the first line of the answer to these bytes, nothing if the connection is cut."""
    with socket.create_connection(("localhost", port), timeout=60) as client:
        client.sendall(request)
        try:
            return client.recv(1 << 16).partition(b"\r\n")[0].decode()
        except ConnectionResetError:
            return ""


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\n"])
def test_a_client_that_does_not_finish_is_not_kept(port, sent):
    assert said(port, sent) == ""


def test_a_client_that_drips_is_not_kept(port):
    """A byte each tenth of a second: no single wait is long."""
    with socket.create_connection(("localhost", port), timeout=0.1) as client, suppress(ConnectionError):
        while True:
            client.sendall(b"X")
            with suppress(TimeoutError):
                assert client.recv(1) == b""
                return


def test_a_head_has_bounds(port):
    assert said(port, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (1 << 16)) in {
        "HTTP/1.1 431 Request Header Fields Too Large",
        "",  # what is sent meanwhile may reset the connection
    }


@pytest.mark.parametrize("request_", [b"\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"])
def test_nonsense_is_answered(port, request_):
    assert said(port, request_).startswith("HTTP/1.1 404")


def test_nothing_is_written(port):
    assert said(port, b"POST /metrics HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 405")


FLOOD = 10_000


def test_half_requests_in_any_number_hold_up_no_probe(port):
    """Ten thousand, as many at a time as this process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threads, clients, probes = threading.active_count(), deque(), 0
    try:
        for number in range(FLOOD):
            clients.append(client := socket.create_connection(("localhost", port), timeout=60))
            client.sendall(b"GET /healthz HTTP/1.1\r\n")
            if len(clients) >= min(FLOOD, hard - 1000):
                clients.popleft().close()
            if number % 500 == 0:
                assert said(port, b"GET /healthz HTTP/1.1\r\n\r\n") == "HTTP/1.1 200 OK"
                probes += 1
        assert probes == FLOOD // 500
        assert threading.active_count() <= threads
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_whole_requests_in_any_number_hold_up_no_probe(port):
    """Nor does whoever reads no answer."""
    with ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(socket.create_connection(("localhost", port), timeout=60))
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert said(port, b"GET /healthz HTTP/1.1\r\n\r\n") == "HTTP/1.1 200 OK"


def test_there_is_nothing_else(page):
    assert page("/secrets")[0] == 404
