"""A new release rolls gently: no more than so many apps change their pod templates at a time if nobody changed them."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from reconciler.cluster.live import App, Live
from reconciler.model import DEPLOYMENT, Ref
from reconciler.status.rollout import Rollout

Key = tuple[str, str]
"""A namespace, and the app that a label says."""


class Rollouts:
    def __init__(self, limit: int, wake: Callable[[Ref], None]) -> None:
        self._limit, self._wake = limit, wake
        self._lock = threading.Lock()
        self._rolling: dict[Key, set[Ref]] = {}
        self._granted: set[Key] = set()
        self._waiting: OrderedDict[Ref, None] = OrderedDict()

    @property
    def counts(self) -> dict[str, int]:
        """How many apps roll, and how many wait until they may."""
        with self._lock:
            return {"running": len(self._rolling.keys() | self._granted), "waiting": len(self._waiting)}

    def may_roll(self, app: App) -> bool:
        """Say whether one more may; who may not is woken when that has changed."""
        key = (app.ref.namespace, app.label)
        with self._lock:
            under_way = self._rolling.keys() | self._granted
            if key not in under_way and len(under_way) >= self._limit:
                self._waiting[app.ref] = None
                return False
            self._waiting.pop(app.ref, None)
            self._granted.add(key)
            return True

    def forget(self, app: Ref) -> None:
        """Let an app wait no more; it asks again if it has to."""
        with self._lock:
            self._waiting.pop(app, None)

    def looked(self, app: App) -> None:
        """Note that what was granted is used or not needed: by now it is seen which Deployments roll."""
        with self._lock:
            self._granted.discard((app.ref.namespace, app.label))
        self._wake_next()

    def heard(self, old: Live | None, new: Live | None) -> None:
        """Note how a Deployment is."""
        with self._lock:
            for live in filter(None, (old, new)):
                key = (live.ref.namespace, live.app)
                if live is new and live.ref.kind == DEPLOYMENT.name and Rollout.of(live).is_rolling:
                    self._rolling.setdefault(key, set()).add(live.ref)
                elif key in self._rolling:
                    self._rolling[key].discard(live.ref)
                    if not self._rolling[key]:
                        del self._rolling[key]
        self._wake_next()

    def _wake_next(self) -> None:
        if not self._waiting:
            return
        with self._lock:
            room = self._limit - len(self._rolling.keys() | self._granted)
            woken = [self._waiting.popitem(last=False)[0] for _ in range(min(max(room, 0), len(self._waiting)))]
        for app in woken:
            self._wake(app)
