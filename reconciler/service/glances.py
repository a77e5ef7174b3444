"""A glance at the queues of groups that are at zero, once a second: the first message does not wait for the clock.

It wakes one pod, and decides nothing else. A group whose message was seen, or whose broker did not tell, is left to the
next tick: so a broker that is down or slow is tried by one glance from one tick to the next.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from reconciler.cluster.cache import Cache
from reconciler.cluster.live import App
from reconciler.model import DEPLOYMENT, Ref
from reconciler.scaling.demand import Answered, Crew, Crews, Demanded
from reconciler.scaling.group import GroupKey
from reconciler.scaling.groups import Target
from reconciler.scaling.model import Backlog

GLANCE_SECONDS = 0.9
"""From one glance to the next, at least: the loop turns once a second."""
EACH_SECONDS = 0.01
"""So much time for each broker, if there are many: a glance takes half a millisecond of CPU."""
FIRST = Demanded(Backlog(1, 0), {})
"""What is taken to be there: the rest is counted at the next tick."""


class Sleeper(NamedTuple):
    """A group that may be at zero."""

    app: Ref
    deployment: Ref
    crew: Crew


class Glances:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._sleepers: dict[str, dict[GroupKey, Sleeper]] = {}
        """By the UID of their app: who may be glanced at until the next tick."""
        self._seen: dict[GroupKey, None] = {}
        self._next = 0.0

    def follow(self, app: App, targets: Iterable[Target]) -> None:
        """Glance, until the next tick, at those of an app that may be at zero."""
        self._sleepers[app.uid] = {
            key: Sleeper(app.ref, live.ref, Crew(app.ref.namespace, group, frozenset()))
            for key, group, live in targets
            if group.policy.min_replicas == 0 and group.queues and group.url and not group.policy.paused
        }

    def forget(self, app: App) -> None:
        self._sleepers.pop(app.uid, None)

    def keep(self, apps: frozenset[str]) -> None:
        """Forget what is of no app of these UIDs: it is gone, or is not scaled any more."""
        for uid in list(self._sleepers.keys() - apps):
            self._sleepers.pop(uid, None)
        for key in list(self._seen):
            if key[0] not in apps:
                self._seen.pop(key, None)

    def forget_all(self) -> None:
        self._sleepers, self._seen = {}, {}

    def turn(self, ask: Callable[[Crews, Answered], None], wake: Callable[[Ref], None]) -> None:
        """Glance if it is time, and wake the apps for whose groups a message is there."""
        if (now := time.monotonic()) < self._next:
            return
        asleep = {}
        for its in list(self._sleepers.values()):
            for key, each in list(its.items()):  # others add to it meanwhile
                if self._is_asleep(each):
                    asleep[key] = (its.pop(key), its)
        brokers = {(each.crew.namespace, each.crew.group.url) for each, _ in asleep.values()}
        self._next = now + max(GLANCE_SECONDS, EACH_SECONDS * len(brokers))
        if asleep:
            ask({key: each.crew for key, (each, _) in asleep.items()}, partial(self._answered, asleep, wake))

    def take(self, app: App) -> list[GroupKey]:
        """Return the groups of an app for which a message was seen, once."""
        keys = [key for key in list(self._seen) if key[0] == app.uid]
        for key in keys:
            self._seen.pop(key, None)
        return keys

    def _is_asleep(self, each: Sleeper) -> bool:
        live = self._cache.children[DEPLOYMENT.name].get(each.deployment)
        return live is not None and live.replicas == 0

    def _answered(
        self,
        asleep: Mapping[GroupKey, tuple[Sleeper, dict[GroupKey, Sleeper]]],
        wake: Callable[[Ref], None],
        told: Mapping[GroupKey, Demanded],
    ) -> None:
        for key, demanded in told.items():
            each, its = asleep[key]
            if demanded.backlog == Backlog(0, 0):
                its[key] = each
            elif isinstance(demanded.backlog, Backlog):
                self._seen[key] = None
                wake(each.app)
