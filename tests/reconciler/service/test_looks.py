"""What wakes an app, and what is forgotten of it. The test tells the cache what watches would tell it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from reconciler.cluster.client import Cluster
from reconciler.cluster.live import App, Live
from reconciler.cluster.transport import Access, Transport
from reconciler.model import CELERY_APP, AppResult, Ref
from reconciler.reconcile import Memory
from reconciler.scaling.demand import Demanded
from reconciler.scaling.model import Backlog
from reconciler.service.glances import FIRST
from reconciler.service.looks import REPORT_SECONDS, Looks
from reconciler.service.metrics import Metrics
from reconciler.service.queue import Queue
from reconciler.service.settings import Settings
from reconciler.service.ticks import OLDEST_SECONDS

SHOP = Ref(CELERY_APP.api_version, CELERY_APP.name, "web", "shop")
READY = {"replicas": 3, "readyReplicas": 3, "observedGeneration": 1}
SETTINGS = {
    "kubeconfig": None,
    "context": None,
    "service_account": "/nowhere",
    "namespace": None,
    "selector": "",
    "request_timeout": 10.0,
    "broker_timeout": 5.0,
    "broker_hosts": "",
    "allow_cluster_trigger_authentication": False,
    "log_format": "text",
    "log_level": "INFO",
}


@pytest.fixture
def clock():
    return SimpleNamespace(seconds=100.0)


@pytest.fixture
def looks(clock, celery_app, live):
    """Return looks that know the app `shop` and its worker, and have nobody to look at."""
    looks = Looks(None, Settings(**SETTINGS), Metrics(), lambda: None)
    looks.cache.apps.take(celery_app())
    looks.cache.children["Deployment"].take(live(status=READY))
    looks.queue = Queue(lambda: clock.seconds, 8, lambda: None)
    return looks


@pytest.fixture
def woken(looks, clock):
    """Return a function: who is woken, and after how many seconds."""

    def woken():
        found = {}
        for seconds in (0, REPORT_SECONDS, 3600):
            clock.seconds += seconds
            found |= dict.fromkeys(iter(looks.queue.take, None), seconds)
        return found

    return woken


def at(version, **more):
    return {"metadata": {"resourceVersion": str(version)} | more.pop("metadata", {})} | more


@pytest.mark.parametrize(
    ("change", "ours", "after"),
    [
        pytest.param({"spec": {"replicas": 9}, "status": READY}, False, 0, id="a change wakes it at once"),
        pytest.param({"spec": {"replicas": 9}, "status": READY}, True, None, id="but not its own"),
        pytest.param({"status": READY | {"readyReplicas": 1}}, False, REPORT_SECONDS, id="a status is told soon"),
        pytest.param({"status": READY | {"readyReplicas": 1}}, True, None, id="but not with the answer to a write"),
        pytest.param({"status": READY}, False, None, id="what the server counts wakes nobody"),
        pytest.param(
            {"status": READY, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, False, 0, id="a deletion"
        ),
        pytest.param({"status": READY, "metadata": {"uid": "another"}}, False, 0, id="one that was made anew"),
    ],
)
def test_what_happens_to_a_child(looks, woken, live, change, ours, after):
    looks.cache.children["Deployment"].take(live(**at(8, **change)), ours=ours)
    assert woken() == ({} if after is None else {SHOP: after})


def test_a_status_that_is_not_reported_wakes_nobody(looks, woken, live):
    """Such as that of a HorizontalPodAutoscaler, which is written again and again."""
    store, kind = looks.cache.children["HorizontalPodAutoscaler"], "autoscaling/v2 HorizontalPodAutoscaler"
    store.take(live(kind, status={"currentReplicas": 3}), ours=True)
    store.take(live(kind, **at(8, status={"currentReplicas": 5})))
    assert woken() == {}


def test_a_child_that_is_gone_wakes_its_app(looks, woken, live):
    looks.cache.children["Deployment"].drop(live().ref)
    assert woken() == {SHOP: 0}


@pytest.mark.parametrize(
    ("more", "names"),
    [
        pytest.param({"owner": None}, {"shop"}, id="by its label alone"),
        pytest.param({"labels": {}}, {"shop"}, id="by its controller alone"),
        pytest.param({"owner": None, "labels": {"celeryproject.org/app": "mail"}}, {"mail"}, id="another's"),
        pytest.param({"labels": {"celeryproject.org/app": "mail"}}, {"shop", "mail"}, id="or both"),
        pytest.param({"owner": None, "labels": {"celeryproject.org/app": "gone"}}, set(), id="nobody's"),
    ],
)
def test_a_child_wakes_whose_it_may_be(looks, woken, live, celery_app, more, names):
    looks.cache.apps.take(celery_app(name="mail", uid="another"), ours=True)
    looks.cache.children["ConfigMap"].take(live("v1 ConfigMap", "any", **more))
    assert {app.name for app in woken()} == names


def test_a_child_that_changes_hands_wakes_both(looks, woken, live, celery_app):
    looks.cache.apps.take(celery_app(name="mail", uid="another"), ours=True)
    moved = live(owner=None, labels={"celeryproject.org/app": "mail"}, **at(8))
    looks.cache.children["Deployment"].take(moved)
    assert {app.name for app in woken()} == {"shop", "mail"}


@pytest.mark.parametrize(
    ("change", "ours", "after"),
    [
        pytest.param({"spec": {"image": "shop:2"}, "generation": 3}, False, 0, id="a change wakes it at once"),
        pytest.param({"labels": {"celeryproject.org/app": "x"}}, False, 0, id="also that of a label"),
        pytest.param({"status": {"reconciler": "b"}}, False, REPORT_SECONDS, id="a status that another writes, soon"),
        pytest.param({"status": {"reconciler": "a"}}, True, None, id="its own does not"),
    ],
)
def test_what_happens_to_an_app(looks, woken, celery_app, change, ours, after):
    spec, status = change.pop("spec", None), change.pop("status", None)
    looks.cache.apps.take(celery_app(spec, status, resourceVersion="8", **change), ours=ours)
    assert woken() == ({} if after is None else {SHOP: after})


@pytest.mark.parametrize("is_made_anew", [False, True], ids=["deleted", "deleted and made anew"])
def test_of_an_app_that_is_gone_nothing_is_remembered(looks, celery_app, is_made_anew):
    looks.memories["the-app"] = Memory()
    looks.metrics.record(AppResult(SHOP, problem="any"))
    if is_made_anew:
        looks.cache.apps.take(celery_app(uid="another", resourceVersion="8"))
    else:
        looks.cache.apps.drop(SHOP)
    assert looks.memories == {}
    assert looks.metrics.registry.get_sample_value("celery_reconcile_apps_failing") == 0


def test_nor_of_one_that_went_while_it_was_looked_at(looks, celery_app):
    looks.cluster = Cluster(
        Transport(Access("https://127.0.0.1:1", None, None), lambda: True, lambda *_: None)
    )  # asked nothing
    gone = celery_app({"reconcile": "Off"})
    looks.cache.apps.drop(SHOP)
    looks.look(gone, lambda: True)
    assert looks.memories == {}
    assert looks.metrics.registry.get_sample_value("celery_reconcile_apps_failing") == 0


def test_once_a_kind_can_be_listed_again_all_apps_are_woken(looks, woken, celery_app):
    looks.cache.apps.take(celery_app(name="mail", uid="another"), ours=True)
    looks.cache.children["Ingress"].recovered()
    assert {app.name for app in woken()} == {"shop", "mail"}


def test_a_store_makes_of_an_object_what_its_kind_is(looks, celery_app):
    assert isinstance(looks.cache.apps.get(SHOP), App)
    assert all(isinstance(live, Live) for live in looks.cache.of(celery_app()).values())


def test_nothing_is_decided_on_what_was_seen_long_ago_or_in_another_term(looks, celery_app):
    ticks = looks.ticks
    seen = ticks.see([celery_app()])
    assert ticks.of(celery_app()) is seen
    ticks._sights[celery_app().uid] = replace(seen, began=seen.began - OLDEST_SECONDS - 1)  # noqa: SLF001 (time passes)
    assert ticks.of(celery_app()) is None
    ticks.see([celery_app()])
    ticks.forget_all()
    assert ticks.of(celery_app()) is None


def test_a_message_that_was_glanced_at_counts_once_unless_the_tick_has_seen_one(looks, celery_app):
    app, ticks = celery_app(), looks.ticks
    key, seen = (app.uid, "worker"), ticks.see([app])
    for told, only in (({}, {key}), ({key: Demanded(Backlog(0, 0), {})}, {key}), ({key: FIRST}, None)):
        seen.demanded.update(told)
        ticks.glances._seen[key] = None  # noqa: SLF001 (it was glanced at)
        assert ticks.of(app).only == only
        assert ticks.of(app) is seen
