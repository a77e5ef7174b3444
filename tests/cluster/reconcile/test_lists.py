"""What a list of the real API server does to what was known: when it hangs, comes late, or is of an older history."""

import json
import threading

import fault_proxy
import pytest
from fault_proxy import answer

from reconciler.cluster import client
from reconciler.cluster.cache import Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import Live
from reconciler.cluster.transport import Transport
from reconciler.model import CONFIG_MAP

LABELS = {"celeryproject.org/app": "shop"}


@pytest.fixture
def store(cluster, proxy, tmp_path):
    """Return what is known of the ConfigMaps of `shop`, through the proxy."""
    (tmp_path / "token").write_text(cluster.token)
    (tmp_path / "ca.crt").write_bytes((cluster.folder / "tls.crt").read_bytes())
    access = client.in_cluster(f"https://127.0.0.1:{proxy.server_port}", tmp_path)
    ours = client.Cluster(Transport(access, lambda: True, lambda _verb, _code: None, silence_seconds=30))
    where = Where(cluster.namespace, "celeryproject.org/app=shop")
    return Store(ours, CONFIG_MAP, Live.of, where)


@pytest.fixture
def note(cluster):
    """Return a function: a ConfigMap of this text is there, as it is."""

    def note(text="hello", name="note"):
        metadata = {"name": name, "namespace": cluster.namespace, "labels": LABELS}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}
        cluster.apply(manifest, force="true").accepted()
        return cluster.get(manifest)

    return note


class Held:
    """A fault: an answer that is given only when the test says so."""

    def __init__(self, fault=fault_proxy.forward):
        self.asked, self.may_go = threading.Event(), threading.Event()
        self._fault = fault

    def __call__(self, exchange):
        if self._fault is fault_proxy.forward:
            response = exchange.forwarded()
            body = response.read()
            headers = {name: response.headers[name] for name in ("Content-Encoding",) if name in response.headers}
        self.asked.set()
        self.may_go.wait(60)
        if self._fault is fault_proxy.forward:
            exchange.send(response.status, body, headers)
        else:
            self._fault(exchange)


@pytest.fixture
def held(proxy, store):
    """Return a function: a list under way, whose answer is this fault, and what lets it go."""

    def held(*fault):
        answer = Held(*fault)
        rule = proxy.fault(answer, on="GET .*/configmaps", times=1)
        rule.__enter__()
        thread = threading.Thread(target=store.refresh, kwargs={"consistently": True})
        thread.start()
        assert answer.asked.wait(60)

        def go():
            answer.may_go.set()
            thread.join(60)
            rule.__exit__(None, None, None)

        return go

    return held


def texts(store):
    return {live.ref.name: live.manifest["data"]["text"] for live in store.all()}


def test_a_list_that_fails_after_a_later_one_went_well_says_nothing(store, note, held):
    note()
    go = held(answer(500))
    store.refresh()
    go()
    assert (store.problem, texts(store)) == ("", {"note": "hello"})


def test_what_goes_while_a_list_is_under_way_does_not_come_back_with_it(store, note, held, cluster):
    """A watch that has told of the deletion does not tell of it again."""
    there = note()
    store.refresh()
    go = held()
    cluster.request("DELETE", cluster.path(there)).accepted()
    store._hear("DELETED", there | {"metadata": there["metadata"] | {"resourceVersion": "9999999"}})  # noqa: SLF001
    go()
    assert (store.problem, texts(store)) == ("", {})
    note("anew")
    store.refresh()
    assert texts(store) == {"note": "anew"}


def test_what_is_written_while_a_list_is_under_way_is_not_taken_back_by_it(store, note, held):
    note()
    store.refresh()
    go = held()
    store.take(Live.of(note("newer")), ours=True)
    go()
    assert texts(store) == {"note": "newer"}


def test_after_the_server_was_restored_from_a_backup_its_older_objects_count(store, note, proxy):
    old = note("before the backup")
    note("after the backup")
    note("made after the backup", "another")
    store.refresh()
    heard = []
    store.heard = lambda *what: heard.append(what)
    version = old["metadata"]["resourceVersion"]
    restored = {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": version}, "items": [old]}
    with proxy.fault(lambda exchange: exchange.send(200, json.dumps(restored).encode(), {}), on="GET .*/configmaps"):
        store.refresh(consistently=True)
        assert texts(store) == {"note": "before the backup"}
        assert len(heard) == 2  # one that is gone, one that is another: at no time was there nothing of it
        store.refresh()
    assert len(heard) == 2
