"""HorizontalPodAutoscaler and ScaledObject."""

import pytest

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-worker"}
REDIS = {"url": "redis://redis.db:6379/3"}
SECRET = {"secretKeyRef": {"name": "broker", "key": "url"}}


@pytest.fixture
def scaled(children):
    """Return a function from an engine and its scaling to the spec of what scales, and all children."""

    def build(engine, scaling, group=None, **spec):
        queues = {"queues": ["celery"]} if "queue" in scaling else {}
        workers = [
            {"name": "worker", **queues, **(group or {}), "scaling": {"engine": engine, "maxReplicas": 5, **scaling}}
        ]
        found = children(**spec, workers=workers)
        kind = {"HPA": "HorizontalPodAutoscaler", "KEDA": "ScaledObject"}[engine]
        return found[f"{kind}/shop-worker"], found

    return build


def test_an_hpa_measures_the_celery_container_alone(scaled):
    scaling = {"cpu": {"averageValue": "1000m"}, "memory": {"averageUtilization": 80}}
    hpa, _ = scaled("HPA", scaling, resources={"requests": {"memory": "1Gi"}})
    assert hpa["spec"] == {
        "scaleTargetRef": TARGET,
        "minReplicas": 1,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "worker",
                    "target": {"type": "AverageValue", "averageValue": "1"},
                },
            },
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "memory",
                    "container": "worker",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            },
        ],
    }


BEHAVIOR = {"scaleDown": {"stabilizationWindowSeconds": 600, "tolerance": "0.05"}}
DISABLED = {"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}}


@pytest.mark.parametrize(
    ("scaling", "behavior"),
    [
        pytest.param(
            {"behavior": BEHAVIOR},
            {"scaleDown": {"stabilizationWindowSeconds": 600, "tolerance": "50m"}},
            id="as asked for, quantities canonical",
        ),
        pytest.param({"paused": True, "behavior": BEHAVIOR}, DISABLED, id="paused: neither up nor down"),
    ],
)
def test_an_hpa_behaves(scaled, scaling, behavior):
    hpa, _ = scaled("HPA", {"cpu": {"averageValue": "1"}, **scaling})
    assert hpa["spec"]["behavior"] == behavior


def test_keda_adds_up_every_priority_of_every_queue_on_redis(scaled):
    keda, found = scaled(
        "KEDA", {"queue": {"averageLength": 8}, "minReplicas": 0}, {"queues": ["a", "b"]}, broker=REDIS
    )
    lists = [f"{queue}{rest}" for queue in "ab" for rest in ("", "\x06\x163", "\x06\x166", "\x06\x169")]
    where = {"listLength": "8", "address": "redis.db:6379", "databaseIndex": "3"}
    assert keda["spec"] == {
        "scaleTargetRef": TARGET,
        "minReplicaCount": 0,
        "maxReplicaCount": 5,
        "cooldownPeriod": 300,
        "initialCooldownPeriod": 300,
        "advanced": {
            "scalingModifiers": {
                "formula": "s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7",
                "target": "8",
                "metricType": "AverageValue",
            }
        },
        "triggers": [
            {"type": "redis", "name": f"s{number}", "metadata": {"listName": name, **where}}
            for number, name in enumerate(lists)
        ],
    }
    assert "TriggerAuthentication/shop-broker" not in found


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://redis", {"address": "redis:6379"}),
        ("redis://user@redis:7000", {"address": "redis:7000"}),
        ("redis://[::1]/2", {"address": "[::1]:6379", "databaseIndex": "2"}),
        ("redis://[1:2:3]:7000//4#a", {"address": "[1:2:3]:7000", "databaseIndex": "4"}),
        (
            "rediss://redis:6380/0?ssl_cert_reqs=required",
            {"address": "redis:6380", "databaseIndex": "0", "enableTLS": "true"},
        ),
    ],
)
def test_keda_finds_redis_at(scaled, url, where):
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}}, broker={"url": url})
    assert keda["spec"]["triggers"][0]["metadata"] == {"listName": "celery", "listLength": "8", **where}


