"""Which groups of an app are ours to scale, and by what."""

import pytest

from reconciler.scaling import group
from render import schema
from render.errors import InvalidInput

SCALING = {"maxReplicas": 5, "queue": {"averageLength": 4}}


def scaled(app):
    return group.scaled(app, schema.load())


def test_only_groups_of_our_own_engine_are_ours_to_scale(celery_app):
    workers = [
        {"name": "fixed", "queues": ["fixed"], "replicas": 2},
        {"name": "ours", "queues": ["ours"], "scaling": SCALING},
        {"name": "kedas", "queues": ["kedas"], "scaling": SCALING | {"engine": "KEDA"}},
        {"name": "ours-too", "queues": ["ours-too"], "scaling": {"maxReplicas": 5, "cpu": {"averageValue": "1"}}},
    ]
    app = celery_app({"broker": {"url": "redis://redis/1"}, "workers": workers})
    assert app.scales
    assert [each.name for each in scaled(app)] == ["ours", "ours-too"]
    assert not celery_app({"workers": workers[:1]}).scales


def test_a_group_knows_its_queues_its_broker_and_its_settings(celery_app):
    options = {"broker_transport_options": {"visibility_timeout": 60}}
    worker = {"name": "mail", "queues": ["mail", "news"], "scaling": SCALING, "settings": {"control_exchange": "shop"}}
    secret = {"secretKeyRef": {"name": "shop-broker", "key": "url"}}
    [found] = scaled(celery_app({"broker": {"urlFrom": secret}, "settings": options, "workers": [worker]}))
    assert (found.queues, found.url) == ({"mail", "news"}, group.SecretKey("shop-broker", "url"))
    assert found.settings == options | {"control_exchange": "shop"}


def test_a_group_knows_the_parts_that_lead_to_its_broker(celery_app):
    def ref(key):
        return {"secretKeyRef": {"name": "redis", "key": key}}

    broker = {
        "url": "sentinel://shop%40@s0;sentinel://s1",
        "passwordFrom": ref("password"),
        "sentinel": {"masterName": "shop", "passwordFrom": ref("sentinel")},
        "tls": {"caFrom": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}, "verify": "CA"},
    }
    [found] = scaled(
        celery_app({"broker": broker, "workers": [{"name": "mail", "queues": ["mail"], "scaling": SCALING}]})
    )
    assert found.parts == group.Parts(
        username="shop@",
        password=group.SecretKey("redis", "password"),
        sentinel_master="shop",
        sentinel_password=group.SecretKey("redis", "sentinel"),
        verify="CA",
        files=(("ca", group.SecretKey("ca", "ca.crt", "ConfigMap")),),
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {"broker": {"url": "redis://redis/1"}, "settings": {"task_default_queue": "shop"}},
            ({"shop"}, "redis://redis/1"),
            id="the queue that the settings name",
        ),
        pytest.param(
            {"scaling": {"maxReplicas": 5, "cpu": {"averageValue": "1"}}}, (set(), None), id="none is counted"
        ),
    ],
)
def test_without_queues_a_group_has_the_default_queue(celery_app, spec, expected):
    worker = {"name": "worker", "scaling": spec.pop("scaling", SCALING)}
    [found] = scaled(celery_app({**spec, "workers": [worker]}))
    assert (found.queues, found.url) == expected


def test_an_invalid_app_has_no_groups_to_scale(celery_app):
    with pytest.raises(InvalidInput):
        scaled(celery_app({"workers": [{"name": "worker", "queues": ["celery"], "scaling": {"maxReplicas": 0}}]}))
