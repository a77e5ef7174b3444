"""Looks at apps: what wakes one, what is remembered from one to the next, and what all have in common."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from reconciler import clock, reconcile
from reconciler.apply import plan
from reconciler.cluster.cache import Cache, Store, pause_seconds, stored
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Halted
from reconciler.cluster.live import App, Live
from reconciler.model import APP_LABEL, CELERY_APP, CHILD_KINDS, DEPLOYMENT, AppResult, Moment, Ref, StepResult, paths
from reconciler.reconcile import Memory, World
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.demand import Demand
from reconciler.scaling.group import Group
from reconciler.scaling.usage import Seen
from reconciler.service import logs
from reconciler.service.metrics import Metrics
from reconciler.service.queue import Queue
from reconciler.service.rollouts import Rollouts
from reconciler.service.settings import Settings
from reconciler.service.ticks import Ticks
from reconciler.status import report
from render import schema, since

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0
"""Within which several changes of an app's children are reported together."""
CRASHED_SECONDS, HALTED_SECONDS = 60.0, 1.0
LONGEST_PAUSE_SECONDS = 4.0
"""Before it is tried again to read all apps, without which nothing is done."""


class Looks:
    def __init__(self, cluster: Cluster, settings: Settings, metrics: Metrics, wake: Callable[[], None]) -> None:
        namespaces = settings.namespaces
        self.cluster, self.settings, self.metrics = cluster, settings, metrics
        self.cache = Cache(
            stored(cluster, CELERY_APP, App.of, namespaces, settings.selector),
            {kind.name: stored(cluster, kind, Live.of, namespaces, APP_LABEL) for kind in CHILD_KINDS},
        )
        self.queue = Queue(time.monotonic, settings.concurrency, wake)
        self.rollouts = Rollouts(settings.rollouts, self.queue.add, time.monotonic)
        demand = Demand(cluster, Hosts.of(settings.broker_hosts), settings.broker_timeout)
        self.ticks = Ticks(cluster, self.cache, demand, namespaces)
        self.now: Callable[[], Moment] = clock.now
        self.previews: dict[Ref, tuple[StepResult, ...]] | None = None
        """What a dry run has logged of each app; None if that is not to be logged."""
        self.memories: dict[str, Memory] = {}
        """By UID: an app that is deleted and created again is another."""
        self._installation, self._schema = settings.installation, schema.load(schema.KUBERNETES)
        self._turned: Callable[[str], None] | None = None
        self.ticks.groups, self.ticks.wake, self.ticks.follow = self._groups, self.queue.add, self._follow
        for apps in self.cache.apps.each:
            apps.heard = self._heard_of_app
        for children in (store for kind in self.cache.children.values() for store in kind.each):
            children.heard, children.recovered = self._heard_of_child, self.add_all
        for pods in self.ticks.pods.each:
            pods.heard = self._heard_of_pod

    def begin(self, sync_seconds: float, turned: Callable[[str], None], holds: Callable[[], bool]) -> None:
        """Begin a term: what was remembered may not be so any more, since another may have written.

        Nothing is done before it is known what is wanted; for a kind of children nobody waits for long.
        """
        self.memories = {}
        self.ticks.forget_all()
        self.cache.sync(sync_seconds)
        self._ask_release()
        self.rollouts.adopt()
        if not self._turned:
            self._turned = turned
            threading.Thread(target=self._follow_release, args=[turned], name="follow release", daemon=True).start()
            for store in (*self.cache.stores, *self.ticks.pods.each):
                self._follow(store)
        failures = 0
        while self.cache.apps.is_blind and holds():
            turned("queue")
            failures += 1
            time.sleep(pause_seconds(failures, LONGEST_PAUSE_SECONDS))
            self.cache.apps.refresh(consistently=True)
        self.add_all()

    def end(self) -> None:
        """End a term: from now on another is connected to the brokers."""
        self.ticks.demand.close()

    def look(self, app: App, holds: Callable[[], bool]) -> AppResult | None:
        """Look at one app, and write only while it holds; None if nothing came of it."""
        began = time.monotonic()
        logs.looked_at.set(app.ref)  # whoever uses the thread next sets it anew
        self.rollouts.forget(app.ref)
        world = World(
            cluster=self.cluster.in_term(holds),
            cache=self.cache,
            schema=self._schema,
            sight=self.ticks.of(app),
            pods=self.ticks.pods,
            now=self.now(),
            installation=self._installation,
            dry_run=self.settings.dry_run,
            lends=self.settings.allow_cluster_trigger_authentication,
            may_roll=(lambda _: True) if self.settings.dry_run else self.rollouts.may_roll,
        )
        try:
            found = reconcile.look(world, app, self.memories.get(app.uid, Memory()))
        except Halted:
            self.metrics.ended("halted", time.monotonic() - began)
            self.queue.add(app.ref, HALTED_SECONDS)  # within a term too, when a renewal of the Lease is late
            return None
        except Exception:
            log.exception("%s crashed", app.ref)
            self.metrics.ended("crashed", time.monotonic() - began)
            self.queue.add(app.ref, CRASHED_SECONDS)
            return None
        finally:
            self.rollouts.looked(app)
        if holds() and world.schema is self._schema:
            self.memories[app.uid] = found.memory
        if world.sight is None and self._groups(app):
            self.ticks.soon(app)
        ended = "done" if not found.result.problem else "crashed" if found.is_crash else "failed"
        self.metrics.ended(ended, time.monotonic() - began)
        self.metrics.record(found.result)
        if self.previews is not None and self.previews.get(app.ref) != found.result.steps:
            self.previews[app.ref] = found.result.steps
            for step in found.result.steps:
                fields = "".join(f" {path}" for path in paths(step.changes))
                log.info("%s would be %s%s", step.ref, step.outcome, fields or f" {step.message}".rstrip())
        if (there := self.cache.apps.get(app.ref)) is None or there.uid != app.uid:  # it has gone meanwhile
            self._forget(app)
        elif found.due:
            self.queue.add(app.ref, max((found.due - world.now.steady).total_seconds(), 0.0))
        return found.result

    def look_at_all(self, holds: Callable[[], bool]) -> list[AppResult]:
        """Read everything and look at every app once; brokers are waited for."""
        self.cache.sync(None)
        self.ticks.pods.refresh()
        self._ask_release()
        apps = self.cache.apps.all()
        for app in filter(plan.scales, apps):
            memory = self.memories.get(app.uid, Memory())
            known = reconcile.scaled(app, memory.scaling.scaled, self._schema)
            self.memories[app.uid] = replace(memory, scaling=replace(memory.scaling, scaled=known))
        self.ticks.waited_for(apps)
        with ThreadPoolExecutor(self.settings.concurrency) as pool:
            found = list(pool.map(partial(self.look, holds=holds), apps))
        return [result for result in found if result]

    def absent(self) -> list[str]:
        """Return which of the namespaces that were named are not there."""
        return [name for name in self.settings.namespaces if not self.cluster.has_namespace(name)]

    def add_all(self) -> None:
        for app in self.cache.apps.all():
            self.queue.add(app.ref)

    def _follow(self, store: Store[Any]) -> None:
        """Keep a store up to date, in a thread of its own."""
        if self._turned:
            name = f"{store.kind.name} {store.namespace}".strip()
            turned, how = partial(self._turned, name), {"watches": self.settings.watch}
            follow = partial(store.follow, self.settings.interval, turned=turned, **how)
            threading.Thread(target=follow, name=f"follow {name}", daemon=True).start()

    def _follow_release(self, turned: Callable[[str], None]) -> None:
        """Notice an upgrade of the cluster, in a thread of its own."""
        while True:
            turned("release")
            time.sleep(self.settings.interval)
            self._ask_release()

    def _ask_release(self) -> None:
        """Learn which fields the API server knows. When that has changed, nothing that was remembered need be so."""
        try:
            self.cluster.ask_release()
        except ClusterError as error:  # what it then refuses, it refuses in its own words
            log.warning("%s", error)
            return
        if (release := self.cluster.release) == self._schema.kubernetes:
            return
        log.info("Kubernetes %s", release)
        if release not in since.table().releases:
            log.warning("Kubernetes %s was never tried, only %s", release, ", ".join(since.table().releases))
        self._schema = schema.load(release)
        self.memories = {}
        self.add_all()

    def _heard_of_app(self, old: App | None, new: App | None, ours: bool) -> None:  # noqa: FBT001 (see Heard)
        if old and (new is None or new.uid != old.uid):
            self._forget(old)
        if new and not ours:
            is_status = old is not None and old.text == new.text
            self.queue.add(new.ref, REPORT_SECONDS if is_status else 0.0)

    def _forget(self, app: App) -> None:
        self.memories.pop(app.uid, None)
        self.ticks.forget(app)
        self.metrics.forget(app.ref)
        self.rollouts.forget(app.ref)

    def _heard_of_child(self, old: Live | None, new: Live | None, ours: bool) -> None:  # noqa: FBT001 (see Heard)
        self.rollouts.heard(old, new)
        is_status = old is not None and new is not None and old.changes_little_to(new)
        if ours or (is_status and old and new and report.reads_alike(old, new)):
            return
        # One that is new is our own, mostly, and told of before the answer to its creation was read.
        can_wait = is_status or old is None
        for app in {ref for live in (old, new) if live for ref in self._apps_of(live)}:
            self.queue.add(app, REPORT_SECONDS if can_wait else 0.0)

    def _heard_of_pod(self, old: Seen | None, new: Seen | None, _ours: bool) -> None:  # noqa: FBT001 (see Heard)
        """Have it told soon why a pod is not ready, if that is another reason than before."""
        if (old and old.unready) == (new and new.unready):
            return
        [pod, *_] = filter(None, (new, old))
        deployment = Ref(DEPLOYMENT.api_version, DEPLOYMENT.name, pod.ref.namespace, pod.deployment)
        if live := self.cache.children[DEPLOYMENT.name].get(deployment):
            for app in set(self._apps_of(live)):
                self.queue.add(app, REPORT_SECONDS)

    def _apps_of(self, live: Live) -> Iterator[Ref]:
        """Yield the apps that a child may be of: by its controller, and by its label."""
        if live.controller and live.controller.kind == CELERY_APP.name:
            yield Ref(CELERY_APP.api_version, CELERY_APP.name, live.ref.namespace, live.controller.name)
        yield from (app.ref for app in self.cache.apps.by((live.ref.namespace, live.app)))

    def _groups(self, app: App) -> tuple[Group, ...]:
        memory = self.memories.get(app.uid)
        return memory.scaling.scaled.groups if memory and plan.scales(app) else ()