def test_keda_goes_by_the_transport_options_that_name_the_lists(scaled):
    options = {"global_keyprefix": "shop.", "sep": ":", "priority_steps": [0, 1]}
    group = {"settings": {"broker_transport_options": options}}
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}}, group, broker=REDIS)
    assert [trigger["metadata"]["listName"] for trigger in keda["spec"]["triggers"]] == ["shop.celery", "shop.celery:1"]


@pytest.mark.parametrize("options", [None, {"global_keyprefix": None, "sep": None, "priority_steps": None}])
def test_transport_options_that_are_null_count_as_absent(scaled, options):
    group = {"settings": {"broker_transport_options": options}}
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}}, group, broker=REDIS)
    lists = ["celery", "celery\x06\x163", "celery\x06\x166", "celery\x06\x169"]
    assert [trigger["metadata"]["listName"] for trigger in keda["spec"]["triggers"]] == lists


def test_keda_logs_in_to_redis_by_the_users_own_authentication(scaled):
    reference = {"name": "redis", "kind": "ClusterTriggerAuthentication"}
    scaling = {"queue": {"averageLength": 8}, "keda": {"authenticationRef": reference}}
    keda, found = scaled("KEDA", scaling, broker={"type": "Redis", "urlFrom": SECRET})
    assert keda["spec"]["triggers"][0] == {
        "type": "redis",
        "name": "s0",
        "metadata": {"listName": "celery", "listLength": "8"},
        "authenticationRef": reference,
    }
    assert "TriggerAuthentication/shop-broker" not in found


def test_keda_reads_the_redis_database_it_is_told(scaled):
    scaling = {"queue": {"averageLength": 8}, "keda": {"authenticationRef": {"name": "redis"}, "databaseIndex": 3}}
    keda, _ = scaled("KEDA", scaling, broker={"type": "Redis", "urlFrom": SECRET})
    assert keda["spec"]["triggers"][0]["metadata"]["databaseIndex"] == "3"


def test_keda_gets_rabbitmqs_url_out_of_the_apps_secret(scaled):
    keda, found = scaled("KEDA", {"queue": {"averageLength": 8}}, broker={"type": "RabbitMQ", "urlFrom": SECRET})
    assert keda["spec"]["triggers"] == [
        {
            "type": "rabbitmq",
            "name": "s0",
            "metadata": {"queueName": "celery", "mode": "QueueLength", "value": "8", "protocol": "auto"},
            "authenticationRef": {"name": "shop-broker"},
        }
    ]
    assert found["TriggerAuthentication/shop-broker"]["spec"] == {
        "secretTargetRef": [{"parameter": "host", "name": "broker", "key": "url"}]
    }


def test_keda_takes_rabbitmqs_url_where_it_is_no_secret(scaled):
    keda, found = scaled("KEDA", {"queue": {"averageLength": 8}}, broker={"url": "pyamqp://rabbit//"})
    assert keda["spec"]["triggers"][0]["metadata"]["host"] == "amqp://rabbit//"
    assert "TriggerAuthentication/shop-broker" not in found


def test_keda_finds_queues_on_sqs_by_name_and_region_and_asks_by_its_own_role(scaled):
    settings = {"broker_transport_options": {"region": "eu-west-1", "queue_name_prefix": "shop."}}
    group = {"queues": ["mail"], "settings": settings}
    keda, found = scaled("KEDA", {"queue": {"averageLength": 8}}, group, broker={"url": "sqs://"})
    assert keda["spec"]["triggers"] == [
        {
            "type": "aws-sqs-queue",
            "name": "s0",
            "metadata": {"queueURL": "shop-mail", "awsRegion": "eu-west-1", "queueLength": "8"},
            "authenticationRef": {"name": "shop-broker"},
        }
    ]
    assert found["TriggerAuthentication/shop-broker"]["spec"] == {"podIdentity": {"provider": "aws"}}


