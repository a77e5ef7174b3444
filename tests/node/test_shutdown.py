"""What becomes of tasks when pods are replaced while they work: counted, with the kubelet's own SIGTERM and SIGKILL.

In every worker group a task runs, others wait behind it, and two more are sent during the replacement. The counts are
the table of docs/celery.md; as seen: pytest tests/node/test_shutdown.py -s --celery 5.7 | grep '^|'
"""

import json
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis

SHORT, LONG, SOFT = 4, 24, 6  # seconds of tasks and of the soft shutdown
ENOUGH, TOO_LITTLE = 60, 12  # seconds of grace; ENOUGH whatever the machine is at, TOO_LITTLE for a LONG task
PREFETCHED = 3  # messages that a worker holds unacknowledged: exactly these, so that all counts are sure
KILLED = 137
TERMINATED = 143
STILL_IMPORTED = """
import json, time
from shop.celery import records
records.rpush("records", json.dumps({"event": "imported"}))
time.sleep(3600)
"""


class Group(NamedTuple):
    """Worker group and queue of one name; the seconds of the task that runs when SIGTERM comes, grace and spec."""

    seconds: int
    grace: int
    spec: dict


class Tasks(NamedTuple):
    """How many of six tasks ended once, twice, began again, are on the broker, or are nowhere."""

    once: int
    twice: int = 0
    again: int = 0
    on_broker: int = 0
    lost: int = 0


class Seen(NamedTuple):
    """What is seen once the pods are replaced; with the visibility timeout over; and how the old pod ended."""

    replaced: Tasks
    finally_: Tasks
    exit_code: int | None


LATE = {"settings": {"task_acks_late": True}}
SOFTLY = {"softShutdownSeconds": SOFT}
GROUPS = {
    "late-short": Group(SHORT, ENOUGH, LATE),
    "late-long": Group(LONG, TOO_LITTLE, LATE),
    "late-soft-short": Group(SHORT, ENOUGH, LATE | SOFTLY),
    "late-soft-long": Group(LONG, ENOUGH, LATE | SOFTLY),
    "early-short": Group(SHORT, ENOUGH, {}),
    "early-long": Group(LONG, TOO_LITTLE, {}),
    "early-soft-long": Group(LONG, ENOUGH, SOFTLY),
}
ROLLED = {
    "late-short": Seen(Tasks(6), Tasks(6), 0),
    "late-long": Seen(Tasks(3, on_broker=3), Tasks(6, again=1), KILLED),
    "late-soft-short": Seen(Tasks(6), Tasks(6), 0),
    "late-soft-long": Seen(Tasks(6, again=1), Tasks(6, again=1), 0),
    "early-short": Seen(Tasks(6), Tasks(6), 0),
    "early-long": Seen(Tasks(2, on_broker=3, lost=1), Tasks(5, lost=1), KILLED),
    "early-soft-long": Seen(Tasks(5, lost=1), Tasks(5, lost=1), 0),
}
AWAY = {
    "late-short": Seen(Tasks(4, on_broker=3), Tasks(5, twice=1, again=1), 0),
    "late-long": Seen(Tasks(3, on_broker=3), Tasks(6, again=1), KILLED),
    "late-soft-short": Seen(Tasks(4, on_broker=3), Tasks(5, twice=1, again=1), 0),
    "late-soft-long": Seen(Tasks(3, on_broker=3), Tasks(6, again=1), 0),
    "early-short": Seen(Tasks(3, on_broker=3), Tasks(6), 0),
    "early-long": Seen(Tasks(2, on_broker=3, lost=1), Tasks(5, lost=1), KILLED),
    "early-soft-long": Seen(Tasks(2, on_broker=3, lost=1), Tasks(5, lost=1), 0),
}


