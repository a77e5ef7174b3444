"""What is there, kept: what a store makes of what it hears. Lists and watches themselves are in tests/cluster."""

import itertools
import threading

import pytest

from reconciler.cluster import cache as module
from reconciler.cluster.cache import Cache, Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import App, Live
from reconciler.model import CELERY_APP, CONFIG_MAP, DEPLOYMENT

LABELS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "another", "controller": True}


@pytest.fixture
def heard():
    return []


@pytest.fixture
def store(heard):
    """Return a store of Deployments that reaches no cluster."""
    store = Store(None, DEPLOYMENT, Live.of, Where(None, ""))
    store.heard = lambda *what: heard.append(what)
    return store


@pytest.fixture
def at(live):
    """Return a function: a Deployment as it was at a resourceVersion."""
    return lambda version, name="shop-worker", **more: live(
        name=name, metadata={"resourceVersion": str(version)} | more.pop("metadata", {}), **more
    )


@pytest.fixture
def hear(store):
    """Return a function: have the store hear of an event, as from its watch."""
    return store._hear  # noqa: SLF001 (what its thread does, without a cluster)


@pytest.fixture
def made(store):
    """Return a function: what the store makes of an object."""
    return store._kept_or_made  # noqa: SLF001 (as above)


@pytest.fixture
def listed(store):
    """Return a function: have the store take in a list of a version."""
    return store._replace


def since(store):
    """Return from which version on the store is to hear of changes."""
    return store._version  # noqa: SLF001 (as above)


def names(store):
    return sorted(live.ref.name for live in store.all())


# One object


def test_a_store_is_empty_and_says_that_it_is_not_listed_yet(store, live):
    assert (store.all(), store.by(("web", "shop")), store.get(live().ref)) == ([], [], None)
    assert store.problem == "Deployment list: not listed yet"


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        pytest.param(7, 8, 8, id="what is newer is taken"),
        pytest.param(7, 6, 7, id="what is older is not"),
        pytest.param(9, 10, 10, id="versions are compared as numbers"),
        pytest.param(10, 9, 10, id="both ways"),
        pytest.param(2**63, 2**63 + 1, 2**63 + 1, id="however large"),
    ],
)
def test_the_newest_of_an_object_is_kept(store, at, heard, before, after, kept):
    first, second = at(before), at(after)
    store.take(first)
    store.take(second)
    assert store.get(first.ref).resource_version == str(kept)
    assert heard == [(None, first, False)] + ([(first, second, False)] if after == kept else [])


def test_what_we_wrote_ourselves_is_told_apart(store, at, heard):
    first, ours, others = at(7), at(8), at(9)
    store.take(first)
    store.take(ours, ours=True)
    store.take(others)
    assert heard == [(None, first, False), (first, ours, True), (ours, others, False)]


def test_the_very_same_is_no_news(store, at, heard):
    one = at(7)
    store.take(one)
    store.take(one)
    assert len(heard) == 1


def test_an_echo_of_what_we_wrote_takes_nothing_back(store, at, heard):
    """A watch tells of an older state after the answer to our write has told of a newer one."""
    store.take(at(7))
    store.take(at(9, spec={"replicas": 9}), ours=True)
    store.take(at(8))
    assert store.get(at(7).ref).replicas == 9
    assert len(heard) == 2


def test_one_that_is_gone_is_told_as_it_was_and_once(store, at, heard):
    one = at(7)
    store.take(one)
    store.drop(one.ref)
    store.drop(one.ref)
    assert heard == [(None, one, False), (one, None, False)]
    assert (store.all(), store.by(("web", "shop"))) == ([], [])


def test_one_that_was_deleted_and_made_anew_is_another(store, at, heard):
    old, new = at(7), at(9, metadata={"uid": "another"})
    store.take(old)
    store.take(new)
    assert heard[-1] == (old, new, False)
    assert store.get(new.ref).uid == "another"


@pytest.mark.parametrize(
    ("version", "is_put"), [(7, True), (8, False), (6, False)], ids=["the same", "a newer one", "an older one"]
)
def test_another_form_is_put_only_of_the_same_state(store, at, heard, version, is_put):
    store.take(at(7))
    other = at(version).looked_into
    store.put(other)
    assert (store.get(other.ref) is other) is is_put
    assert len(heard) == 1


