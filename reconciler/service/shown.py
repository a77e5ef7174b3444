"""What commands read that write nothing: apps, who reports them, what changes."""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from reconciler import clock
from reconciler.cluster.client import Cluster, Listed, Where
from reconciler.cluster.errors import ClusterError, Expired, ListFailed, NotFound, Unavailable
from reconciler.cluster.live import App
from reconciler.model import APP_LABEL, CELERY_APP, LEASE, POD, Manifest, Ref, Unready
from reconciler.status import pods, quiet, text
from reconciler.status.explain import MANY_PODS
from render.naming import COMPONENT_LABEL

WATCH_SECONDS = 300.0
OLD_LEASES = 4
"""Times the duration of a Lease, after which nobody holds it any more."""


def apps(cluster: Cluster, where: Where, names: Iterable[str] = ()) -> Listed[Manifest]:
    """Return the apps there are, or those of these names. Raises NotFound where there is no such place or app."""
    listed, wanted = cluster.list(CELERY_APP, lambda manifest: manifest, where), set(names)
    if not listed.items and where.namespace and not cluster.has_namespace(where.namespace):
        raise NotFound(f"there is no namespace {where.namespace}")
    if absent := wanted - {app["metadata"]["name"] for app in listed.items}:
        raise NotFound(f"there is no CeleryApp {', '.join(sorted(absent))} {_place(where)}")
    return listed._replace(items=[app for app in listed.items if not wanted or app["metadata"]["name"] in wanted])


def notes(cluster: Cluster, where: Where, found: Iterable[Manifest]) -> Iterator[str]:
    """Yield what is to be known of the whole: that there is nothing, or that nobody keeps it up."""
    reconcilers = {(app.get("status") or {}).get("reconciler", "") for app in found}
    if not reconcilers:
        yield f"there are no CeleryApps {_place(where)}" + (
            "; -A shows those of all namespaces" if where.namespace else ""
        )
    for name in sorted(reconcilers):
        if words := absence(cluster, name):
            yield words


def absence(cluster: Cluster, reconciler: str) -> str:
    """Return since when a reconciler is away, by its Lease; empty if it is not, or nobody may know."""
    namespace, slash, name = reconciler.partition("/")
    if not slash:
        return ""
    try:
        spec = cluster.get(Ref(LEASE.api_version, LEASE.name, namespace, name)).get("spec") or {}
    except NotFound:
        return f"the reconciler {reconciler} is gone: what is shown is not kept up"
    except ClusterError:
        return ""
    renewed, seconds = spec.get("renewTime"), spec.get("leaseDurationSeconds") or 15
    is_held = renewed and clock.now().wall - datetime.fromisoformat(renewed) < timedelta(seconds=OLD_LEASES * seconds)
    return "" if is_held else f"the reconciler {reconciler} is away since {renewed}: what is shown is not kept up"


def unready(cluster: Cluster, app: Manifest) -> tuple[dict[str, list[Unready]], list[str]]:
    """Return why pods of each of an app's components are not ready, by their names, and what of it may not be read.

    Events are asked of those only that are shown: there may be hundreds of pods.
    """
    known = App.of(app)
    where = Where(known.ref.namespace, f"{APP_LABEL}={known.label}")
    try:
        listed = cluster.list(
            POD, lambda pod: (pod["metadata"]["labels"].get(COMPONENT_LABEL), pods.unready(pod)), where
        )
        found: dict[str, list[Unready]] = {}
        for component, why in listed.items:
            if why:
                found.setdefault(component, []).append(why)
        for component, its in found.items():
            its.sort(key=lambda each: each.pod.name)
            found[component] = [*(_voiced(cluster, each) for each in its[:MANY_PODS]), *its[MANY_PODS:]]
    except ListFailed as failure:
        return {}, [f"Nothing is known of its pods: {failure}"]
    return found, []


def _voiced(cluster: Cluster, about: Unready) -> Unready:
    """Return a pod with what its Events tell, if it does not say itself why it is not ready."""
    return (pods.heard(about, quiet.events(cluster, about)) or about) if about.asks else about


def changes(cluster: Cluster, where: Where, names: Iterable[str], found: Listed[Manifest]) -> Iterator[Manifest]:
    """Yield the apps of which something else is to be shown than before, for ever."""
    shown, since, wanted = {_key(app): _shown(app) for app in found.items}, found.resource_version, set(names)
    while True:
        try:
            for event, app in cluster.watch(CELERY_APP, where, since, WATCH_SECONDS):
                since = app["metadata"]["resourceVersion"]
                is_wanted = event in {"ADDED", "MODIFIED"} and (not wanted or app["metadata"]["name"] in wanted)
                if is_wanted and shown.get(_key(app)) != _shown(app):
                    shown[_key(app)] = _shown(app)
                    yield app
        except (Expired, Unavailable):
            time.sleep(1)
            since = apps(cluster, where).resource_version


def _key(app: Manifest) -> tuple[str, str]:
    return app["metadata"]["namespace"], app["metadata"]["name"]


def _shown(app: Manifest) -> list[text.Row]:
    return list(text.rows(app))


def _place(where: Where) -> str:
    labelled = f"labelled {where.selector} " if where.selector else ""
    return labelled + (f"in namespace {where.namespace}" if where.namespace else "in the cluster")
