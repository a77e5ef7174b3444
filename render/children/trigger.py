"""What KEDA measures for a group: the length of its queues, the CPU and memory of its pods."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from render import naming
from render.children import connection, pod, worker
from render.model import CeleryApp, Component, Manifest

REDIS_PORT, SENTINEL_PORT = 6379, 26379
PRIORITY_STEPS = (0, 3, 6, 9)
PRIORITY_SEPARATOR = "\x06\x16"
"""On Redis Celery keeps messages of priority 3 to 5 in the list `celery\\x06\\x163`, and so on: kombu's defaults."""

STATIC, BY_FORMULA = "static", "scalingModifiers"
"""Of KEDA's ways to fall back: its default, and the one by which a formula sees what cannot be read as nil."""
FAILURES = 3
"""In a row, and a queue counts as one that cannot be read."""

UNVERIFIED = re.compile("[?&]ssl_cert_reqs=(none|CERT_NONE)([&#;]|$)")


def queue_lengths(app: CeleryApp, group: Component) -> list[Manifest]:
    """Return a trigger for each list or queue on the broker, named s0, s1 and so on."""
    length = str(group.spec["scaling"]["queue"]["averageLength"])
    match broker(app):
        case "Redis":
            fixed = {"listLength": length, **_redis(app, group)}
            kind = "redis-sentinel" if "sentinel" in app.spec["broker"] else "redis"
            found = [{"listName": name, **fixed} for name in _lists(group)]
        case "SQS":
            kind, found = "aws-sqs-queue", [{**queue, "queueLength": length} for queue in _on_sqs(app, group)]
        case _:
            fixed = {"mode": "QueueLength", "value": length, **_rabbitmq(app)}
            kind, found = "rabbitmq", [{"queueName": name, **fixed} for name in worker.queues(group)]
    return [
        {"type": kind, "name": f"s{number}", "metadata": metadata, **_authentication(app, group)}
        for number, metadata in enumerate(found)
    ]


def total(lengths: list[Manifest], clocks: list[Manifest], average_length: int, unread: str = "") -> Manifest:
    """Return the sum of the lengths as one metric: left alone, KEDA goes by the longest queue.

    It then asks for nothing that the formula leaves out. A clock wants pods, so it counts as the messages for these.
    With `unread`, what counts while no queue can be read, a queue counts as empty while it alone cannot.
    """
    names = [trigger["name"] for trigger in lengths]
    formula = " + ".join(f"({name} ?? 0.0)" if unread else name for name in names)
    if clocks:
        pods = (f'$env["{trigger["name"]}"] * {average_length}' for trigger in clocks)
        formula = f"max({', '.join([formula, *pods])})"
    if unread:
        formula = f"({' ?? '.join(names)}) == nil ? {unread} : {formula}"
    return {"formula": formula, "target": str(average_length), "metricType": "AverageValue"}


def unread(app: CeleryApp, lengths: list[Manifest], clocks: list[Manifest], scaling: Mapping[str, Any]) -> str:
    """Return what a formula comes to while no queue can be read; empty if one that cannot be read stops the group.

    A queue that nobody has declared yet cannot be read, and must not stop the others. On Redis it is an empty list.
    Without pods nil, which has KEDA take `fallback.replicas`; else an error, and the pods that there are stay.
    """
    given = scaling.get("keda", {}).get("fallback", {})
    is_alone, is_another = len([*lengths, *clocks]) == 1, given.get("behavior", STATIC) != STATIC
    if not lengths or is_alone or is_another or broker(app) == "Redis":
        return ""
    return "nil" if given or not scaling["minReplicas"] else " + ".join(trigger["name"] for trigger in lengths)


def fallback(given: Manifest, unread: str, fewest: int) -> Manifest:
    """Return what counts while KEDA cannot read, if anything but the pods that there are."""
    ours = {"failureThreshold": FAILURES, "replicas": max(fewest, 1)}
    return {**ours, **given, "behavior": BY_FORMULA} if unread else dict(given)


def resource(name: str, kind: str, value: int | str, *, is_beside_queue: bool) -> Manifest:
    """Return a trigger on the CPU or memory of the Celery container; beside a queue of the pod.

    With a formula KEDA keeps Resource metrics alone, and drops without a word what measures a container.
    """
    container = {} if is_beside_queue else {"containerName": naming.WORKER_CONTAINER}
    return {"type": name, "metricType": kind, "metadata": {"value": str(value), **container}}


