"""The Deployment of a worker group."""

import pytest

CHECK = ["python3", "-I", "-S", "/etc/celery-probe/celery_check.py"]
START = ["python3", "-I", "-S", "/etc/celery-probe/celery_start.py"]
LABELS = {
    "app.kubernetes.io/name": "celery",
    "app.kubernetes.io/instance": "shop",
    "app.kubernetes.io/component": "worker",
    "celeryproject.org/app": "shop",
    "celeryproject.org/component": "worker",
}
MINIMAL = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop-worker", "labels": {**LABELS, "app.kubernetes.io/managed-by": "celery-render"}},
    "spec": {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "enableServiceLinks": False,
                "shareProcessNamespace": True,
                "serviceAccountName": "default",
                "automountServiceAccountToken": False,
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "terminationGracePeriodSeconds": 60,
                "containers": [
                    {
                        "name": "worker",
                        "image": "shop:1",
                        "command": [*START, "celery"],
                        "args": [
                            "--app=shop.celery:app",
                            "worker",
                            "--hostname=worker@%h",
                            "--loglevel=INFO",
                            "--concurrency=2",
                            "--without-gossip",
                            "--without-mingle",
                            "--include=celery_heartbeat",
                        ],
                        "startupProbe": {
                            "exec": {"command": [*CHECK, "startup"]},
                            "periodSeconds": 5,
                            "timeoutSeconds": 10,
                            "failureThreshold": 60,
                        },
                        "readinessProbe": {
                            "exec": {"command": [*CHECK, "ready"]},
                            "periodSeconds": 10,
                            "timeoutSeconds": 10,
                        },
                        "livenessProbe": {
                            "exec": {"command": [*CHECK, "alive", "300"]},
                            "periodSeconds": 30,
                            "timeoutSeconds": 10,
                        },
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [
                            {"name": "celery-state", "mountPath": "/var/run/celery"},
                            {
                                "name": "celery-probe",
                                "mountPath": "/etc/celery-probe/celery_heartbeat.py",
                                "subPath": "celery_heartbeat.py",
                            },
                            {
                                "name": "celery-probe",
                                "mountPath": "/etc/celery-probe/celery_check.py",
                                "subPath": "celery_check.py",
                            },
                            {
                                "name": "celery-probe",
                                "mountPath": "/etc/celery-probe/celery_start.py",
                                "subPath": "celery_start.py",
                            },
                            {"name": "celery-tmp", "mountPath": "/tmp"},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "celery-state", "emptyDir": {}},
                    {"name": "celery-probe", "configMap": {"name": "shop-probe"}},
                    {"name": "celery-tmp", "emptyDir": {}},
                ],
            },
        },
    },
}


@pytest.fixture
def arguments(worker, container):
    """Return a function from a group to those of its arguments that the smallest one has not."""
    usual = MINIMAL["spec"]["template"]["spec"]["containers"][0]["args"]

    def build(group, **spec):
        return [one for one in container(worker(group, **spec))["args"] if one not in usual]

    return build


def test_the_smallest_group_is_a_deployment_with_safe_defaults(worker):
    assert worker() == MINIMAL


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ({"name": "mail"}, ["--hostname=mail@%h"]),
        ({"logLevel": "DEBUG"}, ["--loglevel=DEBUG"]),
        ({"queues": ["mail", "a.b:c"]}, ["--queues=mail,a.b:c"]),
        ({"excludeQueues": ["mail", "slow"]}, ["--exclude-queues=mail,slow"]),
        ({"concurrency": 8}, ["--concurrency=8"]),
        ({"concurrency": "auto"}, ["--concurrency=auto"]),
        ({"pool": "gevent"}, ["--pool=gevent"]),
        ({"optimization": "fair"}, ["--optimization=fair"]),
        ({"prefetchMultiplier": 1}, ["--prefetch-multiplier=1"]),
        ({"disablePrefetch": True}, ["--disable-prefetch"]),
        ({"disablePrefetch": False}, []),
        ({"taskEvents": True}, ["--task-events"]),
        ({"maxTasksPerChild": 100}, ["--max-tasks-per-child=100"]),
        ({"maxMemoryPerChild": "200Mi"}, ["--max-memory-per-child=204800"]),
        ({"maxMemoryPerChild": "1Gi"}, ["--max-memory-per-child=1048576"]),
        ({"timeLimitSeconds": 60, "softTimeLimitSeconds": 50}, ["--time-limit=60", "--soft-time-limit=50"]),
        ({"args": ["--heartbeat-interval=10"]}, ["--heartbeat-interval=10"]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_field_becomes_one_argument(children, container, group, expected):
    usual = MINIMAL["spec"]["template"]["spec"]["containers"][0]["args"]
    name = group.get("name", "worker")
    found = children(celeryVersion="5.7", workers=[{"name": "worker", **group}])[f"Deployment/shop-{name}"]
    assert [argument for argument in container(found)["args"] if argument not in usual] == expected


def test_settings_come_last_and_sorted_as_json_so_that_celery_reads_each_as_what_it_is(arguments):
    common = {"task_acks_late": True, "result_expires": None, "a_text": "tür", "a_number": 0.5}
    own = {"broker_transport_options": {"b": 1, "a": [2]}}
    assert arguments({"args": ["--heartbeat-interval=9"], "settings": own}, settings=common) == [
        "--heartbeat-interval=9",
        "--",
        "a_number=(json)0.5",
        'a_text=(json)"tür"',
        'broker_transport_options=(json){"a":[2],"b":1}',
        "result_expires=(json)null",
        "task_acks_late=(json)true",
    ]


def test_a_soft_shutdown_is_a_setting_and_the_signal_that_starts_it(worker, container):
    found = container(worker({"softShutdownSeconds": 50}))
    assert found["args"][-2:] == ["--", "worker_soft_shutdown_timeout=(json)50"]
    assert {"name": "REMAP_SIGTERM", "value": "SIGQUIT"} in found["env"]


def test_a_scaled_group_leaves_the_number_of_replicas_to_who_scales(worker):
    found = worker({"scaling": {"maxReplicas": 3, "cpu": {"averageValue": "1"}}})
    assert "replicas" not in found["spec"]


def test_zero_replicas_are_zero(worker):
    assert worker({"replicas": 0})["spec"]["replicas"] == 0


def test_a_rollout_may_last_as_long_as_a_pod_may_take_to_start(worker):
    found = worker({"probe": {"startupTimeoutSeconds": 1200}})
    assert found["spec"]["progressDeadlineSeconds"] == 1500


def test_the_python_path_is_the_users(worker, container):
    env = [{"name": "PYTHONPATH", "value": "/app/src"}]
    assert container(worker({"env": env}))["env"] == env


def test_a_custom_pool_is_named_in_a_variable_which_is_where_celery_looks(worker, container):
    found = container(worker({"pool": "custom", "customPool": "shop.pools:Pool"}))
    assert "--pool=custom" in found["args"]
    assert found["env"] == [{"name": "CELERY_CUSTOM_WORKER_POOL", "value": "shop.pools:Pool"}]
