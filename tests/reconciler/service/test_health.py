"""reconciler/service/health.py: what the kubelet is told, over HTTP."""

import socket
import urllib.error
import urllib.request
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
                with urllib.request.urlopen(f"http://localhost:{server.server_port}{path}") as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as answer:
                with answer:
                    return answer.code, answer.read().decode()

        yield page
        server.shutdown()


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


def test_a_client_that_says_nothing_is_not_kept(condition):
    with health.serve(0, condition, Metrics().registry, client_seconds=0.1) as server:
        with socket.create_connection(("localhost", server.server_port), timeout=10) as client:
            assert client.recv(1) == b""
        server.shutdown()


def test_there_is_nothing_else(page):
    assert page("/secrets")[0] == 404
