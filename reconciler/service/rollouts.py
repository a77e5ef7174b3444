"""A new release rolls gently: no more than so many apps change their pod templates at a time if nobody changed them.

Only those that were let roll count: what tenants do with Deployments of their own holds up nobody.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from reconciler.cluster.live import App, Live
from reconciler.model import DEPLOYMENT, Ref
from reconciler.status.rollout import Rollout

LONGEST_SECONDS = 900.0
"""For which a place is held: half as long again as a Deployment may stand still before it counts as stuck."""

Key = tuple[str, str]
"""A namespace, and the app that a label says."""


class Rollouts:
    def __init__(self, limit: int, wake: Callable[[Ref], None], clock: Callable[[], float]) -> None:
        self._limit, self._wake, self._clock = limit, wake, clock
        self._lock = threading.Lock()
        self._rolling: dict[Key, set[Ref]] = {}
        self._granted: dict[Key, float] = {}
        """Who may roll, and since when."""
        self._looked_at: set[Key] = set()
        """Who has been granted it in a look that has not come to an end."""
        self._waiting: OrderedDict[Ref, None] = OrderedDict()

    @property
    def counts(self) -> dict[str, int]:
        """How many apps roll, and how many wait until they may."""
        with self._lock:
            return {"running": len(self._under_way()), "waiting": len(self._waiting)}

    def adopt(self) -> None:
        """Let everything count that rolls: whoever wrote before us may have let it."""
        with self._lock:
            self._granted = dict.fromkeys(self._rolling, self._clock())

    def may_roll(self, app: App) -> bool:
        """Say whether one more may; who may not is woken when that has changed."""
        key = (app.ref.namespace, app.label)
        with self._lock:
            under_way = self._under_way()
            if key not in under_way and len(under_way) >= self._limit:
                self._waiting[app.ref] = None
                return False
            self._waiting.pop(app.ref, None)
            self._granted.setdefault(key, self._clock())
            self._looked_at.add(key)
            return True

    def forget(self, app: Ref) -> None:
        """Let an app wait no more; it asks again if it has to."""
        with self._lock:
            self._waiting.pop(app, None)

    def looked(self, app: App) -> None:
        """Note that what was granted is used or not needed: by now it is seen which Deployments roll."""
        key = (app.ref.namespace, app.label)
        with self._lock:
            self._looked_at.discard(key)
            self._end(key)
        self.turn()

    def heard(self, old: Live | None, new: Live | None) -> None:
        """Note how a Deployment is."""
        with self._lock:
            lives = {(live.ref.namespace, live.app): live for live in (old, new) if live}
            for key, live in lives.items():
                if live is new and live.ref.kind == DEPLOYMENT.name and Rollout.of(live).is_rolling:
                    self._rolling.setdefault(key, set()).add(live.ref)
                elif key in self._rolling:
                    self._rolling[key].discard(live.ref)
                    if not self._rolling[key]:
                        del self._rolling[key]
                        self._end(key)
        self.turn()

    def turn(self) -> None:
        """Wake as many of those that wait as there is room for."""
        if not self._waiting:
            return
        with self._lock:
            room = self._limit - len(self._under_way())
            woken = [self._waiting.popitem(last=False)[0] for _ in range(min(max(room, 0), len(self._waiting)))]
        for app in woken:
            self._wake(app)

    def _end(self, key: Key) -> None:
        if key not in self._rolling and key not in self._looked_at:
            self._granted.pop(key, None)

    def _under_way(self) -> dict[Key, float]:
        oldest = self._clock() - LONGEST_SECONDS
        self._granted = {key: since for key, since in self._granted.items() if since > oldest}
        return self._granted