def broker(app: CeleryApp) -> str:
    """Return Redis, RabbitMQ or SQS."""
    given = app.spec["broker"]
    return str(given["type"]) if "type" in given else naming.BROKERS[given["url"].partition("://")[0]]


def trigger_authentications(app: CeleryApp) -> list[Manifest]:
    """Return how KEDA gets at the broker, if a group has it do so: what is in Secrets, on SQS its own role."""
    if not any(_needs_parameters(group) for group in app.groups) or not (spec := _parameters(app)):
        return []
    return [
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "TriggerAuthentication",
            "metadata": pod.metadata(app, naming.BROKER),
            "spec": spec,
        }
    ]


def _parameters(app: CeleryApp) -> Manifest:
    """Return where KEDA finds each parameter: in Secrets, a ConfigMap, or among the variables of the workers.

    Two that it takes from no trigger are such variables: the user of a URL, and that RabbitMQ speaks TLS.
    """
    given = app.spec["broker"]
    if broker(app) == "SQS":
        return {"podIdentity": {"provider": "aws"}}
    tls, sentinel = given.get("tls", {}), given.get("sentinel", {})
    sources = {
        "host": given.get("urlFrom", {}),
        **{name: given.get(f"{name}From", {}) for name in ("username", "password")},
        "sentinelPassword": sentinel.get("passwordFrom", {}),
        **{name: tls.get(f"{name}From", {}) for name in ("ca", "cert", "key")},
    }
    variables = {
        "username": "USERNAME" if "passwordFrom" in given and connection.user(given) else None,
        "tls": "TLS" if "tls" in given and broker(app) == "RabbitMQ" else None,
    }
    targets = {
        "secretTargetRef": [
            {"parameter": name, **by["secretKeyRef"]} for name, by in sources.items() if "secretKeyRef" in by
        ],
        "configMapTargetRef": [
            {"parameter": name, **by["configMapKeyRef"]} for name, by in sources.items() if "configMapKeyRef" in by
        ],
        "env": [
            {"parameter": name, "name": naming.part("broker", part), "containerName": naming.WORKER_CONTAINER}
            for name, part in variables.items()
            if part
        ],
    }
    return {kind: found for kind, found in targets.items() if found}


def _needs_parameters(group: Component) -> bool:
    scaling = group.spec.get("scaling", {})
    return scaling.get("engine") == "KEDA" and "queue" in scaling and "authenticationRef" not in scaling.get("keda", {})


def _authentication(app: CeleryApp, group: Component) -> Manifest:
    if given := group.spec["scaling"].get("keda", {}).get("authenticationRef"):
        return {"authenticationRef": dict(given)}
    if _parameters(app):
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
    found = [_redis_at(url) for url in app.spec["broker"]["url"].split(";")]
    scheme, _, database = found[0]
    sentinel, addresses = app.spec["broker"].get("sentinel"), ",".join(address for _, address, _ in found)
    return {
        **({"addresses": addresses, "sentinelMaster": sentinel["masterName"]} if sentinel else {"address": addresses}),
        **({"databaseIndex": database} if database else {}),
        **({"enableTLS": "true"} if scheme == "rediss" or "tls" in app.spec["broker"] else {}),
        **_unsafe(app),
    }


def _redis_at(url: str) -> tuple[str, str, str]:
    """Return scheme, address and database of a URL of the form that a rule of the CRD asks for."""
    scheme, _, rest = url.partition("://")
    authority, _, database = re.split("[?#]", rest)[0].partition("/")
    address, port = authority.rpartition("@")[2], SENTINEL_PORT if scheme == "sentinel" else REDIS_PORT
    return scheme, address if re.search(":[0-9]+$", address) else f"{address}:{port}", database.strip("/")


def _unsafe(app: CeleryApp) -> Manifest:
    """Return that no certificate is looked at, if Celery does not: kombu takes that from the URL too."""
    given = app.spec["broker"]
    is_unsafe = given.get("tls", {}).get("verify") == "None" or UNVERIFIED.search(given.get("url", ""))
    return {"unsafeSsl": "true"} if is_unsafe else {}


def _rabbitmq(app: CeleryApp) -> Manifest:
    url = app.spec["broker"].get("url")
    return {"protocol": "auto", **({"host": url.removeprefix("py")} if url else {}), **_unsafe(app)}


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