def test_keda_finds_queues_on_sqs_where_the_transport_options_have_them(scaled):
    there = {"url": "https://sqs.us-west-2.amazonaws.com/123456789012/mail", "region": "us-west-2"}
    settings = {"broker_transport_options": {"region": "eu-west-1", "predefined_queues": {"mail": there}}}
    scaling = {"queue": {"averageLength": 8}, "keda": {"authenticationRef": {"name": "sqs"}}}
    broker = {"type": "SQS", "urlFrom": SECRET}
    keda, found = scaled("KEDA", scaling, {"queues": ["mail"], "settings": settings}, broker=broker)
    assert keda["spec"]["triggers"] == [
        {
            "type": "aws-sqs-queue",
            "name": "s0",
            "metadata": {"queueURL": there["url"], "awsRegion": "us-west-2", "queueLength": "8"},
            "authenticationRef": {"name": "sqs", "kind": "TriggerAuthentication"},
        }
    ]
    assert "TriggerAuthentication/shop-broker" not in found


@pytest.mark.parametrize(("is_secure", "scheme"), [(True, "https"), (None, "http")])
def test_keda_finds_an_sqs_of_ones_own(scaled, is_secure, scheme):
    options = {"region": "eu-west-1"} | ({"is_secure": is_secure} if is_secure else {})
    broker, group = {"url": "sqs://localstack:4566/"}, {"settings": {"broker_transport_options": options}}
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}}, group, broker=broker)
    assert keda["spec"]["triggers"][0]["metadata"]["awsEndpoint"] == f"{scheme}://localstack:4566"


def ref(name, key):
    return {"secretKeyRef": {"name": name, "key": key}}


CERTIFICATES = {
    "caFrom": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}},
    "certFrom": ref("tls", "tls.crt"),
    "keyFrom": ref("tls", "tls.key"),
}


def test_keda_gets_the_parts_of_redis_sentinel(scaled):
    url = "sentinel://shop@s0:26380/2;sentinel://s1/2"
    sentinel = {"masterName": "shop", "passwordFrom": ref("redis", "sentinel")}
    broker = {"url": url, "passwordFrom": ref("redis", "pw"), "sentinel": sentinel, "tls": CERTIFICATES}
    keda, found = scaled("KEDA", {"queue": {"averageLength": 8}}, broker=broker)
    assert keda["spec"]["triggers"][0] == {
        "type": "redis-sentinel",
        "name": "s0",
        "metadata": {
            "listName": "celery",
            "listLength": "8",
            "addresses": "s0:26380,s1:26379",
            "sentinelMaster": "shop",
            "databaseIndex": "2",
            "enableTLS": "true",
        },
        "authenticationRef": {"name": "shop-broker"},
    }
    assert found["TriggerAuthentication/shop-broker"]["spec"] == {
        "secretTargetRef": [
            {"parameter": "password", "name": "redis", "key": "pw"},
            {"parameter": "sentinelPassword", "name": "redis", "key": "sentinel"},
            {"parameter": "cert", "name": "tls", "key": "tls.crt"},
            {"parameter": "key", "name": "tls", "key": "tls.key"},
        ],
        "configMapTargetRef": [{"parameter": "ca", "name": "ca", "key": "ca.crt"}],
        "env": [{"parameter": "username", "name": "CELERYAPP_BROKER_USERNAME", "containerName": "worker"}],
    }


def test_keda_gets_the_parts_of_rabbitmq(scaled):
    broker = {"usernameFrom": ref("mq", "user"), "passwordFrom": ref("mq", "pw"), "tls": {"verify": "None"}}
    keda, found = scaled("KEDA", {"queue": {"averageLength": 8}}, broker={"url": "amqps://mq/v", **broker})
    assert keda["spec"]["triggers"][0]["metadata"] == {
        "queueName": "celery",
        "mode": "QueueLength",
        "value": "8",
        "protocol": "auto",
        "host": "amqps://mq/v",
        "unsafeSsl": "true",
    }
    assert found["TriggerAuthentication/shop-broker"]["spec"] == {
        "secretTargetRef": [
            {"parameter": "username", "name": "mq", "key": "user"},
            {"parameter": "password", "name": "mq", "key": "pw"},
        ],
        "env": [{"parameter": "tls", "name": "CELERYAPP_BROKER_TLS", "containerName": "worker"}],
    }


