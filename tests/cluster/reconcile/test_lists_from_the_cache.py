"""What the API server reads of etcd for our lists, by its own metrics: nothing, once it is known what there is."""

import re

import pytest

from reconciler.cluster import client
from reconciler.cluster.cache import Store
from reconciler.cluster.client import Where
from reconciler.cluster.live import Live
from reconciler.cluster.transport import Transport
from reconciler.model import CONFIG_MAP

COUNTED = re.compile(r'^apiserver_storage_list_total\{([^}]*resource="configmaps"[^}]*)\} (\S+)$', re.MULTILINE)
CACHE = 'storage="watchcache"'
"""What newer releases count in the same metric."""
PAGES = 3


@pytest.fixture
def store(cluster, tmp_path):
    (tmp_path / "token").write_text(cluster.token)
    (tmp_path / "ca.crt").write_bytes((cluster.folder / "tls.crt").read_bytes())
    access = client.in_cluster(f"https://127.0.0.1:{cluster.port}", tmp_path)
    ours = client.Cluster(Transport(access, lambda: True, lambda _verb, _code: None))
    ours.ask_release()
    return Store(ours, CONFIG_MAP, Live.of, Where(cluster.namespace, "celeryproject.org/app=shop"))


def read_of_etcd(cluster):
    """Return how often ConfigMaps were listed there."""
    found = COUNTED.findall(cluster.request("GET", "/metrics").accepted().body)
    assert found, "the server counts otherwise"
    return sum(float(count) for labels, count in found if CACHE not in labels)


def test_a_list_of_several_pages_is_read_from_the_cache_on_every_release(cluster, store):
    labels = {"celeryproject.org/app": "shop"}
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    with cluster.connection() as request:
        for number in range((PAGES - 1) * client.PAGE_ITEMS + 1):
            request("POST", path, {"metadata": {"name": f"note-{number}", "labels": labels}}).accepted()
    store.refresh(consistently=True)
    assert store.problem == ""
    before = read_of_etcd(cluster)
    for _ in range(3):
        store.refresh()
        assert (store.problem, len(store.all())) == ("", (PAGES - 1) * client.PAGE_ITEMS + 1)
    assert read_of_etcd(cluster) == before
