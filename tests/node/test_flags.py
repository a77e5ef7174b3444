"""What a CeleryApp says of its workers, as running workers tell it: by Celery's own `inspect`, on every version."""

import re
import signal

import pytest
from celery import Celery
from redis import Redis

from render import pipeline, schema
from render.errors import InvalidInput
from render.model import Document

SETTINGS = {
    "broker_connection_retry_on_startup": True,  # docs/celery.md says why
    "result_expires": 120,
    "task_reject_on_worker_lost": True,
    "worker_timer_precision": 0.5,
    "accept_content": ["json", "yaml"],
    "broker_transport_options": {"visibility_timeout": 7200, "queue_order_strategy": "sorted"},
    "shop_colour": "grün = $x",
}
GROUPS = {
    "everything": {
        "queues": ["mail", "mail.high"],
        "concurrency": 3,
        "logLevel": "WARNING",
        "prefetchMultiplier": 5,
        "optimization": "default",
        "maxTasksPerChild": 100,
        "maxMemoryPerChild": "1Mi",  # less than any child has: each is replaced after its first task
        "timeLimitSeconds": 60,
        "softTimeLimitSeconds": 50,
        "taskEvents": True,
        "settings": SETTINGS,
        "args": ["--heartbeat-interval=1"],
    },
    "least": {"queues": ["celery"], "settings": SETTINGS},
    "threads": {"pool": "threads", "concurrency": 7, "excludeQueues": ["mail"], "settings": SETTINGS},
    "solo": {"pool": "solo", "queues": ["solo"], "concurrency": 1, "settings": SETTINGS},
}
PREFORK = "celery.concurrency.prefork:TaskPool"
FOUND = {
    "everything": {
        "pool": PREFORK,
        "concurrency": 3,
        "processes": 3,
        "tasks per child": 100,
        "time limits": [50, 60],
        "prefetch": 15,
        "queues": {"mail", "mail.high"},
        "task events": True,
    },
    "least": {
        "pool": PREFORK,
        "concurrency": 2,
        "processes": 2,
        "tasks per child": "N/A",
        "time limits": [0, 0],
        "prefetch": 8,
        "queues": {"celery"},
        "task events": False,
    },
    "threads": {
        "pool": "celery.concurrency.thread:TaskPool",
        "concurrency": 7,
        "processes": 0,
        "tasks per child": None,
        "time limits": None,
        "prefetch": 28,
        "queues": {"celery"},
        "task events": False,
    },
    "solo": {
        "pool": "celery.concurrency.solo:TaskPool",
        "concurrency": 1,
        "processes": 1,
        "tasks per child": None,
        "time limits": [],
        "prefetch": 4,
        "queues": {"solo"},
        "task events": False,
    },
}
COMPLAINT = re.compile("warn|deprecat", re.IGNORECASE)
INHERENT = "exceeding memory limit"  # maxMemoryPerChild at work

GATED = {
    "auto": {"concurrency": "auto", "queues": ["auto"], "resources": {"limits": {"cpu": "900m"}}},
    "unprefetched": {"disablePrefetch": True, "queues": ["unprefetched"], "concurrency": 2},
    "soft": {"softShutdownSeconds": 1, "queues": ["soft"]},
}
"""Groups that need a newer Celery than the oldest."""
PINGED = {"probe": {"type": "Ping"}}


class Workers:
    """The workers of a broker, asked by remote control; every answer by the group's name."""

    def __init__(self, app, groups):
        self.app, self.groups = app, groups

    def ask(self, question, **arguments):
        inspect = self.app.control.inspect(timeout=30, limit=len(self.groups))
        return self._by_group(getattr(inspect, question)(**arguments) or {})

    def task_events(self):
        """Return whether each sends task events; those that do not begin to."""
        [*replies] = self.app.control.enable_events(reply=True, timeout=30, limit=len(self.groups))
        answers = self._by_group({node: answer for reply in replies for node, answer in reply.items()})
        return {group: answer == {"ok": "task events already enabled"} for group, answer in answers.items()}

    def heartbeat_seconds(self, group):
        """Return how often the group's worker says that it is there, as its next heartbeat tells."""
        heard = {}
        handlers = {"worker-heartbeat": lambda event: heard.update({event["hostname"].split("@")[0]: event["freq"]})}
        with self.app.connection_for_read() as connection:
            receiver = self.app.events.Receiver(connection, handlers=handlers)
            while group not in heard:
                receiver.capture(limit=1, timeout=30, wakeup=False)  # else it says 5, whatever it is
        return heard[group]

    def _by_group(self, replies):
        found = {node.split("@")[0]: answer for node, answer in replies.items()}
        assert found.keys() == set(self.groups), found
        return found


@pytest.fixture
def workers(redis, records):
    """Return a function from groups to their workers."""
    with Celery(broker=redis.url, backend=records.url, set_as_current=False) as app:
        yield lambda groups: Workers(app, groups)


def deployments(children):
    return {each["metadata"]["name"].removeprefix("shop-"): each for each in children if each["kind"] == "Deployment"}


def group_list(groups):
    return [{"name": name, "terminationGracePeriodSeconds": 2, **spec} for name, spec in groups.items()]


def logged(cluster, component, *options):
    return cluster.kubectl("logs", f"--selector=celeryproject.org/component={component}", "--tail=-1", *options).stdout


