"""Names that are more than one file's business: labels, paths in the pods, and what is named after the app."""

import re
import string

APP_LABEL = "celeryproject.org/app"
COMPONENT_LABEL = "celeryproject.org/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "celery-render"
KEDA_PAUSED_ANNOTATION = "autoscaling.keda.sh/paused"

WORKER_CONTAINER = "worker"
BEAT = "beat"
FLOWER = "flower"
PROBE = "probe"
BROKER = "broker"

STATE_PATH = "/var/run/celery"
"""Where a worker leaves its heartbeat; `in_pod/celery_heartbeat.py` and `celery_check.py` say so too."""
PROBE_PATH = "/etc/celery-probe"
TLS_PATH = "/etc/celery-tls"
"""Where certificates are, a folder for each of broker and result backend; `in_pod/celery_connection.py` says so too."""
HEARTBEAT_MODULE = "celery_heartbeat"
HEARTBEAT_FILE = "celery_heartbeat.py"
CHECK_FILE = "celery_check.py"
START_FILE = "celery_start.py"
CONNECTION_FILES = ("celery_connection.py", "celery_loader.py")
BEAT_DATA_PATH = "/var/lib/celery"
FLOWER_DATA_PATH = "/var/lib/flower"

URL_ENV = {"broker": "CELERY_BROKER_URL", "resultBackend": "CELERY_RESULT_BACKEND"}
PARTS = {"broker": "BROKER", "resultBackend": "RESULT_BACKEND"}
"""What the parts of a connection are called in a pod: `CELERYAPP_BROKER_PASSWORD`, /etc/celery-tls/BROKER."""

BROKERS = {
    "redis": "Redis",
    "rediss": "Redis",
    "sentinel": "Redis",
    "amqp": "RabbitMQ",
    "amqps": "RabbitMQ",
    "pyamqp": "RabbitMQ",
    "sqs": "SQS",
}
"""Which broker the scheme of a URL leads to."""

_WORD = re.compile(r"(?!localhost$|0x|[0-9]+$)[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.IGNORECASE)
_SQS_ALPHABET = {ord(char): "_" for char in string.punctuation if char not in "-_"} | {ord("."): "-"}


def derived(app: str, component: str) -> str:
    """Return the name of a child: `shop-mail`."""
    return f"{app}-{component}"


def selector(app: str, component: str) -> dict[str, str]:
    """Return the labels that tell a component's pods from all others. A Deployment can never change them."""
    return {APP_LABEL: app, COMPONENT_LABEL: component}


def pod_labels(app: str, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "celery",
        "app.kubernetes.io/instance": app,
        "app.kubernetes.io/component": component,
        **selector(app, component),
    }


def labels(app: str, component: str) -> dict[str, str]:
    return {**pod_labels(app, component), MANAGED_BY_LABEL: MANAGED_BY}


def part(connection: str, name: str) -> str:
    """Return the variable of a part of `broker` or `resultBackend`."""
    return f"CELERYAPP_{PARTS[connection]}_{name}"


def nodename(component: str) -> str:
    """Return the Celery node name; Celery puts the pod's name in place of %h."""
    return f"{component}@%h"


def is_word(host: str) -> bool:
    """Say whether a host's name is one word: a Service of the namespace in which whoever looks it up is."""
    return bool(_WORD.fullmatch(host))


def sqs_queue(queue: str, prefix: str) -> str:
    """Return what kombu calls a queue on Amazon SQS, which knows letters, digits, - and _ and the suffix .fifo."""
    name = f"{prefix}{queue}"
    plain = name.removesuffix(".fifo")
    return plain.translate(_SQS_ALPHABET) + name[len(plain) :]
