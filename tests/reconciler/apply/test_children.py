"""Applying one app where the server need not be asked: what is looked at again, and when. No cluster is reached."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.apply import children, desired
from reconciler.apply.children import Scene
from reconciler.apply.known import Known
from reconciler.cluster.cache import Cache, Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import App, Live
from reconciler.model import CELERY_APP, CHILD_KINDS
from render import schema

EXAMPLES = Path(__file__).parents[3] / "examples"
SCHEMA = schema.load()
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def owned(value):
    """Return the managedFields of one who has applied all of a value."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": owned(below) for key, below in value.items()}


def there(manifest, version="7", **more):
    """Return a child as the server keeps it, applied by us and nobody else."""
    identity = ("apiVersion", "kind", "metadata")
    fields = owned({key: value for key, value in manifest.items() if key not in identity})
    entry = {"manager": "celery-reconcile", "operation": "Apply", "apiVersion": manifest["apiVersion"]}
    server = {"uid": f"uid of {manifest['metadata']['name']}", "resourceVersion": version, "generation": 1}
    metadata = manifest["metadata"] | server | {"managedFields": [entry | {"fieldsV1": fields}]} | more
    return Live.of(manifest | {"metadata": metadata})


class Meddling(dict):
    """Children by kind; whoever looks a kind up lets something happen first."""

    before: dict

    def __getitem__(self, kind):
        self.before.pop(kind, lambda: None)()
        return super().__getitem__(kind)


@pytest.fixture
def cache():
    stores = Meddling({kind.name: Store(None, kind, Live.of, Where(None, "")) for kind in CHILD_KINDS})
    stores.before = {}
    for store in stores.values():
        store.problem = ""
    return Cache(Store(None, CELERY_APP, App.of, Where(None, "")), stores)


@pytest.fixture
def scene(cache, moment):
    """Return a function: what applying reaches out to, so many seconds after noon."""
    return lambda seconds=0: Scene(None, cache, SCHEMA, moment(seconds), dry_run=False, may_roll=lambda _: True)


@pytest.fixture
def wanted(celery_app, cache):
    """Return the manifests of the app's children, by kind, which are all there."""
    manifests = {each["kind"]: each for each in desired.children(celery_app(), SCHEMA)}
    assert list(manifests) == ["ConfigMap", "Deployment"]
    for kind, manifest in manifests.items():
        cache.children[kind].take(there(manifest))
    return manifests


@pytest.mark.usefixtures("wanted")
def test_a_process_that_knows_nothing_asks_nothing_about_children_that_are_as_they_shall_be(scene, celery_app, cache):
    known, results = children.applied(scene(), celery_app(), Known())
    assert (results, known.verdict, known.due(scene().now)) == ((), None, None)
    assert known.is_at_rest(celery_app(), cache.of(celery_app()))


@pytest.mark.usefixtures("wanted")
def test_what_was_looked_into_is_not_kept_unpacked(scene, celery_app, cache):
    children.applied(scene(), celery_app(), Known())
    assert [live.packed for live in cache.of(celery_app()).values()] == [b"", b""]


@pytest.mark.usefixtures("wanted")
def test_an_invalid_app_is_left_as_it_is_until_it_is_changed(scene, celery_app, cache):
    app = celery_app({"image": ""}, generation=3)
    known, results = children.applied(scene(), app, Known())
    assert (results, known.verdict.reason, known.verdict.is_stalled) == ((), "InvalidSpec", True)
    assert known.is_at_rest(app, cache.of(app))


@pytest.mark.parametrize("example", ["shop", "rabbitmq"])
def test_so_it_is_with_children_of_every_kind(scene, cache, celery_app, example):
    app = celery_app(YAML(typ="safe").load(EXAMPLES / example / "app.yaml")["spec"])
    for manifest in desired.children(app, SCHEMA):
        cache.children[manifest["kind"]].take(there(manifest))
    known, results = children.applied(scene(), app, Known())
    assert (results, known.verdict) == ((), None)


# What holds a child back


@pytest.mark.usefixtures("wanted")
def test_a_kind_that_cannot_be_listed_holds_back_what_needs_it_and_nobody_else(scene, celery_app, cache):
    cache.children["ConfigMap"].problem = "ConfigMap list: 503"
    known, results = children.applied(scene(), celery_app(), Known())
    assert [(each.ref.kind, each.outcome, each.message) for each in results] == [
        ("ConfigMap", "skipped", "ConfigMap list: 503")
    ]
    assert (known.verdict.reason, known.verdict.message) == ("ListFailed", "ConfigMap list: 503")
    assert not known.is_at_rest(celery_app(), cache.of(celery_app()))


@pytest.mark.usefixtures("wanted")
def test_a_kind_that_no_child_is_of_holds_back_nothing(scene, celery_app, cache):
    cache.children["Ingress"].problem = "Ingress list: 403"
    assert children.applied(scene(), celery_app(), Known()).known.verdict is None


@pytest.mark.usefixtures("wanted")
def test_once_a_kind_can_be_listed_again_nothing_is_waited_for(scene, celery_app, cache):
    """Every app is woken then (Store.recovered): it must not wait for a back-off that the outage has made long."""
    known, store = Known(), cache.children["Deployment"]
    store.problem = "Deployment list: 503"
    for seconds in (0, 5, 15, 35, 75, 155):
        known = children.applied(scene(seconds), celery_app(), known).known
    store.problem = ""
    known, results = children.applied(scene(156), celery_app(), known)
    assert (results, known.verdict, known.due(scene().now)) == ((), None, None)


def test_once_that_is_gone_which_was_in_the_way_nothing_is_waited_for(scene, celery_app, cache, wanted):
    """The watch wakes the app then: it must not wait for a back-off that a finalizer has made long."""
    known, store = Known(), cache.children["Deployment"]
    store.take(there(wanted["Deployment"], "8", **DELETED))
    for seconds in (0, 5, 15, 35, 75, 155):
        known = children.applied(scene(seconds), celery_app(), known).known
        assert known.verdict.reason == "WaitingForDeletion"
    store.take(there(wanted["Deployment"], "9", uid="another"))
    known, results = children.applied(scene(156), celery_app(), known)
    assert (results, known.verdict, known.due(scene().now)) == ((), None, None)


@pytest.mark.usefixtures("wanted")
def test_what_is_not_to_be_tried_yet_is_not_tried(scene, celery_app, cache):
    """Without a cluster a second try would crash."""
    app = celery_app()
    cache.children["Deployment"].drop(next(iter(cache.children["Deployment"].all())).ref)
    known = Known()
    with pytest.raises(AttributeError):  # it asks what creating it would give
        children.applied(scene(), app, known)
    known = known.crashed(app, AttributeError("x"), scene().now)
    assert children.applied(scene(4), app, known) == (known, ())
    with pytest.raises(AttributeError):
        children.applied(scene(5), app, known)


# What happens meanwhile


def test_what_changes_during_a_look_is_not_at_rest(scene, celery_app, cache, wanted):
    """The watch tells it once, and wakes the app: the look after this one must not take it for what it has seen."""
    drifted = there(wanted["ConfigMap"] | {"data": {"by": "hand"}}, "8")
    cache.children.before["Deployment"] = lambda: cache.children["ConfigMap"].take(drifted)
    known, _ = children.applied(scene(), celery_app(), Known())
    assert cache.of(celery_app())[drifted.ref] is drifted
    assert not known.is_at_rest(celery_app(), cache.of(celery_app()))