@pytest.mark.parametrize(
    ("url", "is_unsafe"),
    [
        ("rediss://redis?ssl_cert_reqs=none", True),
        ("rediss://redis/1?socket_timeout=5&ssl_cert_reqs=CERT_NONE&health_check_interval=5", True),
        ("rediss://redis?ssl_cert_reqs=required", False),
        ("amqps://rabbitmq/shop?ssl_cert_reqs=none", True),
    ],
)
def test_keda_looks_at_certificates_where_celery_does(scaled, url, is_unsafe):
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}}, broker={"url": url})
    assert ("unsafeSsl" in keda["spec"]["triggers"][0]["metadata"]) == is_unsafe


DAY = {"timezone": "UTC", "start": "0 7 * * *", "end": "0 19 * * *", "desiredReplicas": "4"}
CRON = {"name": "office-hours", "type": "cron", "metadata": DAY}


def test_keda_goes_by_the_clock_alone(scaled):
    load = {"name": "load", "type": "prometheus", "metricType": "Value", "metadata": {"threshold": "3"}}
    load |= {"authenticationRef": {"name": "prometheus"}}
    scaling = {"minReplicas": 0, "cooldownSeconds": 60, "keda": {"triggers": [CRON, load]}}
    keda, found = scaled("KEDA", scaling, broker={"urlFrom": SECRET})
    assert keda["spec"] == {
        "scaleTargetRef": TARGET,
        "minReplicaCount": 0,
        "maxReplicaCount": 5,
        "cooldownPeriod": 60,
        "initialCooldownPeriod": 60,
        "triggers": [CRON, load],
    }
    assert "TriggerAuthentication/shop-broker" not in found


def test_the_clock_has_as_many_pods_as_it_wants_beside_a_queue(scaled):
    keda, found = scaled(
        "KEDA",
        {"queue": {"averageLength": 8}, "keda": {"triggers": [CRON, CRON | {"name": "noon"}]}},
        {"queues": ["a", "b"]},
        broker={"type": "RabbitMQ", "urlFrom": SECRET},
    )
    formula = '(s0 ?? s1) == nil ? s0 + s1 : max((s0 ?? 0.0) + (s1 ?? 0.0), $env["office-hours"] * 8, $env["noon"] * 8)'
    assert keda["spec"]["advanced"]["scalingModifiers"] == {
        "formula": formula,
        "target": "8",
        "metricType": "AverageValue",
    }
    assert [trigger["name"] for trigger in keda["spec"]["triggers"]] == ["s0", "s1", "office-hours", "noon"]
    assert "TriggerAuthentication/shop-broker" in found


SUM = "(s0 ?? 0.0) + (s1 ?? 0.0)"
RABBITMQ, TWO = {"url": "amqp://rabbit"}, {"queues": ["a", "b"]}
SQS = {"settings": {"broker_transport_options": {"region": "eu-west-1"}}}


def by_formula(replicas, threshold=3):
    return {"failureThreshold": threshold, "replicas": replicas, "behavior": "scalingModifiers"}


