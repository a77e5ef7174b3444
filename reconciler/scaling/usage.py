"""Pods, and what their Celery containers use, as the API server lists them. Pure values."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.model import Manifest, Ref, Unready
from reconciler.scaling.model import RESOURCES, Pod, Sample
from render import quantity
from render.naming import WORKER_CONTAINER

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost"""
COST_BEFORE = "celeryproject.org/deletion-cost-before"
"""Beside a deletion cost that we have written: the one before, or nothing if there was none."""

_HASH = "pod-template-hash"
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seen(NamedTuple):
    """One pod of a Deployment."""

    ref: Ref
    uid: str
    resource_version: str
    deployment: str
    deletion_cost: int
    pod: Pod
    cost_before: str | None = None
    """What stood there before we have written it; None: we have not."""
    unready: Unready | None = None
    """Why it is not ready, as its status tells."""

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """What it is looked up by: its Deployment."""
        return ((self.ref.namespace, self.deployment),)


class Measured(NamedTuple):
    """What one pod used."""

    namespace: str
    pod: str
    samples: Mapping[str, Sample]
    """By resource."""


def seen(manifest: Manifest, _old: Seen | None = None) -> Seen | None:
    """Return the pod; None for one that no Deployment has: labels alone make nobody a member."""
    if not (deployment := _deployment(manifest["metadata"])):
        return None
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    ready = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), None)
    pod = Pod(
        name=metadata["name"],
        phase=status.get("phase", ""),
        is_terminating="deletionTimestamp" in metadata,
        is_ready=None if ready is None else ready["status"] != "False",
        is_unknown=ready is not None and ready["status"] == "Unknown",
        ready_since=_time((ready or {}).get("lastTransitionTime")),
        started_at=_time(status.get("startTime")),
        is_running=_is_running(status),
        requests=_requests(manifest),
    )
    version = metadata.get("resourceVersion", "")
    before = (metadata.get("annotations") or {}).get(COST_BEFORE)
    return Seen(Ref.of(manifest), metadata["uid"], version, deployment, _cost(metadata), pod, before)


def measured(manifest: Manifest) -> Measured:
    """Return what the pod's Celery container used; nothing if it was not measured."""
    metadata, at = manifest["metadata"], _time(manifest["timestamp"])
    used = _celery(manifest.get("containers")).get("usage") or {}
    window_seconds = _seconds(manifest["window"])
    samples = {
        name: Sample(quantity.milli(used[name]), at, window_seconds) for name in RESOURCES if name in used and at
    }
    return Measured(metadata["namespace"], metadata["name"], samples)


def _deployment(metadata: Manifest) -> str:
    """Return the name of the pod's Deployment: its ReplicaSet's without the hash, which the pod is labelled with.

    https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/controller/deployment/sync.go (getNewReplicaSet)
    """
    owners = (each for each in metadata.get("ownerReferences") or () if each.get("controller"))
    replica_set = next((each["name"] for each in owners if each["kind"] == "ReplicaSet"), "")
    name, dash, hashed = replica_set.rpartition("-")
    is_its = dash and hashed == (metadata.get("labels") or {}).get(_HASH)
    return name if is_its else ""


def _is_running(status: Manifest) -> bool:
    """Say whether the container that runs Celery does; where nothing is said of it, whether the pod does.

    A pod is Pending as long as any of its containers has yet to start.
    """
    state = _celery(status.get("containerStatuses")).get("state")
    return "running" in state if state else status.get("phase") == "Running"


def _requests(manifest: Manifest) -> dict[str, int | None]:
    requests = (_celery(manifest["spec"]["containers"]).get("resources") or {}).get("requests") or {}
    return {name: quantity.milli(requests[name]) if name in requests else None for name in RESOURCES}


def _celery(containers: list[Manifest] | None) -> Manifest:
    return next((each for each in containers or () if each["name"] == WORKER_CONTAINER), {})


def _cost(metadata: Manifest) -> int:
    """Return the pod's deletion cost; 0, as the ReplicaSet controller does, for one that is no number."""
    text = (metadata.get("annotations") or {}).get(DELETION_COST, "0")
    return int(text) if re.fullmatch(r"-?\d{1,10}", text) else 0


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _seconds(duration: str) -> float:
    """Return Go's duration, `1m0.5s`, in seconds."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))
