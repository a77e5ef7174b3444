"""reconciler/service/metrics.py: what Prometheus reads."""

from prometheus_client import generate_latest

from reconciler.model import CELERY_APP, DEPLOYMENT, SERVICE, AppResult, Outcome, PassResult, Ref, StepResult
from reconciler.service.metrics import Metrics


def ref(kind, name):
    return Ref(kind.api_version, kind.name, "shop", name)


def app(name, *steps, problem="", **conditions):
    return AppResult(ref(CELERY_APP, name), steps, conditions, problem)


def shown(metrics):
    """Return the samples of ours, as text."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    ours = (line for line in lines if line.startswith("celery_reconcile_") and "_created" not in line)
    return [line.removeprefix("celery_reconcile_") for line in ours if "_bucket" not in line]


def test_a_pass_is_told():
    metrics = Metrics()
    steps = [
        StepResult(ref(DEPLOYMENT, "shop-worker"), Outcome.CREATED),
        StepResult(ref(DEPLOYMENT, "shop-mail"), Outcome.CONFIGURED),
        StepResult(ref(SERVICE, "shop-flower"), Outcome.FAILED, "409"),
        StepResult(ref(SERVICE, "shop-other"), Outcome.SKIPPED, "not ours"),
    ]
    metrics.request("list", "200")
    metrics.leads(lambda: True)
    metrics.record(PassResult((app("shop", *steps, Ready="False", Stalled="True"), app("mail", Ready="True")), None))
    metrics.record(PassResult((app("shop", Ready="True"), app("mail", problem="503", Ready="True")), None))
    metrics.ended("done", 0.5)
    assert shown(metrics) == [
        'passes_total{result="done"} 1.0',
        "pass_duration_seconds_count 1.0",
        "pass_duration_seconds_sum 0.5",
        'api_requests_total{code="200",verb="list"} 1.0',
        'drift_total{kind="Deployment"} 2.0',
        'steps_total{kind="Deployment",outcome="created"} 1.0',
        'steps_total{kind="Deployment",outcome="configured"} 1.0',
        'steps_total{kind="Service",outcome="failed"} 1.0',
        'steps_total{kind="Service",outcome="skipped"} 1.0',
        'apps{condition="Ready",status="True"} 2.0',
        "apps_failing 1.0",
        "leader 1.0",
    ]


def test_whether_it_leads_is_asked_when_prometheus_asks():
    metrics, leads = Metrics(), [False]
    metrics.leads(lambda: leads[0])
    leads[0] = True
    assert "leader 1.0" in shown(metrics)


def test_what_was_decided_of_a_group_is_told_until_it_is_gone():
    metrics = Metrics()
    scaling = {"mail": {"replicas": 3, "queue": 12}}
    metrics.record(PassResult((AppResult(ref(CELERY_APP, "shop"), scaling=scaling),), None))
    labels = 'app="shop",group="mail",namespace="shop"'
    told = {line for line in shown(metrics) if line.startswith("scaling")}
    assert told == {f'scaling{{{labels},value="replicas"}} 3.0', f'scaling{{{labels},value="queue"}} 12.0'}
    metrics.record(PassResult((AppResult(ref(CELERY_APP, "shop")),), None))
    assert not [line for line in shown(metrics) if line.startswith("scaling")]