class Workers:
    """The app's workers, one pod each, and the tasks that were sent to them."""

    def __init__(self, cluster, broker_url, records, deployments):
        self.cluster, self.broker_url, self.records, self.deployments = cluster, broker_url, records, deployments
        self.pods_path = f"/api/v1/namespaces/{cluster.namespace}/pods"
        self.groups = [each["metadata"]["name"].removeprefix("shop-") for each in deployments]
        self.sent = {group: [] for group in self.groups}

    def send(self, seconds_of):
        with Celery(broker=self.broker_url) as app:
            for group, sent in self.sent.items():
                sent += [app.send_task("nap", [seconds], queue=group).id for seconds in seconds_of(group)]

    def are_up(self):
        self.cluster.wait_until(lambda: all(map(self.cluster.is_rolled_out, self.deployments)), 300)

    def are_at_work(self):
        """Wait until each runs its first task, and neither takes nor acknowledges any more."""
        self.sent = {group: [] for group in self.groups}
        self.send(lambda group: [GROUPS[group].seconds, 0, 0, 0])
        first = {sent[0] for sent in self.sent.values()}
        held = PREFETCHED * len(self.groups)
        self.cluster.wait_until(lambda: first <= self.times("started").keys() and len(self.unacked()) == held)

    def times(self, event):
        """Return how many times each task has started or ended."""
        return Counter(each["id"] for each in self.records.records() if each["event"] == event)

    def unacked(self):
        with Redis.from_url(self.broker_url) as client:
            return {json.loads(each)[0]["headers"]["id"] for each in client.hvals("unacked")}

    def on_broker(self):
        with Redis.from_url(self.broker_url) as client:
            queued = [json.loads(each) for group in self.groups for each in client.lrange(group, 0, -1)]
        return self.unacked() | {each["headers"]["id"] for each in queued}

    def tasks(self):
        """Return what became of the tasks of each group so far."""
        held, started, ended = self.on_broker(), self.times("started"), self.times("ended")
        return {
            group: Tasks(
                sum(ended[each] == 1 for each in sent),
                sum(ended[each] > 1 for each in sent),
                sum(started[each] > 1 for each in sent),
                sum(each in held for each in sent),
                sum(each not in held and not ended[each] for each in sent),
            )
            for group, sent in self.sent.items()
        }

    def come_to(self, expected):
        """Return what became of the tasks, as soon as it is what was expected, else after a while."""
        with suppress(AssertionError):
            self.cluster.wait_until(lambda: self.tasks() == expected, LONG + 60)
        return self.tasks()

    def pods(self):
        return self.cluster.request("GET", self.pods_path).accepted().body

    def replaced(self, replace):
        """Have the pods replaced, wait until the old ones are gone and return their exit codes."""
        before = self.pods()
        old = {
            pod["metadata"]["name"]: pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in before["items"]
        }
        replace()
        self.cluster.wait_until(lambda: not old.keys() & {pod["metadata"]["name"] for pod in self.pods()["items"]})
        codes = {}
        since = before["metadata"]["resourceVersion"]
        for change in self.cluster.watch(self.pods_path, resourceVersion=since, timeoutSeconds=3):
            pod = change["object"]
            for container in pod["status"].get("containerStatuses", ()):
                if pod["metadata"]["name"] in old and "terminated" in container["state"]:
                    codes[old[pod["metadata"]["name"]]] = container["state"]["terminated"]["exitCode"]
        return codes

    def time_out(self):
        """Do what a worker does with messages that nobody acknowledged within the visibility timeout."""
        with Connection(self.broker_url, transport_options={"visibility_timeout": 0}) as connection:
            connection.channel().qos.restore_visible(num=1000)


