"""Flower: its Deployment, and what stands in front of it."""

import pytest

SELECTOR = {"celeryproject.org/app": "shop", "celeryproject.org/component": "flower"}
BASIC = {"basicAuth": {"secretKeyRef": {"name": "flower", "key": "users"}}}


def key(name):
    return {"secretKeyRef": {"name": "flower", "key": name}}


@pytest.fixture
def flower(children, container):
    """Return a function from the fields of flower to its container."""

    def build(**fields):
        return container(children(broker={"url": "redis://r"}, flower=fields)["Deployment/shop-flower"])

    return build


def test_the_arguments(flower):
    fields = {"port": 8080, "urlPrefix": "a/b", "readOnly": True, "persistence": {}, "args": ["--inspect-timeout=5000"]}
    assert flower(**fields)["args"] == [
        "--app=shop.celery:app",
        "flower",
        "--port=8080",
        "--url-prefix=a/b",
        "--read-only",
        "--purge-offline-workers=3600",
        "--max-tasks=10000",
        "--persistent",
        "--db=/var/lib/flower/flower",
        "--state-save-interval=60000",
        "--inspect-timeout=5000",
    ]


def test_an_image_of_flowers_own_has_no_app(flower):
    assert flower(image="mher/flower:2.0")["args"][0] == "flower"


def test_basic_auth_is_an_environment_variable_out_of_a_secret(flower):
    assert {"name": "FLOWER_BASIC_AUTH", "valueFrom": key("users")} in flower(auth=BASIC)["env"]


def test_oauth_keeps_secrets_off_the_command_line(flower):
    oauth = {
        "provider": "GitHub",
        "emails": ".*@example.com",
        "clientIdFrom": key("id"),
        "clientSecretFrom": key("secret"),
        "cookieSecretFrom": key("cookie"),
        "redirectUri": "https://flower.example.com/login",
    }
    found = flower(auth={"oauth": oauth}, brokerApiFrom=key("api"))
    assert found["args"][-2:] == ["--auth=.*@example.com", "--auth-provider=flower.views.auth.GithubLoginHandler"]
    assert found["env"] == [
        {"name": "CELERY_BROKER_URL", "value": "redis://r"},
        {"name": "FLOWER_OAUTH2_KEY", "valueFrom": key("id")},
        {"name": "FLOWER_OAUTH2_SECRET", "valueFrom": key("secret")},
        {"name": "FLOWER_COOKIE_SECRET", "valueFrom": key("cookie")},
        {"name": "FLOWER_BROKER_API", "valueFrom": key("api")},
        {"name": "FLOWER_OAUTH2_REDIRECT_URI", "value": "https://flower.example.com/login"},
    ]


@pytest.mark.parametrize(("fields", "path"), [({}, "/healthcheck"), ({"urlPrefix": "a/b"}, "/a/b/healthcheck")])
def test_the_probes_ask_the_one_page_that_is_always_open(flower, fields, path):
    found = flower(**fields)
    probes = (found["startupProbe"], found["readinessProbe"], found["livenessProbe"])
    assert [probe["httpGet"] for probe in probes] == [{"path": path, "port": "http"}] * 3


def test_two_flowers_never_write_one_file(children):
    strategies = [children(flower=fields)["Deployment/shop-flower"]["spec"] for fields in ({}, {"persistence": {}})]
    assert [spec["strategy"]["type"] for spec in strategies] == ["RollingUpdate", "Recreate"]
    assert [spec["replicas"] for spec in strategies] == [1, 1]


def test_the_service_leads_to_the_named_port(children):
    service = {"type": "NodePort", "port": 80, "nodePort": 30080, "annotations": {"a": "b"}}
    found = children(flower={"auth": BASIC, "service": service})["Service/shop-flower"]
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert found["spec"] == {
        "type": "NodePort",
        "selector": SELECTOR,
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080}],
    }


def test_the_service_leads_to_a_proxy_beside_flower_and_the_policy_lets_in_to_that_alone(children):
    service = {"targetPort": "proxy", "labels": {"release": "prometheus", "team": "b"}}
    fields = {"auth": {"external": True}, "service": service, "networkPolicy": {"from": [{"podSelector": {}}]}}
    found = children(labels={"team": "a"}, flower=fields)
    labels = found["Service/shop-flower"]["metadata"]["labels"]
    assert (labels["release"], labels["team"]) == ("prometheus", "b")
    [port] = found["Service/shop-flower"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (5555, "proxy")
    [rule] = found["NetworkPolicy/shop-flower"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": "proxy", "protocol": "TCP"}]


def test_flower_asks_nobody_where_a_proxy_does(flower):
    assert flower(auth={"external": True}, ingress={"host": "flower.example.com"}) == flower()


@pytest.mark.parametrize(("fields", "path"), [({}, "/"), ({"urlPrefix": "a/b"}, "/a/b")])
def test_the_ingress_leads_to_the_service(children, fields, path):
    ingress = {"className": "nginx", "host": "flower.example.com", "tlsSecretName": "tls"}
    backend = {"service": {"name": "shop-flower", "port": {"name": "http"}}}
    assert children(flower={"auth": BASIC, "ingress": ingress, **fields})["Ingress/shop-flower"]["spec"] == {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "flower.example.com",
                "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]},
            }
        ],
        "tls": [{"hosts": ["flower.example.com"], "secretName": "tls"}],
    }


@pytest.mark.parametrize(
    ("peers", "rules"),
    [
        pytest.param(
            [{"podSelector": {}}],
            {"ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 5555, "protocol": "TCP"}]}]},
            id="those who are named",
        ),
        pytest.param([], {}, id="nobody, for an empty list: to Kubernetes it would mean everybody"),
    ],
)
def test_the_network_policy_lets_in(children, peers, rules):
    found = children(flower={"networkPolicy": {"from": peers}})["NetworkPolicy/shop-flower"]
    assert found["spec"] == {"podSelector": {"matchLabels": SELECTOR}, "policyTypes": ["Ingress"], **rules}
