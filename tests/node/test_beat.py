"""Beat on a real node: one at a time, and with a volume it goes on where it was.

No worker runs: the messages stay on the broker, in the order in which they were sent, and say who sent them.
"""

import itertools
import json

import pytest
from redis import Redis

SELDOM_SECONDS = 20
SCHEDULE = f"""
from shop.celery import app
app.conf.beat_schedule = {{
    "tick": {{"task": "tick", "schedule": 1.0}},
    "seldom": {{"task": "nap", "args": [0], "schedule": {SELDOM_SECONDS}.0}},
}}
"""
BEAT = {
    "storage": {"storageClassName": "by-hand"},
    "podSecurityContext": {"fsGroup": 1000},  # a new volume is root's, and the image's user is not root
}


class Sent:
    """The messages on a broker that nobody takes."""

    def __init__(self, url):
        self.url = url

    def messages(self):
        """Return (task, pod that sent it) of each, the first one first."""
        with Redis.from_url(self.url) as client:
            headers = [json.loads(each)["headers"] for each in reversed(client.lrange("celery", 0, -1))]
        return [(each["task"], each["origin"].partition("@")[2]) for each in headers]

    def tasks_of(self, pod):
        return [task for task, sender in self.messages() if sender == pod]

    def pods(self):
        """Return who sent, in turn; a name comes twice when another one sent between."""
        return [pod for pod, _ in itertools.groupby(pod for _, pod in self.messages())]


@pytest.fixture
def sent(redis):
    return Sent(redis.url)


@pytest.fixture
def volume(cluster, tmp_path):
    """Offer a folder of the node to the claim `shop-beat`."""
    (tmp_path / "volume").mkdir()
    node = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node"]}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "by-hand",
        "claimRef": {"namespace": cluster.namespace, "name": "shop-beat"},
        "local": {"path": str(tmp_path / "volume")},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": cluster.namespace}, "spec": spec}
    cluster.apply(volume).accepted()
    yield
    cluster.request("DELETE", cluster.path(volume)).accepted()


def beat_pods(cluster):
    """Return the address of beat's pods, for now and for a watch."""
    return f"/api/v1/namespaces/{cluster.namespace}/pods", {"labelSelector": "celeryproject.org/component=beat"}


def most_at_a_time(changes, alive):
    """Return how many pods there were at most that had not ended, while this changed."""
    most = len(alive)
    for change in changes:
        name, phase = change["object"]["metadata"]["name"], change["object"]["status"]["phase"]
        over = change["type"] == "DELETED" or phase in {"Succeeded", "Failed"}
        alive = alive - {name} if over else alive | {name}
        most = max(most, len(alive))
    return most


@pytest.mark.usefixtures("volume")
def test_one_beat_at_a_time_and_the_next_goes_on_with_its_schedule(cluster, module, shop, redis, sent):
    """The second pod knows since when `seldom` is due, and sends it before one that begins anew could."""
    seldom = module("seldom", SCHEDULE)

    def roll_out(release):
        [*_, beat] = shop(
            redis.url,
            **seldom,
            workers=[{"name": "worker", "replicas": 0}],
            beat={**BEAT, "podAnnotations": {"example.com/release": release}},
        )
        cluster.wait_until(lambda: cluster.is_rolled_out(beat))

    roll_out("1")
    cluster.wait_until(lambda: len(sent.messages()) >= 3)
    [first] = sent.pods()
    path, query = beat_pods(cluster)
    version = cluster.request("GET", path, **query).accepted().body["metadata"]["resourceVersion"]
    roll_out("2")
    cluster.wait_until(lambda: len(sent.pods()) > 1)
    second = sent.pods()[1]
    cluster.wait_until(lambda: "nap" in sent.tasks_of(second))

    assert sent.pods() == [first, second]
    assert "nap" not in sent.tasks_of(first)
    assert sent.tasks_of(second).count("tick") < SELDOM_SECONDS - 1
    assert most_at_a_time(cluster.watch(path, **query, resourceVersion=version, timeoutSeconds=1), {first}) == 1