@pytest.fixture
def start(cluster, shop, records):
    """Return a function that starts these groups, each in a pod that gets SIGTERM as soon as it is to be replaced."""

    def start(broker_url, names):
        common = {
            "concurrency": 1,
            "prefetchMultiplier": PREFETCHED,
            "rollout": {"maxSurge": 0, "maxUnavailable": 1},
        }
        groups = [
            {
                "name": name,
                "queues": [name],
                "terminationGracePeriodSeconds": GROUPS[name].grace,
                **common,
                **GROUPS[name].spec,
            }
            for name in names
        ]
        children = shop(broker_url, workers=groups)
        workers = Workers(cluster, broker_url, records, [each for each in children if each["kind"] == "Deployment"])
        workers.are_up()
        return workers

    return start


def test_tasks_when_pods_are_replaced(start, redis, celery_version):
    soft = {name for name, group in GROUPS.items() if SOFTLY.items() <= group.spec.items()}
    workers = start(redis.url, [name for name in GROUPS if celery_version != "5.4" or name not in soft])
    seen = {"rolled": rolled(workers), "away": with_the_broker_away(workers, redis)}
    expected = {
        how: {group: each[group] for group in workers.groups} for how, each in (("rolled", ROLLED), ("away", AWAY))
    }
    for how, groups in seen.items():
        for group, (replaced, finally_, code) in groups.items():
            print(f"\n| {celery_version} | {how} | {group}", *replaced, *finally_, code, "", sep=" | ", end="")  # noqa: T201
    assert seen == expected


def test_rabbitmq_hands_on_at_once_what_a_killed_pod_held(start, on_rabbitmq):
    workers = start(on_rabbitmq, ["late-long"])
    workers.send(lambda group: [GROUPS[group].seconds, 0, 0, 0])
    [[first, *others]] = workers.sent.values()
    workers.cluster.wait_until(lambda: first in workers.times("started"))
    codes = workers.replaced(lambda: workers.cluster.kubectl("rollout", "restart", "deployment"))
    workers.cluster.wait_until(lambda: workers.times("ended") == Counter([first, *others]), LONG + 60)
    assert (codes, workers.times("started")) == ({"late-long": KILLED}, Counter([first, first, *others]))


def test_a_pod_that_still_imports_its_app_ends_at_once(cluster, module, shop, redis, records):
    """Celery listens for SIGTERM only later; a pod that missed it would become ready while it is being removed."""
    components = {
        "workers": [{"name": "worker", "terminationGracePeriodSeconds": 600}],
        "beat": {"probe": {"type": "None"}},
        "flower": {"auth": {"basicAuth": {"secretKeyRef": {"name": "broker", "key": "url"}}}},
    }
    children = shop(redis.url, **module("slow", STILL_IMPORTED), **components)
    workers = Workers(cluster, redis.url, records, [child for child in children if child["kind"] == "Deployment"])
    cluster.wait_until(lambda: len(records.records()) == len(components))
    codes = workers.replaced(lambda: cluster.kubectl("delete", "deployments", "--all"))
    assert codes == dict.fromkeys(["worker", "beat", "flower"], TERMINATED)


def rolled(workers):
    """Return what is seen of a rolling update."""
    workers.are_at_work()

    def restart():
        workers.cluster.kubectl("rollout", "restart", "deployment")
        workers.send(lambda _: [0, 0])

    codes = workers.replaced(restart)
    return counted(workers, codes, ROLLED)


def with_the_broker_away(workers, redis):
    """Return what is seen when the pods go, as with a node that is drained, and the broker comes back after them."""
    workers.are_at_work()

    def outage():
        with Redis.from_url(redis.url) as client:
            client.shutdown(save=True)
        redis.stop()
        workers.cluster.kubectl("delete", "pods", "--all", "--wait=false")

    codes = workers.replaced(outage)
    redis.start()
    workers.send(lambda _: [0, 0])
    return counted(workers, codes, AWAY)


def counted(workers, codes, expected):
    workers.are_up()
    replaced = workers.come_to({group: expected[group].replaced for group in workers.groups})
    workers.time_out()
    finally_ = workers.come_to({group: expected[group].finally_ for group in workers.groups})
    return {group: Seen(replaced[group], finally_[group], codes.get(group)) for group in workers.groups}
