"""One look at one app, where no cluster has to be reached: what is remembered, and when it is looked at again."""

import pytest

from reconciler import reconcile
from reconciler.apply import desired
from reconciler.apply.fights import Fight
from reconciler.apply.known import Known
from reconciler.cluster.cache import Cache, Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import App, Live
from reconciler.model import CELERY_APP, CHILD_KINDS, POD, Verdict
from reconciler.reconcile import Memory, World
from reconciler.scaling import usage
from render import schema

SCHEMA = schema.load()


@pytest.fixture
def cache():
    stores = {kind.name: Store(None, kind, Live.of, Where(None, "")) for kind in CHILD_KINDS}
    for store in stores.values():
        store.problem = ""
    return Cache(Store(None, CELERY_APP, App.of, Where(None, "")), stores)


@pytest.fixture
def looked(cache, moment):
    """Return a function: a look so many seconds after noon, that writes nothing and has nobody to ask."""

    def looked(app, memory=Memory(), seconds=0):  # noqa: B008 (a value)
        pods = Store(None, POD, usage.seen, Where())
        world = World(None, cache, SCHEMA, None, pods, moment(seconds), installation="reconcile/a", dry_run=True)
        return reconcile.look(world, app, memory)

    return looked


@pytest.fixture
def at_rest(cache, celery_app):
    """Return what is remembered of an app with nothing left to do."""
    app = celery_app()
    for manifest in desired.children(app, SCHEMA):
        name = manifest["metadata"]["name"]
        server = {"uid": f"uid of {name}", "resourceVersion": "7", "generation": 1}
        cache.children[manifest["kind"]].take(Live.of(manifest | {"metadata": manifest["metadata"] | server}))
    return Memory(Known(app.generation).resting(cache.of(app)))


@pytest.fixture
def fought(at_rest, cache, celery_app, moment):
    """Return a function: the same, but that one of its children was set back so often, at noon."""

    def fought(count):
        ref = next(iter(cache.of(celery_app())))
        fight = Fight(frozenset({"data.a"}), "keel", moment(0).wall, moment(0).steady, count)
        return Memory(Known(at_rest.known.generation, {}, at_rest.known.rest, fights={ref: fight}))

    return fought


def test_an_app_with_nothing_left_to_do_is_looked_at_when_something_happens(looked, at_rest, celery_app):
    found = looked(celery_app(), at_rest)
    assert (found.due, found.result.steps, found.result.problem) == (None, (), "")
    assert found.memory.known == at_rest.known


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("seconds", [301, 899, 901, 100_000])
def test_an_app_at_rest_is_not_looked_at_again_and_again_though_there_was_a_fight(
    looked, fought, celery_app, moment, count, seconds
):
    """What is due has to be in the future: else it would be looked at without end."""
    found = looked(celery_app(), fought(count), seconds)
    assert found.due is None or found.due > moment(seconds).steady


@pytest.mark.parametrize("count", [1, 3])
def test_a_fight_of_an_app_at_rest_is_forgotten_too(looked, fought, celery_app, count):
    assert len(looked(celery_app(), fought(count), 899).memory.known.fights) == 1
    found = looked(celery_app(), fought(count), 900)
    assert found.memory.known.fights == {}
    assert found.result.contradicted == 0


@pytest.mark.parametrize(("count", "contradicted"), [(2, 0), (3, 1)])
def test_a_child_is_contradicted_once_it_was_set_back_more_than_twice(looked, fought, celery_app, count, contradicted):
    assert looked(celery_app(), fought(count), 1).result.contradicted == contradicted


@pytest.mark.parametrize("reconcile_mode", ["Scale", "Off"])
def test_what_is_not_ours_to_apply_is_forgotten(looked, fought, celery_app, reconcile_mode):
    found = looked(celery_app({"reconcile": reconcile_mode}), fought(7))
    assert (found.memory.known, found.due) == (Known(), None)


def test_a_fault_of_our_own_is_the_apps_alone_and_is_tried_again(looked, celery_app, moment):
    """There is no cluster to ask what creating its children would give."""
    found = looked(celery_app())
    assert found.memory.verdict.reason == "InternalError"
    assert found.result.problem == found.memory.verdict.message
    assert found.due == moment(5).steady


def test_an_invalid_app_of_which_nothing_is_to_be_scaled_says_so_all_the_same(looked, celery_app):
    assert looked(celery_app({"image": ""})).memory.verdict.reason == "InvalidSpec"


def test_of_an_app_that_is_invalid_no_group_is_scaled(looked, celery_app):
    worker = {"name": "worker", "queues": ["celery"], "scaling": {"maxReplicas": 0, "queue": {"averageLength": 4}}}
    found = looked(celery_app({"reconcile": "Scale", "workers": [worker]}))
    assert found.memory.verdict.reason == "InvalidSpec"
    assert found.memory.scaling.scaled.groups == ()


# Another reconciler


def rival(celery_app, name):
    return celery_app(status={"reconciler": name} if name else {})


@pytest.mark.parametrize(
    ("name", "reported", "others"),
    [
        pytest.param("reconcile/b", True, ["the reconciler reconcile/b"], id="another has written since we have"),
        pytest.param("reconcile/b", False, [], id="another had written before we ever did"),
        pytest.param("reconcile/a", True, [], id="it was us"),
        pytest.param("", True, [], id="nobody says who it was"),
    ],
)
def test_two_reconcilers_notice_each_other(looked, at_rest, celery_app, name, reported, others):
    found = looked(rival(celery_app, name), Memory(at_rest.known, reported=reported))
    assert [fight.others for fight in found.memory.known.fights.values()] == others


def test_who_was_contradicted_writes_its_status_again_once_it_is_time_and_not_before(looked, at_rest, celery_app):
    """The other may be long gone: its last word must not stand for ever. Each time it is overwritten counts."""
    app, memory, counts = rival(celery_app, "reconcile/b"), Memory(at_rest.known, reported=True), []
    for seconds in (0, 1, 2, 3, 6, 7, 10, 16, 17, 100):
        memory = looked(app, memory, seconds).memory
        counts.append(memory.known.fights[app.ref].count)
    assert counts == [1, 2, 3, 3, 3, 4, 4, 4, 5, 6]


def test_a_verdict_is_remembered_so_that_it_is_logged_once(looked, celery_app, caplog):
    app = celery_app({"image": ""})
    first = looked(app)
    looked(app, first.memory)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert isinstance(first.memory.verdict, Verdict)
