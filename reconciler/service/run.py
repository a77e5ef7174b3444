"""The reconciler that runs until it is told to stop, put together from its parts."""

import gc
import time
from collections.abc import Callable
from functools import partial

from reconciler import reconcile
from reconciler.cluster.client import Cluster
from reconciler.cluster.lease import Alone, Lease
from reconciler.cluster.transport import Access, Transport
from reconciler.memory import Memory
from reconciler.model import PassResult
from reconciler.reconcile import World
from reconciler.scaling.demand import Demand
from reconciler.service import health, loop, watch
from reconciler.service.bell import Bell
from reconciler.service.health import Health
from reconciler.service.loop import Work
from reconciler.service.metrics import Metrics
from reconciler.service.settings import Settings

STUCK_SECONDS = 120.0
"""Longer than the interval by so much without a turn of the loop or an answer: the kubelet should start it anew."""

GARBAGE_OBJECTS = 100_000
"""Reading a list makes as many objects, none of them in a cycle: to look for cycles every 700 doubles its time."""

Count = Callable[[str, str], None]


def run(settings: Settings, bell: Bell) -> PassResult | None:
    """Return what the last pass did, None if it came to nothing. Raises NoCluster, OSError if the port is taken."""
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    metrics, condition = Metrics(), Health(time.monotonic, settings.interval + STUCK_SECONDS)
    access = settings.access()

    def count(verb: str, code: str, *, in_pass: bool = True) -> None:
        metrics.request(verb, code)
        condition.answered(verb, code, in_pass=in_pass)

    lease = _lease(settings, access, partial(count, in_pass=False))

    def may_write() -> bool:
        return lease.held() and not bell.stopped and not settings.dry_run

    cluster = Cluster(Transport(access, may_write, count, settings.request_timeout))
    world = World(cluster, Demand(cluster, settings.broker_timeout))
    work = Work(
        a_pass=lambda memory, now: reconcile.run_pass(world, memory, settings.options, now),
        fresh_memory=Memory,
        leads=lease.held,
        turned=condition.turned,
        begun=partial(watch.start, cluster, settings.options, bell) if settings.watch else lambda: None,
    )
    metrics.leads(lease.held)
    if settings.metrics_port:
        health.serve(settings.metrics_port, condition, metrics.registry)
    lease.start(changed=bell.ring)
    try:
        return loop.run(work, settings.rhythm, bell, metrics)
    finally:
        lease.release()


def _lease(settings: Settings, access: Access, count: Count) -> Lease | Alone:
    if not (claim := settings.claim()):
        return Alone()
    # A renewal that takes longer than the Lease is worth could not be used.
    transport = Transport(access, lambda: True, count, silence_seconds=claim.deadline_seconds / 3)
    return Lease(Cluster(transport), claim, time.monotonic)