def test_nothing_is_put_that_is_gone(store, at):
    store.put(at(7).looked_into)
    assert store.all() == []


# What it is looked up by


def test_objects_are_found_by_their_label_and_by_their_controller(store, at):
    store.take(at(7))
    store.take(at(7, "shop-mail", owner=None))
    store.take(at(7, "shop-odd", labels=LABELS | {"celeryproject.org/app": "mail"}))
    assert [live.ref.name for live in store.by(("web", "shop"))] == ["shop-worker", "shop-mail"]
    assert [live.ref.name for live in store.by("the-app")] == ["shop-worker", "shop-odd"]
    assert store.by(("elsewhere", "shop")) == []


def test_one_whose_label_is_changed_is_found_by_the_new_one_alone(store, at):
    store.take(at(7, owner=None))
    store.take(at(8, owner=None, labels=LABELS | {"celeryproject.org/app": "mail"}))
    assert (store.by(("web", "shop")), len(store.by(("web", "mail")))) == ([], 1)


def test_one_that_is_dropped_is_found_by_nothing(store, at):
    for name in ("shop-a", "shop-b"):
        store.take(at(7, name))
    store.drop(at(7, "shop-a").ref)
    assert [live.ref.name for live in store.by(("web", "shop"))] == ["shop-b"]
    assert [live.ref.name for live in store.by("the-app")] == ["shop-b"]


# A list


def test_a_list_is_the_truth(store, listed, at, heard):
    gone, stays, changes = at(3, "gone"), at(4, "stays"), at(5, "changes")
    for each in (gone, stays, changes):
        store.take(each)
    heard.clear()
    new, changed = at(8, "new"), at(9, "changes")
    listed([stays, changed, new], "10")
    assert names(store) == ["changes", "new", "stays"]
    assert sorted(heard, key=str) == sorted(
        [(gone, None, False), (changes, changed, False), (None, new, False)], key=str
    )


def test_but_what_is_newer_than_the_list_stays(store, listed, at, heard):
    made, written = at(12, "made-since"), at(13, "written-since", spec={"replicas": 9})
    store.take(made, ours=True)
    store.take(written, ours=True)
    heard.clear()
    listed([at(5, "written-since")], "10")
    assert names(store) == ["made-since", "written-since"]
    assert store.get(written.ref).replicas == 9
    assert heard == []


def test_what_is_exactly_as_old_as_the_list_would_be_in_it(store, listed, at):
    store.take(at(10))
    listed([], "10")
    assert store.all() == []


def test_a_kind_that_is_there_no_longer_has_no_objects(store, listed, at):
    """The list of a kind whose CRD was removed is empty and of no version."""
    store.take(at(7))
    listed([], "")
    assert store.all() == []


def test_the_same_list_again_is_no_news(listed, made, manifest, heard):
    for _ in range(2):
        listed([made(manifest())], "10")
    assert len(heard) == 1


def test_what_has_not_changed_stays_what_it_is(store, made, manifest):
    """So that of thousands of objects nothing is read twice, and what was looked into stays so."""
    store.take(Live.of(manifest()).looked_into)
    [kept] = store.all()
    assert made(manifest()) is kept
    assert made(manifest(metadata={"resourceVersion": "8"})).packed == b""
    assert made(manifest(metadata={"resourceVersion": "8"}, spec={"replicas": 9})).packed


# A watch


def test_what_a_watch_tells_is_taken_in(store, hear, manifest, heard):
    story = [("ADDED", "8", 1), ("MODIFIED", "9", 2), ("BOOKMARK", "12", 3), ("DELETED", "13", 4)]
    for event, version, replicas in story:
        hear(event, manifest(metadata={"resourceVersion": version}, spec={"replicas": replicas}))
        assert since(store) == version
    assert [(old and old.replicas, new and new.replicas) for old, new, _ in heard] == [(None, 1), (1, 2), (2, None)]


def test_a_bookmark_is_of_no_object(store, hear):
    hear("BOOKMARK", {"kind": "Deployment", "metadata": {"resourceVersion": "99"}})
    assert (store.all(), since(store)) == ([], "99")


