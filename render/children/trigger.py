"""What KEDA measures for a group: the length of its queues, the CPU and memory of its pods."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from render import naming
from render.children import pod, worker
from render.model import CeleryApp, Component, Manifest

BROKERS = {
    "redis": "Redis",
    "rediss": "Redis",
    "amqp": "RabbitMQ",
    "amqps": "RabbitMQ",
    "pyamqp": "RabbitMQ",
    "sqs": "SQS",
}
REDIS_PORT = 6379
PRIORITY_STEPS = (0, 3, 6, 9)
PRIORITY_SEPARATOR = "\x06\x16"
"""On Redis Celery keeps messages of priority 3 to 5 in the list `celery\\x06\\x163`, and so on: kombu's defaults."""


def queue_lengths(app: CeleryApp, group: Component) -> list[Manifest]:
    """Return a trigger for each list or queue on the broker, named s0, s1 and so on."""
    length = str(group.spec["scaling"]["queue"]["averageLength"])
    match broker(app):
        case "Redis":
            fixed = {"listLength": length, **_redis(app, group)}
            kind, found = "redis", [{"listName": name, **fixed} for name in _lists(group)]
        case "SQS":
            kind, found = "aws-sqs-queue", [{**queue, "queueLength": length} for queue in _on_sqs(app, group)]
        case _:
            fixed = {"mode": "QueueLength", "value": length, **_rabbitmq(app)}
            kind, found = "rabbitmq", [{"queueName": name, **fixed} for name in worker.queues(group)]
    return [
        {"type": kind, "name": f"s{number}", "metadata": metadata, **_authentication(app, group)}
        for number, metadata in enumerate(found)
    ]


def total(triggers: list[Manifest], average_length: int) -> Manifest:
    """Return the sum of the triggers as one metric: left alone, KEDA goes by the longest queue."""
    formula = " + ".join(trigger["name"] for trigger in triggers)
    return {"formula": formula, "target": str(average_length), "metricType": "AverageValue"}


def resource(name: str, kind: str, value: int | str) -> Manifest:
    """Return a trigger on the CPU or memory of the Celery container."""
    return {
        "type": name,
        "metricType": kind,
        "metadata": {"value": str(value), "containerName": naming.WORKER_CONTAINER},
    }


def broker(app: CeleryApp) -> str:
    """Return Redis, RabbitMQ or SQS."""
    given = app.spec["broker"]
    return str(given["type"]) if "type" in given else BROKERS[given["url"].partition("://")[0]]


def trigger_authentications(app: CeleryApp) -> list[Manifest]:
    """Return how KEDA gets at the broker, if a group has it do so: by the URL in its Secret, on SQS by its own role."""
    if not any(_needs_authentication(app, group) for group in app.groups):
        return []
    if broker(app) == "SQS":
        spec: Manifest = {"podIdentity": {"provider": "aws"}}
    else:
        secret = app.spec["broker"]["urlFrom"]["secretKeyRef"]
        spec = {"secretTargetRef": [{"parameter": "host", "name": secret["name"], "key": secret["key"]}]}
    return [
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "TriggerAuthentication",
            "metadata": pod.metadata(app, naming.BROKER),
            "spec": spec,
        }
    ]


def _needs_authentication(app: CeleryApp, group: Component) -> bool:
    scaling = group.spec.get("scaling", {})
    by_queue = scaling.get("engine") == "KEDA" and "queue" in scaling and "keda" not in scaling
    return by_queue and ("urlFrom" in app.spec["broker"] or broker(app) == "SQS")


def _authentication(app: CeleryApp, group: Component) -> Manifest:
    if "keda" in group.spec["scaling"]:
        return {"authenticationRef": dict(group.spec["scaling"]["keda"]["authenticationRef"])}
    if _needs_authentication(app, group):
        return {"authenticationRef": {"name": naming.derived(app.name, naming.BROKER)}}
    return {}


def _lists(group: Component) -> Iterator[str]:
    """Yield the name of every Redis list, priorities and all, as the group's own transport options have them."""
    options: Mapping[str, Any] = group.spec.get("settings", {}).get("broker_transport_options", {})
    prefix, separator = options.get("global_keyprefix", ""), options.get("sep", PRIORITY_SEPARATOR)
    for queue in worker.queues(group):
        for step in options.get("priority_steps", PRIORITY_STEPS):
            yield f"{prefix}{queue}{separator}{step}" if step else f"{prefix}{queue}"


def _redis(app: CeleryApp, group: Component) -> Manifest:
    """Return where Redis is. KEDA takes no URL, so one in a Secret is no help: the user's authentication says."""
    if "url" not in app.spec["broker"]:
        index = group.spec["scaling"]["keda"].get("databaseIndex", 0)
        return {"databaseIndex": str(index)} if index else {}
    scheme, _, rest = app.spec["broker"]["url"].partition("://")  # of the form that a rule of the CRD asks for
    authority, _, database = re.split("[?#]", rest)[0].partition("/")
    address, database = authority.rpartition("@")[2], database.strip("/")
    return {
        "address": address if re.search(":[0-9]+$", address) else f"{address}:{REDIS_PORT}",
        **({"databaseIndex": database} if database else {}),
        **({"enableTLS": "true"} if scheme == "rediss" else {}),
    }


def _rabbitmq(app: CeleryApp) -> Manifest:
    url = app.spec["broker"].get("url")
    return {"protocol": "auto", **({"host": url.removeprefix("py")} if url else {})}


def _on_sqs(app: CeleryApp, group: Component) -> Iterator[Manifest]:
    """Yield where each queue is: at the URL it is given, or by its name in the account of whoever asks."""
    options: Mapping[str, Any] = group.spec["settings"]["broker_transport_options"]
    host = app.spec["broker"].get("url", "").removeprefix("sqs://").rpartition("@")[2].strip("/")
    scheme = "https" if options.get("is_secure") else "http"  # kombu's default for a host of one's own
    for queue in worker.queues(group):
        name = naming.sqs_queue(queue, options.get("queue_name_prefix", ""))
        predefined = options.get("predefined_queues", {}).get(name, {})
        yield {
            "queueURL": predefined.get("url", name),
            "awsRegion": predefined.get("region", options["region"]),
            **({"awsEndpoint": f"{scheme}://{host}"} if host else {}),
        }
