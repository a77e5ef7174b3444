"""The scaling clock: every group is decided once a tick, as soon as its broker has answered what there is to do."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from reconciler.apply import plan
from reconciler.cluster.cache import Cache, Store, stored
from reconciler.cluster.client import Cluster
from reconciler.cluster.live import App
from reconciler.model import APP_LABEL, HORIZONTAL_POD_AUTOSCALER, POD, Manifest, Ref
from reconciler.scaling import groups, sight, usage
from reconciler.scaling.demand import Demand, Demanded
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import TICK_SECONDS
from reconciler.scaling.rivals import autoscaler
from reconciler.scaling.sight import Measured, Sight
from reconciler.service.glances import FIRST, Glances
from reconciler.status import pods

log = logging.getLogger(__name__)

OLDEST_SECONDS = 4 * TICK_SECONDS
"""Nothing is decided on what was seen longer ago."""


class Ticks:
    def __init__(self, cluster: Cluster, cache: Cache, demand: Demand, namespaces: tuple[str, ...]) -> None:
        self.pods = stored(cluster, POD, _seen, namespaces, APP_LABEL)
        self.autoscalers = stored(cluster, HORIZONTAL_POD_AUTOSCALER, autoscaler, namespaces, "")
        self.groups: Callable[[App], tuple[Group, ...]] = lambda _: ()
        self.wake: Callable[[Ref], None] = lambda _: None
        self.follow: Callable[[Store[Any]], None] = lambda _: None
        self._follows = False
        self._cluster, self._cache, self.demand, self._namespaces = cluster, cache, demand, namespaces
        self._sights: dict[str, Sight] = {}
        self._stores: tuple[Store[Any], ...] = (*self.pods.each, *self.autoscalers.each)
        self.glances = Glances(cache)
        self._number = 0
        self._next = 0.0
        self._first: set[Ref] = set()
        self._thread = threading.Thread()

    def of(self, app: App) -> Sight | None:
        """Return what was seen for an app at a glance, once, else at its last tick, if that was not long ago."""
        found = self._sights.get(app.uid)
        if woken := frozenset(key for key in self.glances.take(app) if not (found and found.waits(key))):
            self.wake(app.ref)  # for what was seen at the tick
            return Sight(0, self.pods, self.autoscalers, Measured({}), demanded=dict.fromkeys(woken, FIRST), only=woken)
        return None if found is None or time.monotonic() - found.began > OLDEST_SECONDS else found

    def soon(self, app: App) -> None:
        """Have an app seen before the next tick: it had none yet."""
        self._first.add(app.ref)

    def forget_all(self) -> None:
        """Begin anew: what was seen before another decided is of no use."""
        self._sights = {}
        self.glances.forget_all()

    def forget(self, app: App) -> None:
        self._sights.pop(app.uid, None)
        self.glances.forget(app)

    def turn(self) -> None:
        """Tick and glance if it is time, beside what else there is to do; one tick at a time."""
        self.glances.turn(self.demand.glance, self.wake)
        if self._thread.is_alive():
            return
        if apps := self._due():
            self._thread = threading.Thread(target=self.tick, args=[apps], name="tick", daemon=True)
            self._thread.start()

    def tick(self, apps: Iterable[App]) -> None:
        """Look at what the apps are scaled by; a fault of our own costs this tick and no more."""
        try:
            self._tick(apps)
        except Exception:
            log.exception("tick crashed")

    def _tick(self, apps: Iterable[App]) -> None:
        """Those that are scaled by their queues alone need not wait for what pods use."""
        apps = [app for app in apps if self.groups(app)]
        if apps and not self._follows:
            self._follows = True
            for store in self.autoscalers.each:
                self.follow(store)
        uses = {app.uid: any(group.policy.metrics for group in self.groups(app)) for app in apps}
        for by_usage in (False, True):
            some = [app for app in apps if uses[app.uid] is by_usage]
            seen, refs = self.see(some), {app.uid: app.ref for app in some}
            self.demand.look(seen.crews, partial(self._answered, seen, refs))

    def waited_for(self, apps: Iterable[App]) -> None:
        """Tick, and return when all brokers have answered or had their time."""
        seen = self.see(apps)
        self.demand.of(seen.crews, seen.hear)

    def see(self, apps: Iterable[App]) -> Sight:
        """Return what there is to see for these apps before their brokers have answered."""
        scaled = {app: self.groups(app) for app in apps}
        for store in self._stores:
            if any(scaled.values()) and not store.is_watched:
                store.refresh()
        uses = any(group.policy.metrics for found in scaled.values() for group in found)
        self._number += 1
        measured = sight.measured(self._cluster, self._namespaces) if uses else Measured({})
        seen = Sight(self._number, self.pods, self.autoscalers, measured)
        for app, found in scaled.items():
            lives = (live for live in self._cache.of(app).values() if plan.belongs(app, live))
            targets = list(groups.targets(app, found, lives))
            seen.crews.update(groups.crews(targets, seen))
            self.glances.follow(app, targets)
            self._sights[app.uid] = seen
        return seen

    def _due(self) -> list[App]:
        now = time.monotonic()
        first = [self._first.pop() for _ in range(len(self._first))]  # others add to it meanwhile
        if now >= self._next:
            self._next = now + TICK_SECONDS
            apps = self._cache.apps.all()
            uids = {app.uid for app in apps}
            self._sights = {uid: seen for uid, seen in list(self._sights.items()) if uid in uids}
            self.glances.keep(frozenset(app.uid for app in apps if self.groups(app)))
            return apps
        return [app for ref in first if (app := self._cache.apps.get(ref))]

    def _answered(self, seen: Sight, refs: Mapping[str, Ref], told: Mapping[GroupKey, Demanded]) -> None:
        seen.hear(told)
        for uid in {uid for uid, _ in told}:
            self.wake(refs[uid])


def _seen(manifest: Manifest, _old: usage.Seen | None = None) -> usage.Seen | None:
    """Return a pod as it is scaled, and why it is not ready."""
    found = usage.seen(manifest)
    return found and found._replace(unready=pods.unready(manifest))
