"""How pods get to the broker and to the result backend."""

import pytest

from render.in_pod import celery_connection

LAUNCHER = ["python3", "-I", "-S", "/etc/celery-probe/celery_start.py"]


def ref(name, key):
    return {"secretKeyRef": {"name": name, "key": key}}


BROKER = {
    "url": "sentinel://shop@s0:26379/0;sentinel://s1:26379/0",
    "passwordFrom": ref("redis", "password"),
    "sentinel": {"masterName": "shop", "passwordFrom": ref("redis", "sentinel")},
    "tls": {
        "caFrom": {"configMapKeyRef": {"name": "ca", "key": "ca.pem"}},
        "certFrom": ref("tls", "tls.crt"),
        "keyFrom": ref("tls", "tls.key"),
        "verify": "CA",
    },
}
BACKEND = {"url": "rediss://redis/1", "usernameFrom": ref("redis", "user"), "passwordFrom": ref("redis", "password")}


@pytest.fixture
def pods(children):
    """Return a function from a spec to the pod of each Deployment, by the component's name."""

    def build(**spec):
        found = children(**spec)
        deployments = {name: child for name, child in found.items() if name.startswith("Deployment/")}
        return {
            name.removeprefix("Deployment/shop-"): child["spec"]["template"]["spec"]
            for name, child in deployments.items()
        }

    return build


def test_workers_beat_and_flower_get_the_same_parts(pods):
    found = pods(broker=BROKER, resultBackend=BACKEND, beat={}, flower={"image": "flower:2"})
    assert sorted(found) == ["beat", "flower", "worker"]
    for pod in found.values():
        [container] = pod["containers"]
        assert container["env"][:10] == [
            {"name": "CELERY_BROKER_URL", "value": BROKER["url"]},
            {"name": "CELERYAPP_BROKER_PASSWORD", "valueFrom": ref("redis", "password")},
            {"name": "CELERYAPP_BROKER_SENTINEL_PASSWORD", "valueFrom": ref("redis", "sentinel")},
            {"name": "CELERYAPP_BROKER_USERNAME", "value": "shop"},
            {"name": "CELERYAPP_BROKER_TLS", "value": "enable"},
            {"name": "CELERYAPP_BROKER_VERIFY", "value": "CA"},
            {"name": "CELERYAPP_BROKER_SENTINEL_MASTER", "value": "shop"},
            {"name": "CELERY_RESULT_BACKEND", "value": BACKEND["url"]},
            {"name": "CELERYAPP_RESULT_BACKEND_USERNAME", "valueFrom": ref("redis", "user")},
            {"name": "CELERYAPP_RESULT_BACKEND_PASSWORD", "valueFrom": ref("redis", "password")},
        ]
        assert container["command"] == [*LAUNCHER, "celery"]
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        names = ("celery_start.py", "celery_connection.py", "celery_loader.py")
        assert {"/etc/celery-tls", *(f"/etc/celery-probe/{name}" for name in names)} <= {*paths}
        assert {
            "name": "celery-tls",
            "projected": {
                "sources": [
                    {"configMap": {"name": "ca", "items": [{"key": "ca.pem", "path": "BROKER/ca.crt"}]}},
                    {"secret": {"name": "tls", "items": [{"key": "tls.crt", "path": "BROKER/tls.crt"}]}},
                    {"secret": {"name": "tls", "items": [{"key": "tls.key", "path": "BROKER/tls.key"}]}},
                ]
            },
        } in pod["volumes"]


def test_a_url_that_says_it_all_needs_nothing_more(pods):
    pod = pods(broker={"url": "redis://redis/0"}, beat={})["beat"]
    assert pod["containers"][0]["env"] == [{"name": "CELERY_BROKER_URL", "value": "redis://redis/0"}]
    assert [volume["name"] for volume in pod["volumes"]] == ["celery-data", "celery-tmp"]


PASSWORD_ALONE = {"url": "redis://redis/0", "passwordFrom": ref("redis", "password")}


def test_no_variable_of_the_image_is_hidden(pods):
    workers = [{"name": "worker", "probe": {"type": "None"}}]
    env = pods(broker=PASSWORD_ALONE, workers=workers)["worker"]["containers"][0]["env"]
    assert [entry["name"] for entry in env] == ["CELERY_BROKER_URL", "CELERYAPP_BROKER_PASSWORD"]


