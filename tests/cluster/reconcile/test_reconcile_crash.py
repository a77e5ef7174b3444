"""Killed after any write, it comes to the same end when it is started again."""

import itertools

import pytest

pytest_plugins = "reconciling"

WHOLE = {
    "workers": [
        {"name": "worker", "queues": ["celery"], "replicas": 2},
        {"name": "mail", "queues": ["mail"], "disruptionBudget": {"maxUnavailable": 1}},
    ],
    "beat": {"storage": {"size": "1Gi"}},
    "flower": {},
}
CHANGED = WHOLE | {"image": "registry.example.com/shop:2", "env": [{"name": "MORE", "value": "1"}]}
LESS = {"workers": [{"name": "worker", "queues": ["celery"], "replicas": 2}]}
SCALED = {"maxReplicas": 9, "cpu": {"averageValue": "100m"}}


def nothing(shop, reconciler):
    pass


def whole(shop, reconciler):
    shop.take(**WHOLE)
    reconciler.run()


def scaled(shop, reconciler):
    shop.take(workers=[{"name": "worker", "queues": ["celery"], "scaling": SCALED}])
    reconciler.run()


def in_scale_mode(shop, reconciler):
    whole(shop, reconciler)
    shop.take(**WHOLE, reconcile="Scale")
    reconciler.run()
    shop.cluster.kubectl("delete", "service", "shop-flower")


def edited(shop):
    shop.cluster.kubectl("set", "env", "deployment/shop-worker", "BY_HAND=1")
    shop.cluster.kubectl("set", "env", "deployment/shop-mail", "BY_HAND=1")
    shop.cluster.kubectl("delete", "service", "shop-flower")


CASES = {
    "create": (nothing, lambda shop: shop.take(**WHOLE)),
    "update": (whole, lambda shop: shop.take(**CHANGED)),
    "prune": (whole, lambda shop: shop.take(**LESS)),
    "update and prune": (whole, lambda shop: shop.take(**LESS, image="registry.example.com/shop:2")),
    "heal": (whole, edited),
    "from Scale to Apply": (in_scale_mode, lambda shop: shop.take(**CHANGED, reconcile="Apply")),
    "from Apply to Scale": (whole, lambda shop: shop.take(**WHOLE, reconcile="Scale")),
    "scaling turned on": (
        whole,
        lambda shop: shop.take(**CHANGED | {"workers": [{"name": "worker", "queues": ["celery"], "scaling": SCALED}]}),
    ),
    "scale": (
        scaled,
        lambda shop: shop.take(
            workers=[{"name": "worker", "queues": ["celery"], "scaling": SCALED | {"minReplicas": 4}}]
        ),
    ),
}


def at_rest(reconciler):
    """Look until nothing is left to do; return how many that took."""
    for number in itertools.count():
        reconciler.run()
        if not reconciler.written.keys() - {"status", "create"}:
            return number
    raise AssertionError


@pytest.mark.parametrize(("prepare", "change"), CASES.values(), ids=CASES)
def test_killed_after_any_write_it_converges(scenes, prepare, change):
    shop, reconciler = next(scenes)
    prepare(shop, reconciler)
    change(shop)
    at_rest(reconciler)
    expected = shop.children()
    for writes in itertools.count():
        shop, reconciler = next(scenes)
        prepare(shop, reconciler)
        change(shop)
        ended = reconciler.survives(writes)
        assert at_rest(reconciler) <= 1
        assert shop.children() == expected, f"killed after {writes} writes"
        reconciler.run()
        assert reconciler.outcomes() == {}
        if ended:
            break
    assert writes > 0


def test_killed_between_the_two_writes_of_a_healing_nothing_is_lost(shop, reconciler):
    """What was added by hand is made ours first; the apply that removes it comes in the next life."""
    whole(shop, reconciler)
    before = shop.children()
    shop.cluster.kubectl("set", "env", "deployment/shop-worker", "BY_HAND=1")
    edited_ = shop.children()
    assert not reconciler.survives(1)
    assert shop.children() == edited_
    reconciler.run()
    assert shop.children() == before


def test_once_it_may_not_write_any_more_it_does_not(shop, reconciler):
    """The lease was lost in the middle of a look."""
    shop.take(**WHOLE)
    assert not reconciler.survives(3)
    assert len(shop.names()) == 3
    assert shop.live["status"] == {"observedGeneration": -1}