def test_one_that_is_no_longer_ours_is_gone(manifest):
    """As a pod whose owner was changed: what is made of it is None."""
    store = Store(None, DEPLOYMENT, lambda found, _: Live.of(found) if found["spec"] else None, Where(None, ""))
    for version, spec in (("7", {"replicas": 3}), ("8", {})):
        store._hear("MODIFIED", manifest(metadata={"resourceVersion": version}, spec=spec))  # noqa: SLF001 (as above)
    assert store.all() == []


# What goes wrong


def test_what_cannot_be_listed_is_told_and_what_was_known_stays(store, at):
    """Here it is a fault of our own: there is no cluster at all. It must end no thread."""
    store.take(at(7))
    store.problem = ""
    store.refresh()
    assert store.problem == "Deployment list: AttributeError"
    assert names(store) == ["shop-worker"]


def test_pauses_grow_to_the_longest():
    seconds = [module.pause_seconds(failures, 60) for failures in (0, 1, 2, 3, 6, 7, 5000)]
    assert seconds[0] == 0
    assert all(
        0.9 * exact <= found <= 1.1 * exact for found, exact in zip(seconds[1:], [1, 2, 4, 32, 60, 60], strict=True)
    )


def test_pauses_are_not_all_the_same():
    assert len({module.pause_seconds(3, 60) for _ in range(20)}) > 1


def test_from_many_threads_the_newest_wins_and_the_index_is_whole(store, at):
    versions = [at(version, name) for version in range(1, 60) for name in ("shop-a", "shop-b")]
    threads = [
        threading.Thread(target=lambda offset=offset: [store.take(each) for each in versions[offset::4]])
        for offset in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {live.resource_version for live in store.all()} == {"59"}
    assert sorted(live.ref.name for live in store.by(("web", "shop"))) == ["shop-a", "shop-b"]


# All kinds


@pytest.fixture
def cache():
    kinds = (DEPLOYMENT, CONFIG_MAP)
    stores = {kind.name: Store(None, kind, Live.of, Where(None, "")) for kind in kinds}
    return Cache(Store(None, CELERY_APP, App.of, Where(None, "")), stores)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        pytest.param({}, True, id="labelled and controlled"),
        pytest.param({"owner": None}, True, id="only labelled"),
        pytest.param({"owner": OTHER}, True, id="labelled but controlled by another: to be seen, not to be touched"),
        pytest.param({"labels": LABELS | {"celeryproject.org/app": "x"}}, True, id="controlled but labelled otherwise"),
        pytest.param({"owner": OTHER, "labels": LABELS | {"celeryproject.org/app": "x"}}, False, id="neither"),
        pytest.param(
            {"owner": None, "metadata": {"namespace": "elsewhere"}}, False, id="labelled in another namespace"
        ),
    ],
)
def test_an_apps_children_are_found_by_label_and_by_controller(cache, celery_app, live, more, found):
    one = live(**more)
    cache.children["Deployment"].take(one)
    assert cache.of(celery_app()) == ({one.ref: one} if found else {})


def test_in_scale_mode_by_the_apps_own_label(cache, celery_app, live):
    app = celery_app({"reconcile": "Scale"}, name="prod-shop", labels={"celeryproject.org/app": "shop"})
    one = live(name="prod-shop-worker", owner=None)
    cache.children["Deployment"].take(one)
    assert cache.of(app) == {one.ref: one}


def test_children_of_all_kinds_are_found(cache, celery_app, live):
    worker, probe = live(), live("v1 ConfigMap", "shop-probe")
    cache.children["Deployment"].take(worker)
    cache.children["ConfigMap"].take(probe)
    assert cache.of(celery_app()) == {worker.ref: worker, probe.ref: probe}


def test_apps_are_found_by_what_their_children_are_labelled(cache, celery_app):
    one = celery_app({"reconcile": "Scale"}, name="a", labels={"celeryproject.org/app": "shop"})
    other = celery_app(name="shop", uid="another")
    for app in (one, other, celery_app(name="mail", uid="third")):
        cache.apps.take(app)
    assert cache.apps.by(("web", "shop")) == [one, other]


def test_the_kinds_that_could_not_be_listed_are_told(cache):
    for store in itertools.islice(cache.stores, 1, None):
        store.problem = ""
    assert cache.unreadable == {"Deployment": "Deployment list: not listed yet"}
