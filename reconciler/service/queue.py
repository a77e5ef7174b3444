"""Which app is looked at next: each is in it once, nobody is looked at twice at a time, no tenant holds up another.

So many are at work at a time. One that does not come to an end soon is no longer counted: it waits for a webhook or a
lock, and only its own namespace has to mind, of which no more than so many may wait.
"""

import heapq
import itertools
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable

from reconciler.model import Ref

SOON_SECONDS = 0.2
"""Nearly every look has come to an end by then."""
LATER_SECONDS = 1.0
"""Whoever takes looks as often as that by itself."""
OF_A_NAMESPACE = 4
"""Times the concurrency: so many looks of one namespace may be under way."""
OF_ALL = 16
"""Times the concurrency: so many in all."""


class Queue:
    """Threads add, one takes."""

    def __init__(self, clock: Callable[[], float], concurrency: int, wake: Callable[[], None]) -> None:
        self._clock, self._concurrency, self._wake = clock, concurrency, wake
        self._lock = threading.Lock()
        self._due: dict[Ref, float] = {}
        self._later: list[tuple[float, int, Ref]] = []
        self._ready: OrderedDict[str, OrderedDict[Ref, None]] = OrderedDict()
        """By namespace; that which was served last is the last."""
        self._at_work: dict[Ref, float] = {}
        self._done_at = clock()
        self._of: Counter[str] = Counter()
        self._numbers = itertools.count()

    def add(self, app: Ref, after_seconds: float = 0.0) -> None:
        """Have an app looked at; the earliest time counts."""
        with self._lock:
            at = self._clock() + after_seconds
            if self._due.get(app, at + 1) <= at:
                return
            self._due[app] = at
            heapq.heappush(self._later, (at, next(self._numbers), app))
        if after_seconds < LATER_SECONDS:
            self._wake()

    def take(self) -> Ref | None:
        """Return who is to be looked at now, if anybody is."""
        with self._lock:
            now = self._clock()
            self._ripen(now)
            busy = sum(since + SOON_SECONDS > now for since in self._at_work.values())
            if busy >= self._concurrency or len(self._at_work) >= OF_ALL * self._concurrency:
                return None
            for namespace, apps in self._ready.items():
                free = next((app for app in apps if app not in self._at_work), None)
                if free and self._of[namespace] < OF_A_NAMESPACE * self._concurrency:
                    self._begin(free, now)
                    return free
            return None

    def done(self, app: Ref) -> None:
        """Note that a look has come to an end."""
        with self._lock:
            del self._at_work[app]
            self._done_at = self._clock()
            self._of[app.namespace] -= 1
            if not self._of[app.namespace]:
                del self._of[app.namespace]
        self._wake()

    @property
    def pause_seconds(self) -> float:
        """How long there will be nobody to take, unless somebody is added or done."""
        with self._lock:
            now = self._clock()
            times = [since + SOON_SECONDS - now for since in self._at_work.values() if since + SOON_SECONDS > now]
            times += [self._later[0][0] - now] if self._later else []
            return max(min(times, default=float("inf")), 0.0)

    @property
    def depth(self) -> int:
        """How many are to be looked at now."""
        with self._lock:
            return sum(map(len, self._ready.values()))

    @property
    def is_busy(self) -> bool:
        """Whether anybody is being looked at."""
        return bool(self._at_work)

    @property
    def stuck_seconds(self) -> float:
        """For how long there have been looks of which none has come to an end."""
        with self._lock:
            now = self._clock()
            return now - max(min(self._at_work.values(), default=now), self._done_at)

    def _ripen(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            at, _, app = heapq.heappop(self._later)
            if self._due.get(app) == at:
                self._ready.setdefault(app.namespace, OrderedDict())[app] = None

    def _begin(self, app: Ref, now: float) -> None:
        apps = self._ready[app.namespace]
        del apps[app], self._due[app]
        if apps:
            self._ready.move_to_end(app.namespace)
        else:
            del self._ready[app.namespace]
        self._at_work[app] = now
        self._of[app.namespace] += 1
