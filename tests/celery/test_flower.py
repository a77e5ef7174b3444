"""Flower, started as rendered."""

import json
import os
import subprocess
import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import free_ports
import pytest

OPTIONS = """
import json, sys
from flower.command import apply_env_options, apply_options
from tornado.options import options
apply_env_options()
apply_options("flower", sys.argv[1:])
print(json.dumps(options.as_dict(), default=str))
"""


@pytest.fixture
def port():
    return free_ports.take(1)[0]


@pytest.fixture
def started(rendered, run, redis, port):
    """Return a function from the fields of Flower to a running one."""
    redis.start()
    return lambda **fields: run(rendered(broker={"url": redis.url}, flower={"port": port, **fields})["flower"], {})


def status(port, path):
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except HTTPError as error:
        with error:
            return error.code
    except URLError:
        return None


def options(container, environment):
    """Return Flower's options, read from the arguments and the environment in a process of their own."""
    arguments = container["args"][container["args"].index("flower") + 1 :]
    given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    command = [sys.executable, "-c", OPTIONS, *arguments]
    environment = {"PATH": os.environ["PATH"], **given, **environment}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def key(name):
    return {"secretKeyRef": {"name": "flower", "key": name}}


def test_every_field_reaches_flower(rendered):
    oauth = {
        "provider": "GitLab",
        "emails": ".*@example.com",
        "redirectUri": "https://flower.example.com/login",
        "clientIdFrom": key("id"),
        "clientSecretFrom": key("secret"),
        "cookieSecretFrom": key("cookie"),
    }
    fields = {
        "port": 8080,
        "urlPrefix": "a/b",
        "readOnly": True,
        "maxTasks": 5,
        "persistence": {"saveIntervalSeconds": 7},
    }
    container = rendered(broker={"url": "redis://r"}, flower={**fields, "auth": {"oauth": oauth}})["flower"]
    secrets = {entry["name"]: f"<{entry['name']}>" for entry in container["env"] if "valueFrom" in entry}
    expected = {
        "port": 8080,
        "url-prefix": "a/b",
        "read-only": True,
        "max-tasks": 5,
        "purge-offline-workers": 3600,
        "persistent": True,
        "db": "/var/lib/flower/flower",
        "state-save-interval": 7000,
        "auth": ".*@example.com",
        "auth-provider": "flower.views.auth.GitLabLoginHandler",
        "oauth2-key": "<FLOWER_OAUTH2_KEY>",
        "oauth2-secret": "<FLOWER_OAUTH2_SECRET>",
        "oauth2-redirect-uri": "https://flower.example.com/login",
        "cookie-secret": "<FLOWER_COOKIE_SECRET>",
    }
    found = {name.replace("_", "-"): value for name, value in options(container, secrets).items()}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("provider", ["Google", "GitHub", "GitLab", "Okta"])
def test_every_provider_is_a_class_of_flowers(provider):
    from flower.views import auth  # noqa: PLC0415

    from render.children.flower import PROVIDERS  # noqa: PLC0415

    module, _, name = PROVIDERS[provider].rpartition(".")
    assert (module, hasattr(auth, name)) == ("flower.views.auth", True)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="in the app's image"),
        pytest.param({"image": "mher/flower:2.0", "urlPrefix": "a/b"}, id="in an image of its own, with a prefix"),
    ],
)
def test_flower_starts_and_answers_its_probe(started, port, until, fields):
    running = started(persistence={}, **fields)
    path = running.container["readinessProbe"]["httpGet"]["path"]
    until(lambda: status(port, path) == 200, "an answer to the probe")
    assert status(port, path.replace("healthcheck", "api/workers")) == 401
    running.process.terminate()
    assert running.process.wait() == 0