@pytest.mark.parametrize(
    ("scaling", "group", "broker", "formula", "fallback"),
    [
        pytest.param(
            {"minReplicas": 2},
            TWO,
            RABBITMQ,
            f"(s0 ?? s1) == nil ? s0 + s1 : {SUM}",
            by_formula(2),
            id="what nobody has declared yet is empty; if none can be read it is an error, and the pods stay",
        ),
        pytest.param(
            {"minReplicas": 0},
            TWO,
            RABBITMQ,
            f"(s0 ?? s1) == nil ? nil : {SUM}",
            by_formula(1),
            id="with an error KEDA would go to zero: one pod",
        ),
        pytest.param(
            {"minReplicas": 2, "keda": {"fallback": {"failureThreshold": 5, "replicas": 4}}},
            TWO,
            RABBITMQ,
            f"(s0 ?? s1) == nil ? nil : {SUM}",
            by_formula(4, 5),
            id="or as many as the user says",
        ),
        pytest.param(
            {"minReplicas": 0},
            TWO | SQS,
            {"url": "sqs://"},
            f"(s0 ?? s1) == nil ? nil : {SUM}",
            by_formula(1),
            id="on Amazon SQS too",
        ),
        pytest.param(
            {"minReplicas": 0, "keda": {"triggers": [CRON | {"name": "day"}]}},
            {},
            RABBITMQ,
            '(s0) == nil ? nil : max((s0 ?? 0.0), $env["day"] * 8)',
            by_formula(1),
            id="one queue stops no clock",
        ),
        pytest.param({"minReplicas": 0}, {}, RABBITMQ, "s0", None, id="a queue alone stops nobody"),
        pytest.param(
            {"keda": {"fallback": {"failureThreshold": 3, "replicas": 4, "behavior": "currentReplicas"}}},
            TWO,
            RABBITMQ,
            "s0 + s1",
            {"failureThreshold": 3, "replicas": 4, "behavior": "currentReplicas"},
            id="another way to fall back is KEDA's own",
        ),
    ],
)
def test_a_queue_that_is_not_there_does_not_stop_the_others(scaled, scaling, group, broker, formula, fallback):
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}, **scaling}, group, broker=broker)
    assert keda["spec"]["advanced"]["scalingModifiers"]["formula"] == formula
    assert keda["spec"].get("fallback") == fallback


def test_where_a_pod_always_stays_there_is_no_cooldown(scaled):
    keda, _ = scaled("KEDA", {"queue": {"averageLength": 8}, "cooldownSeconds": 60}, broker=REDIS)
    assert not {"cooldownPeriod", "initialCooldownPeriod"} & keda["spec"].keys()


def test_keda_is_told_how_often_to_look_and_what_to_do_when_it_cannot_see(scaled):
    fallback = {"failureThreshold": 3, "replicas": 4, "behavior": "currentReplicasIfHigher"}
    scaling = {"queue": {"averageLength": 8}, "keda": {"pollingSeconds": 10, "fallback": fallback}}
    keda, _ = scaled("KEDA", scaling, broker=REDIS)
    assert keda["spec"]["pollingInterval"] == 10
    assert keda["spec"]["fallback"] == fallback


def test_keda_scales_by_cpu_and_memory_too(scaled):
    scaling = {"cpu": {"averageUtilization": 70}, "memory": {"averageValue": "1024Mi"}, "behavior": BEHAVIOR}
    keda, _ = scaled("KEDA", scaling, resources={"requests": {"cpu": "1"}})
    assert keda["spec"]["triggers"] == [
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70", "containerName": "worker"}},
        {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "1Gi", "containerName": "worker"}},
    ]
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 600, "tolerance": "50m"}}
    assert keda["spec"]["advanced"] == {"horizontalPodAutoscalerConfig": {"behavior": behavior}}


def test_beside_a_queue_keda_measures_whole_pods(scaled):
    resources = {"cpu": {"averageUtilization": 70}, "memory": {"averageValue": "1Gi"}}
    scaling = {"queue": {"averageLength": 8}, **resources}
    keda, _ = scaled("KEDA", scaling, broker=RABBITMQ, resources={"requests": {"cpu": "1"}})
    assert keda["spec"]["triggers"][1:] == [
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
        {"type": "memory", "metricType": "AverageValue", "metadata": {"value": "1Gi"}},
    ]


def test_a_paused_scaled_object_says_so_in_an_annotation(scaled):
    scaling = {"cpu": {"averageValue": "1"}, "paused": True}
    keda, _ = scaled("KEDA", scaling)
    assert keda["metadata"]["annotations"] == {"autoscaling.keda.sh/paused": "true"}
