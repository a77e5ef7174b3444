"""Tasks that run for longer than their pods' grace, where fewer pods would do: none is broken off.

The reconciler is asked for one pod of each group while all its pods run tasks of which nobody knows when they end.
"""

import time
from collections import Counter
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import pytest
from celery import Celery
from celery_versions import VERSIONS

from reconciler.scaling.model import TICK_SECONDS

WINDOW_SECONDS = 15
GRACE_SECONDS = 10
RUNS_LONG = f"which might not end within {GRACE_SECONDS} s"
IS_SILENT = "not answer what runs"


class Group(NamedTuple):
    """Pods at the beginning, tasks in each, the spec, and why the pods stay."""

    pods: int
    tasks: int
    spec: dict
    why: str


APPS = {
    "busy": {
        "solo": Group(6, 1, {"pool": "solo", "concurrency": 1}, IS_SILENT),
        "unasked": Group(2, 2, {"settings": {"worker_enable_remote_control": False}}, IS_SILENT),
        "thin": Group(3, 2, {}, RUNS_LONG),
    },
    "away": {"outage": Group(2, 2, {}, RUNS_LONG)},
}
GROUPS = APPS["busy"] | APPS["away"]


@pytest.fixture
def brokers(recording):
    """Return the broker of each app."""
    return {app: recording() for app in APPS}


@pytest.fixture
def ask(applied, brokers):
    """Return a function: the apps, with so many pods in each group at least."""

    def ask(fewest):
        for app, groups in APPS.items():
            workers = [worker(name, group.spec, fewest(group)) for name, group in groups.items()]
            url = brokers[app].url
            applied(app, VERSIONS[-1], url, broker={"url": url}, reconcile="Scale", workers=workers)

    return ask


def worker(name, spec, fewest):
    down = {"stabilizationWindowSeconds": WINDOW_SECONDS}
    scaling = {"minReplicas": fewest, "maxReplicas": 6, "queue": {"averageLength": 100}}
    common = {"concurrency": 2, "disablePrefetch": True, "terminationGracePeriodSeconds": GRACE_SECONDS}
    return {"name": name, "queues": [name]} | common | spec | {"scaling": scaling | {"behavior": {"scaleDown": down}}}


@pytest.mark.usefixtures("reconciler")
def test_no_task_is_broken_off_where_fewer_pods_would_do(cluster, ask, brokers, records):
    ask(lambda group: group.pods)
    all_pods = {name: group.pods for name, group in GROUPS.items()}
    cluster.wait_until(lambda: Counter(map(group_of, filter(is_ready, cluster.pods()))) == all_pods, 300)
    sent = {task for app, groups in APPS.items() for task in send(groups, brokers[app])}
    cluster.wait_until(lambda: started(records).keys() == sent)
    busy = {pod["metadata"]["name"]: GROUPS[group_of(pod)].tasks for pod in cluster.pods()}
    assert Counter(started(records).values()) == busy
    spread(cluster, records)

    brokers["away"].stop()
    cluster.wait_until(lambda: "failed to get queue length" in reasons(cluster, "away")["outage"])
    ask(lambda _: 1)
    cluster.wait_until(lambda: are_judged(cluster, "busy"))
    time.sleep(WINDOW_SECONDS + 2 * TICK_SECONDS)
    brokers["away"].start()
    cluster.wait_until(lambda: are_judged(cluster, "away"))
    cluster.wait_until(lambda: not any(map(is_going, cluster.pods())))
    assert broken_off(cluster, records) == dict.fromkeys(GROUPS, 0)

    for task in sent:
        records.let(task)
    cluster.wait_until(lambda: ended(records) == Counter(sent))
    in_the_end = {name: group.pods if name == "unasked" else 1 for name, group in GROUPS.items()}
    cluster.wait_until(lambda: Counter(map(group_of, cluster.pods())) == in_the_end)


def send(groups, broker):
    """Send each group a task for every slot; return their names, each of which lets one task end."""
    tasks = {f"{name} {number}": name for name, group in groups.items() for number in range(group.pods * group.tasks)}
    with Celery(broker=broker.url) as app:
        for task, queue in tasks.items():
            app.send_task("hold", [task], queue=queue, task_id=task)
    return tasks


def spread(cluster, records):
    """Let all tasks end but one in each pod: these are spread thinly, and need fewer pods."""
    found = sorted(started(records).items(), key=itemgetter(1))
    others = [task for _, its in groupby(found, itemgetter(1)) for task, _ in list(its)[1:]]
    for task in others:
        records.let(task)
    cluster.wait_until(lambda: ended(records).keys() == set(others))


def started(records):
    """Return the pod of each task, wherever it began last."""
    return {each["id"]: each["pod"] for each in records.records() if each["event"] == "started"}


def ended(records):
    return Counter(each["id"] for each in records.records() if each["event"] == "ended")


def broken_off(cluster, records):
    """Return how many tasks of each group have not ended, and have no pod any more."""
    there = {pod["metadata"]["name"] for pod in cluster.pods()}
    gone = [task for task, pod in started(records).items() if task not in ended(records) and pod not in there]
    return dict.fromkeys(GROUPS, 0) | Counter(task.split()[0] for task in gone)


def reasons(cluster, app):
    """Return why each group has as many pods as it has, as the status says."""
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": app}}
    return {each["name"]: each.get("reason", "") for each in cluster.get(app)["status"]["workers"]}


def are_judged(cluster, app):
    """Say whether of each group it is said that its pods stay, or else one of them goes."""
    said = reasons(cluster, app)
    there = Counter(group_of(pod) for pod in cluster.pods() if not is_going(pod))
    return all(group.why in said[name] or there[name] < group.pods for name, group in APPS[app].items())


def group_of(pod):
    return pod["metadata"]["labels"]["celeryproject.org/component"]


def is_going(pod):
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
