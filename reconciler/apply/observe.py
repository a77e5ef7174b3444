"""What is there, and what the API server would answer: every read of a pass. Nothing here writes.

A steady pass is one LIST of each kind, for all apps. Children are read before the apps: whether a child is still
desired is then judged by a younger spec than it was made from, never by an older one.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from reconciler.apply.child import Child
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import Conflict, Forbidden, ListFailed, NotFound
from reconciler.cluster.live import App, Live
from reconciler.model import APP_LABEL, CELERY_APP, CHILD_KINDS, POD, POD_METRICS, Kind, Manifest, Options, Ref
from reconciler.scaling import usage
from reconciler.scaling.model import Sample
from reconciler.scaling.usage import Seen

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Observed:
    """Every app, and every object that is labelled as the child of one."""

    apps: tuple[App, ...]
    lives: Mapping[Ref, Live]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Kinds that may not be listed, with the server's reason: nothing is known of their objects."""

    def of(self, app: App) -> dict[Ref, Live]:
        """Return what is labelled as the app's own, or has it as its controller."""
        labelled = self._labelled.get((app.ref.namespace, app.label), ())
        return {live.ref: live for live in (*labelled, *self._controlled.get(app.uid, ()))}

    @cached_property
    def _labelled(self) -> Mapping[tuple[str, str], list[Live]]:
        return _grouped(((live.ref.namespace, live.app), live) for live in self.lives.values())

    @cached_property
    def _controlled(self) -> Mapping[str, list[Live]]:
        return _grouped((live.controller.uid, live) for live in self.lives.values() if live.controller)


@dataclass(frozen=True)
class Fleet:
    """The pods of every Deployment, and what they use."""

    pods: Mapping[tuple[str, str], list[Seen]]
    """By namespace and Deployment."""
    samples: Mapping[tuple[str, str], Mapping[str, Sample]]
    """By namespace and pod, and by resource."""
    blind: str = ""
    """Why nothing is known of pods, if so."""
    unmeasured: str = ""
    """Why nothing is known of what they use, if so."""


def everything(cluster: Cluster, options: Options, before: Mapping[Ref, Live]) -> Observed:
    """Return the apps and their children. Raises ListFailed: a list that failed is never an empty one.

    What has not changed since the pass before is the same value.
    """

    def listed(kind: Kind) -> list[Live] | ListFailed:
        try:
            return cluster.listed(kind, live, options.namespace, APP_LABEL)
        except ListFailed as failure:
            if not isinstance(failure.__cause__, Forbidden):
                raise
            return failure  # a verb is missing: only apps that use this kind have to suffer

    def live(manifest: Manifest) -> Live:
        return _same(before.get(Ref.of(manifest)), manifest) or Live.of(manifest)

    with _no_search_for_cycles(), ThreadPoolExecutor(len(CHILD_KINDS)) as pool:
        # At once, since each waits until the API server's cache has heard of the newest write, up to 0.1 s after it.
        found = dict(zip(CHILD_KINDS, pool.map(listed, CHILD_KINDS), strict=True))
        apps = cluster.listed(CELERY_APP, App.of, options.namespace, options.selector)
    unreadable = {kind.name: str(lives) for kind, lives in found.items() if isinstance(lives, ListFailed)}
    readable = [lives for lives in found.values() if not isinstance(lives, ListFailed)]
    return Observed(tuple(apps), {live.ref: live for lives in readable for live in lives}, unreadable)


def fleet(cluster: Cluster, options: Options) -> Fleet:
    """Return the pods of all apps and what they use, by one LIST of each. One that failed is told apart from none."""
    with _no_search_for_cycles(), ThreadPoolExecutor(1) as pool:
        measuring = pool.submit(_tried, cluster, POD_METRICS, usage.measured, options)
        pods, blind = _tried(cluster, POD, usage.seen, options)
        measured, unmeasured = measuring.result()
    return Fleet(
        _grouped(((each.ref.namespace, each.deployment), each) for each in pods if each),
        {(each.namespace, each.pod): each.samples for each in measured},
        blind,
        unmeasured,
    )


def _tried(
    cluster: Cluster, kind: Kind, made: Callable[[Manifest], Value], options: Options
) -> tuple[list[Value], str]:
    try:
        return cluster.listed(kind, made, options.namespace, APP_LABEL), ""
    except ListFailed as failure:
        return [], str(failure)


def unlisted(child: Child, cluster: Cluster) -> Child:
    """Return a child that the lists did not show with what is there all the same, or what creating it would give.

    A label taken off hides a child from the lists; a foreign object of the name was never in them.
    """
    try:
        return child.answered(cluster.apply(child.guarded, dry_run=True))
    except Conflict:
        try:
            return child.found(cluster.get(child.ref))
        except NotFound:  # it has gone in between
            return child


def answer(child: Child, cluster: Cluster) -> Child:
    """Return the child with what the server would make of it."""
    return child.answered(cluster.apply(child.guarded, dry_run=True))


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Leave garbage to reference counts: JSON has no cycles, and to look for some takes as long as to read it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _same(live: Live | None, manifest: Manifest) -> Live | None:
    metadata = manifest["metadata"]
    identity = (metadata["uid"], metadata["resourceVersion"])
    return live if live and (live.uid, live.resource_version) == identity else None


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> Mapping[Key, list[Value]]:
    groups: dict[Key, list[Value]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
