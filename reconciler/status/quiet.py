"""Pods that do not say why they are not ready: their Events are asked, of one pod of a Deployment, and seldom."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.cluster.client import Cluster, Where
from reconciler.cluster.errors import ListFailed
from reconciler.model import EVENT, Moment, Ref, Unready
from reconciler.status import pods
from reconciler.status.pods import Told

log = logging.getLogger(__name__)

PATIENCE_SECONDS = {pods.MOUNTING: 10.0, pods.PROBING: 30.0}
"""Before anything is asked: pods take some time to begin."""
LONGEST_PAUSE_SECONDS = 300.0


class Asked(NamedTuple):
    """What the Events of a Deployment's pods have told."""

    asks: tuple[str, ...]
    again_at: datetime
    """When they are asked next, by the steady clock."""
    told: Unready | None = None


def asked(
    cluster: Cluster, unready: Mapping[Ref, list[Unready]], before: Mapping[Ref, Asked], now: Moment
) -> dict[Ref, Asked]:
    """Return what is known of each Deployment of whose pods some do not say what they wait for."""
    quiet = {ref: min(some, key=_age) for ref, each in unready.items() if (some := [pod for pod in each if pod.asks])}
    return {ref: _asked(cluster, pod, before.get(ref), now) for ref, pod in quiet.items()}


def events(cluster: Cluster, pod: Unready) -> list[Told]:
    """Return the warnings there are of a pod. Raises ListFailed."""
    fields = f"regarding.kind=Pod,regarding.name={pod.pod.name},type=Warning"
    return cluster.list(EVENT, pods.told, Where(pod.pod.namespace, fields=fields)).items


def voiced(unready: Iterable[Unready], known: Asked | None) -> list[Unready]:
    """Return the pods with what the Events of one of them have told."""
    if known is None or known.told is None:
        return list(unready)
    told = known.told
    return [
        each._replace(reason=told.reason, message=told.message) if each.asks == known.asks else each for each in unready
    ]


def _asked(cluster: Cluster, pod: Unready, before: Asked | None, now: Moment) -> Asked:
    """Ask again after as long as it has lasted so far: at first soon, then every five minutes."""
    if before and before.asks == pod.asks and now.steady < before.again_at:
        return before
    lasted = max((now.wall - pod.since).total_seconds(), 0.0) if pod.since else 0.0
    patience = PATIENCE_SECONDS[pod.asks]
    if lasted < patience:
        return Asked(pod.asks, now.steady + timedelta(seconds=patience - lasted))
    again_at = now.steady + timedelta(seconds=min(max(lasted, patience), LONGEST_PAUSE_SECONDS))
    try:
        told = events(cluster, pod)
    except ListFailed as failure:
        log.warning("%s", failure)
        return Asked(pod.asks, again_at, before.told if before and before.asks == pod.asks else None)
    return Asked(pod.asks, again_at, pods.heard(pod, told))


def _age(pod: Unready) -> tuple[str, str]:
    return str(pod.since), pod.pod.name
