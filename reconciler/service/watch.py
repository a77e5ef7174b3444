"""Watches, only to begin a pass early: what they say is not read, and one that breaks costs nothing but time."""

import logging
import random
import threading
import time

from reconciler.cluster import errors
from reconciler.cluster.client import Cluster
from reconciler.model import (
    APP_LABEL,
    CELERY_APP,
    CHILD_KINDS,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Kind,
    Options,
)
from reconciler.service.bell import Bell

log = logging.getLogger(__name__)

RESTLESS = (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
"""Kinds whose status is written again and again: what is done to such an object waits for the next pass."""
LASTING_SECONDS = 30.0
"""A watch that ends earlier is broken."""
LONGEST_PAUSE_SECONDS = 300.0


def start(cluster: Cluster, options: Options, bell: Bell) -> None:
    """Ring the bell whenever an app or a child changes, from a thread for each kind."""

    def ring_on_change(kind: Kind, selector: str) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                for _ in cluster.watch(kind, options.namespace, selector):
                    bell.ring()
            except errors.ClusterError as error:
                log.debug("%s", error)
            failures = 0 if time.monotonic() - started > LASTING_SECONDS else failures + 1
            time.sleep(pause_seconds(failures, random.uniform(-1, 1)))  # noqa: S311 (no secret)

    for kind in (CELERY_APP, *(kind for kind in CHILD_KINDS if kind not in RESTLESS)):
        selector = options.selector if kind == CELERY_APP else APP_LABEL
        threading.Thread(target=ring_on_change, args=[kind, selector], name=f"watch {kind.name}", daemon=True).start()


def pause_seconds(failures: int, jitter: float) -> float:
    """Return how long to rest before a watch is opened again: 1, 2, 4 … seconds, five minutes at most."""
    return min(LONGEST_PAUSE_SECONDS, 2.0 ** min(failures - 1, 16)) * (1 + jitter / 10) if failures else 0.0
