"""The reconciler that runs until it is told to stop: changes wake it, the queue says who is next, threads look."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from reconciler.cluster.client import Cluster
from reconciler.cluster.lease import Alone, Lease
from reconciler.cluster.transport import Access, Transport
from reconciler.model import Ref
from reconciler.service import health
from reconciler.service.bell import Bell
from reconciler.service.health import Health
from reconciler.service.looks import Looks
from reconciler.service.metrics import Metrics
from reconciler.service.queue import Queue
from reconciler.service.readers import Readers
from reconciler.service.settings import Settings

log = logging.getLogger(__name__)

SYNC_SECONDS = 20.0
"""So much later a term begins for a kind that does not come, by when one that hangs is known to. Of thousands of
objects it takes seconds to read each, and a status that is written without them has to be written again."""
END_SECONDS = 10.0
"""So long the end waits for looks under way, before the Lease is given to another."""
STUCK_SECONDS = 120.0
"""Longer than the interval by so much without a turn of each thread: the kubelet should start it anew."""
STUCK_LOOKS_SECONDS = 600.0
"""One look may take as long, of an app whose every child hangs on a webhook: not all of them."""
THREADLESS_SECONDS = 5.0
"""After which an app is looked at for which there could be no thread."""
GARBAGE_OBJECTS = 100_000
"""Reading a list makes as many objects, none of them in a cycle: to look for cycles every 700 doubles its time."""

Count = Callable[[str, str], None]


def run(settings: Settings, bell: Bell) -> bool:
    """Return whether all went well at the end. Raises NoCluster, OSError if the port is taken."""
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    metrics, condition = Metrics(), Health(time.monotonic, settings.interval + STUCK_SECONDS)
    access = settings.access()

    def count(verb: str, code: str) -> None:
        metrics.request(verb, code)
        condition.answered(code)

    lease = _lease(settings, access, count)

    def may_write() -> bool:
        return lease.held() and not bell.stopped and not settings.dry_run

    cluster = Cluster(Transport(access, may_write, count, settings.request_timeout, lease.seconds_left))
    looks = Looks(cluster, settings, metrics, bell.ring)
    looks.previews = {} if settings.dry_run else None
    metrics.watch(lease.held, lambda: looks.queue.depth)
    metrics.count(lambda: looks.rollouts.counts, lambda: looks.cache.unreadable)
    if settings.metrics_port:
        readers = Readers(Cluster(Transport(access, lambda: True, count))) if settings.metrics_authentication else None
        health.serve(settings.metrics_port, condition, metrics.registry, readers)
    lease.start(bell.ring, partial(condition.turned, "lease"))
    try:
        while not bell.stopped:
            condition.turned("queue")
            if not (term := lease.term):
                bell.wait(1.0)
            elif settings.once:
                return _once(looks, partial(_holds, lease, term, bell))
            else:
                _serve(looks, partial(_holds, lease, term, bell), bell, condition)
        return True
    finally:
        if _comes_to_an_end(looks.queue):
            lease.release()


def _holds(lease: Lease | Alone, term: int, bell: Bell) -> bool:
    return lease.term == term and not bell.stopped


def _once(looks: Looks, holds: Callable[[], bool]) -> bool:
    results = looks.look_at_all(holds)
    absent = [] if results else looks.absent()
    for name in absent:
        log.error("there is no namespace %s", name)
    if waiting := looks.rollouts.counts["waiting"]:
        log.warning("%s apps wait until fewer roll out: run it again", waiting)
    return (
        holds()
        and not absent
        and not any(store.problem for store in looks.cache.stores)
        and not any(each.problem for each in results)
    )


def _serve(looks: Looks, holds: Callable[[], bool], bell: Bell, condition: Health) -> None:
    """Look at whoever is next, for one term: nothing that was planned in it is written after it."""
    looks.begin(SYNC_SECONDS, condition.turned, holds)
    while holds():
        if looks.queue.stuck_seconds < STUCK_LOOKS_SECONDS:
            condition.turned("queue")
        looks.ticks.turn()
        looks.rollouts.turn()
        while holds() and (app := looks.queue.take()):
            _look(looks, app, holds)
        bell.wait(min(looks.queue.pause_seconds, 1.0))
    looks.end()


def _look(looks: Looks, ref: Ref, holds: Callable[[], bool]) -> None:
    """Look at an app in a thread of its own: nobody waits for it."""

    def look() -> None:
        try:
            if app := looks.cache.apps.get(ref):
                looks.look(app, holds)
        finally:
            looks.queue.done(ref)

    try:
        threading.Thread(target=look, name=f"look {ref}", daemon=True).start()
    except RuntimeError:  # no thread can be had just now
        looks.queue.done(ref)
        looks.queue.add(ref, THREADLESS_SECONDS)


def _comes_to_an_end(queue: Queue) -> bool:
    """Wait for what is being written, and say whether nothing is any more."""
    end = time.monotonic() + END_SECONDS
    while queue.is_busy and time.monotonic() < end:
        time.sleep(0.02)
    return not queue.is_busy


def _lease(settings: Settings, access: Access, count: Count) -> Lease | Alone:
    if not (claim := settings.claim()):
        return Alone()
    # A renewal that takes longer than the Lease is worth could not be used.
    transport = Transport(access, lambda: True, count, silence_seconds=claim.deadline_seconds / 3)
    return Lease(Cluster(transport), claim, time.monotonic)
