"""reconciler/service/metrics.py: what Prometheus reads."""

from prometheus_client import generate_latest

from reconciler.model import CELERY_APP, DEPLOYMENT, SERVICE, AppResult, Outcome, Ref, StepResult
from reconciler.service.metrics import Metrics


def ref(kind, name):
    return Ref(kind.api_version, kind.name, "shop", name)


def app(name, *steps, problem="", contradicted=0, **conditions):
    return AppResult(ref(CELERY_APP, name), steps, conditions, problem, contradicted=contradicted)


def shown(metrics):
    """Return the samples of ours, as text."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    ours = (line for line in lines if line.startswith("celery_reconcile_") and "_created" not in line)
    return [line.removeprefix("celery_reconcile_") for line in ours if "_bucket" not in line]


def test_looks_are_told():
    metrics = Metrics()
    steps = [
        StepResult(ref(DEPLOYMENT, "shop-worker"), Outcome.CREATED),
        StepResult(ref(DEPLOYMENT, "shop-mail"), Outcome.CONFIGURED),
        StepResult(ref(SERVICE, "shop-flower"), Outcome.FAILED, "409"),
        StepResult(ref(SERVICE, "shop-other"), Outcome.SKIPPED, "not ours"),
    ]
    metrics.request("list", "200")
    metrics.watch(lambda: True, lambda: 7)
    metrics.count(lambda: {"running": 5, "waiting": 2}, lambda: {"Ingress": "Ingress list: 403"})
    metrics.record(app("shop", *steps, Ready="False", Stalled="True"))
    metrics.record(app("mail", Ready="True"))
    metrics.record(app("shop", Ready="True"))
    metrics.record(app("mail", problem="503", contradicted=2, Ready="True"))
    metrics.ended("done", 0.5)
    assert sorted(shown(metrics)) == sorted(
        [
            'looks_total{result="done"} 1.0',
            "look_duration_seconds_count 1.0",
            "look_duration_seconds_sum 0.5",
            'api_requests_total{code="200",verb="list"} 1.0',
            'drift_total{kind="Deployment"} 2.0',
            'steps_total{kind="Deployment",outcome="created"} 1.0',
            'steps_total{kind="Deployment",outcome="configured"} 1.0',
            'steps_total{kind="Service",outcome="failed"} 1.0',
            'steps_total{kind="Service",outcome="skipped"} 1.0',
            'apps{condition="Ready",status="True"} 2.0',
            "apps_failing 1.0",
            "contradicted 2.0",
            'rollouts{state="running"} 5.0',
            'rollouts{state="waiting"} 2.0',
            'unreadable{kind="Ingress"} 1.0',
            "leader 1.0",
            "queue_depth 7.0",
        ]
    )


def test_whether_it_leads_and_what_is_unreadable_is_asked_when_prometheus_asks():
    metrics, leads, unreadable = Metrics(), [False], {}
    metrics.watch(lambda: leads[0], lambda: 0)
    metrics.count(dict, lambda: unreadable)
    leads[0], unreadable["Service"] = True, "any"
    assert {"leader 1.0", 'unreadable{kind="Service"} 1.0'} <= set(shown(metrics))


def test_what_was_decided_of_a_group_is_told_until_it_is_gone():
    metrics = Metrics()
    metrics.record(AppResult(ref(CELERY_APP, "shop"), scaling={"mail": {"replicas": 3, "queue": 12}}))
    labels = 'app="shop",app_namespace="shop",group="mail"'
    told = {line for line in shown(metrics) if line.startswith("scaling")}
    assert told == {f'scaling{{{labels},value="replicas"}} 3.0', f'scaling{{{labels},value="queue"}} 12.0'}
    metrics.record(AppResult(ref(CELERY_APP, "shop")))
    assert not [line for line in shown(metrics) if line.startswith("scaling")]


def test_of_an_app_that_is_gone_nothing_is_told():
    metrics = Metrics()
    metrics.record(app("shop", problem="503", Ready="True"))
    metrics.forget(ref(CELERY_APP, "shop"))
    metrics.forget(ref(CELERY_APP, "never-seen"))
    assert [line for line in shown(metrics) if line.startswith("apps")] == ["apps_failing 0.0"]