def test_all_that_may_reach_the_broker_is_launched(pods):
    check = {"exec": {"command": ["check"]}}
    init = [{"name": "own", "command": ["first"]}, {"name": "entrypoint"}, {"name": "other", "image": "other:1"}]
    own = {"name": "own", "commandLine": ["run"], "probe": check, "initContainers": init}
    ping = {"name": "ping", "queues": ["a"], "probe": {"type": "Ping"}}
    found = pods(broker=PASSWORD_ALONE, workers=[own, ping])
    [container] = found["own"]["containers"]
    assert container["command"] == [*LAUNCHER, "run"]
    assert container["livenessProbe"]["exec"]["command"] == [*LAUNCHER, "check"]
    first, entrypoint, other = found["own"]["initContainers"]
    assert first["command"] == [*LAUNCHER, "first"]
    assert "command" not in entrypoint
    assert [[mount["subPath"] for mount in each.get("volumeMounts", ())] for each in (first, entrypoint, other)] == [
        ["celery_start.py", "celery_connection.py", "celery_loader.py"],
        ["celery_start.py", "celery_connection.py", "celery_loader.py"],
        [],
    ]
    pinged = found["ping"]["containers"][0]["livenessProbe"]["exec"]["command"]
    assert pinged[:6] == [*LAUNCHER, "python3", "/etc/celery-probe/celery_check.py"]


def test_the_loader_is_named_where_there_are_settings():
    assert celery_connection.variables({"CELERY_BROKER_URL": "redis://a", "CELERYAPP_BROKER_PASSWORD": "p"}) == {
        "CELERY_BROKER_URL": "redis://:p@a"
    }
    assert celery_connection.variables({"CELERYAPP_BROKER_SENTINEL_MASTER": "shop"}) == {
        "CELERY_LOADER": "celery_loader:Loader"
    }


@pytest.mark.parametrize(
    ("url", "username", "password", "joined"),
    [
        ("redis://redis:6379/0", None, "a@/:%", "redis://:a%40%2F%3A%25@redis:6379/0"),
        ("sentinel://a/1;sentinel://b:1?x=@", "u;", "p;", "sentinel://u%3B:p%3B@a/1;sentinel://u%3B:p%3B@b:1?x=@"),
        ("amqp://shop@rabbitmq/v@h", "shop", "p", "amqp://shop:p@rabbitmq/v@h"),
        ("amqp://rabbitmq#a", "", "", "amqp://:@rabbitmq#a"),
    ],
)
def test_user_and_password_are_percent_encoded(url, username, password, joined):
    assert celery_connection.with_credentials(url, username, password) == joined


def test_only_urls_with_a_password_are_joined():
    environment = {"CELERY_BROKER_URL": "redis://a", "CELERY_RESULT_BACKEND": "redis://b"}
    assert celery_connection.urls(environment) == {}
    environment["CELERYAPP_RESULT_BACKEND_PASSWORD"] = "p"
    assert celery_connection.urls(environment) == {"CELERY_RESULT_BACKEND": "redis://:p@b"}


FILES = {"ca": "/ca", "cert": "/cert", "key": "/key"}


@pytest.mark.parametrize(
    ("is_redis", "verify", "found"),
    [
        (
            True,
            "Full",
            {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": "/ca",
                "ssl_certfile": "/cert",
                "ssl_keyfile": "/key",
            },
        ),
        (
            False,
            "Full",
            {"cert_reqs": 2, "server_hostname": None, "ca_certs": "/ca", "certfile": "/cert", "keyfile": "/key"},
        ),
        (False, "CA", {"cert_reqs": 2, "ca_certs": "/ca", "certfile": "/cert", "keyfile": "/key"}),
    ],
)
def test_tls_is_told_as_the_client_names_it(is_redis, verify, found):
    assert celery_connection.tls(verify, FILES, is_redis=is_redis) == found


def test_without_verification_nothing_is_asked():
    assert celery_connection.tls("None", {}, is_redis=True) == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    assert celery_connection.tls("None", {}, is_redis=False) == {"cert_reqs": 0}


def test_sentinels_are_asked_as_the_master_is():
    trust = {"ssl_cert_reqs": "required"}
    assert celery_connection.sentinel("shop", "p", trust) == {
        "master_name": "shop",
        "sentinel_kwargs": {"ssl": True, "ssl_cert_reqs": "required", "password": "p"},
    }
    assert celery_connection.sentinel("shop", None, {}) == {"master_name": "shop", "sentinel_kwargs": {}}


def test_settings_are_laid_over_the_apps_own_field_by_field():
    given = {"broker_transport_options": {"visibility_timeout": 5, "master_name": "other"}, "broker_use_ssl": True}
    ours = {"broker_transport_options": {"master_name": "shop"}, "broker_use_ssl": {"ssl_ca_certs": "/ca"}}
    assert celery_connection.over(given, ours) == {
        "broker_transport_options": {"visibility_timeout": 5, "master_name": "shop"},
        "broker_use_ssl": {"ssl_ca_certs": "/ca"},
    }