def test_every_field_reaches_the_worker_and_nothing_complains(cluster, shop, redis, records, workers, celery_version):
    children = deployments(
        shop(
            redis.url,
            resultBackend={"url": records.url},
            workers=group_list(GROUPS),
            beat={"maxIntervalSeconds": 2, **(PINGED if celery_version >= "5.7" else {})},
        )
    )
    cluster.wait_until(lambda: all(map(cluster.is_rolled_out, children.values())))
    workers = workers(GROUPS)
    stats, queues, conf = (workers.ask(question) for question in ("stats", "active_queues", "conf"))
    task_events = workers.task_events()
    found = {
        name: {
            "pool": (pool := stats[name]["pool"])["implementation"],
            "concurrency": pool["max-concurrency"],
            "processes": len(pool.get("processes", ())),
            "tasks per child": pool.get("max-tasks-per-child"),
            "time limits": pool.get("timeouts"),
            "prefetch": stats[name]["prefetch_count"],
            "queues": {queue["name"] for queue in queues[name]},
            "task events": task_events[name],
        }
        for name in GROUPS
    }
    assert found == FOUND
    for name in GROUPS:
        assert {setting: conf[name][setting] for setting in SETTINGS} == SETTINGS
    assert workers.heartbeat_seconds("everything") == 1

    sent = [workers.app.send_task("nap", [0], queue=queue) for queue in ("mail", "celery")]
    assert [task.get(timeout=30) for task in sent] == [None, None]  # by the result backend

    def processes(group):
        return set(workers.ask("stats")[group]["pool"]["processes"])

    cluster.wait_until(lambda: processes("everything") != set(stats["everything"]["pool"]["processes"]))
    assert processes("least") == set(stats["least"]["pool"]["processes"])

    logs = {component: logged(cluster, component) for component in children}
    assert {name for name in GROUPS if "INFO" in logs[name]} == set(GROUPS) - {"everything"}
    complaints = [(name, line) for name, log in logs.items() for line in log.splitlines() if COMPLAINT.search(line)]
    assert [(name, line) for name, line in complaints if INHERENT not in line] == []


def test_what_needs_a_newer_celery_is_refused_where_it_would_not_work(
    cluster, shop, redis, records, workers, celery_version
):
    """Each is run as though the image held the newest Celery; the CeleryApp allows it where that works, only there."""
    children = deployments(shop(redis.url, celeryVersion="5.7", workers=group_list(GATED), beat=PINGED))

    def started(component):
        """Return whether it runs; None as long as that is not decided."""
        return True if cluster.is_rolled_out(children[component]) else False if ended(component) else None

    def ended(component):
        [container] = containers(cluster, component)
        return container["restartCount"] or "terminated" in container["state"]

    cluster.wait_until(lambda: all(started(component) is not None for component in children))
    runs = {component for component in children if started(component)}
    logs = {component: logged(cluster, component) for component in children if component not in runs}
    workers = workers(runs - {"beat"})
    works = {
        "auto": "auto" in runs and workers.ask("stats")["auto"]["pool"]["max-concurrency"] == 1,
        "unprefetched": "unprefetched" in runs and leaves_in_the_queue(cluster, workers, records, redis),
        "soft": "soft" in runs and ends_softly(cluster, workers, records),
        "beat": "beat" in runs,
    }
    wanted = {component: wanted_version(celery_version, component) for component in children}
    assert works == {component: version is None for component, version in wanted.items()}, (wanted, logs)


def containers(cluster, component):
    """Return the states of the component's container, once there is one."""

    def found():
        return [each for pod in cluster.pods(component) for each in pod["status"].get("containerStatuses", ())]

    return cluster.wait_until(found)


def leaves_in_the_queue(cluster, workers, records, redis):
    """Say whether the worker with two slots takes two of four messages."""
    for _ in range(4):
        workers.app.send_task("nap", [600], queue="unprefetched")
    cluster.wait_until(lambda: len(records.records()) == 2)
    with Redis.from_url(redis.url) as client:
        waiting = client.llen("unprefetched")
    return (waiting, workers.ask("reserved")["unprefetched"]) == (2, [])


def ends_softly(cluster, workers, records):
    """Say whether SIGTERM leaves a running task the time that it was promised."""
    before = len(records.records())
    workers.app.send_task("nap", [600], queue="soft")
    cluster.wait_until(lambda: len(records.records()) > before)
    terminate = f"import os; os.kill({workers.ask('stats')['soft']['pid']}, {signal.SIGTERM.value})"
    cluster.kubectl("exec", "deployment/shop-soft", "--", "python3", "-c", terminate)
    cluster.wait_until(lambda: containers(cluster, "soft")[0]["restartCount"])
    return "Initiating Soft Shutdown, terminating in 1 seconds" in logged(cluster, "soft", "--previous")


def wanted_version(version, component):
    """Return the Celery that the CeleryApp asks for where it names this version; None where it has no objection."""
    given = {"beat": PINGED} if component == "beat" else {"workers": [{"name": component, **GATED[component]}]}
    spec = {"image": "shop", "app": "shop", "celeryVersion": version, "broker": {"url": "redis://redis"}, **given}
    data = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}, "spec": spec}
    try:
        pipeline.base(Document(data, "app.yaml", {}), schema.load())
    except InvalidInput as refusal:
        return re.search(r"needs Celery (5\.\d+)", str(refusal))[1]
    return None
