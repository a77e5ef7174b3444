"""Pass after pass: on time, early when something changed, until a signal says stop. No error of a pass ends it."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from reconciler.cluster import errors
from reconciler.model import PassResult
from reconciler.service.bell import Bell
from reconciler.service.metrics import Metrics

log = logging.getLogger(__name__)

SHORTEST_SECONDS = 1.0
"""From the beginning of a pass to that of the next, however much happens."""
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""However long the API server asks to be left alone."""

Pass = Callable[[Any, datetime], PassResult]
"""One pass over all apps, given the memory of the one before."""


class Rhythm(NamedTuple):
    interval_seconds: float
    once: bool = False

    def pause_seconds(self, failures: int, retry_in_seconds: float | None, jitter: float) -> float:
        """Return how long to rest after a pass; `jitter` from -1 to 1 moves it by a tenth."""
        interval = self.interval_seconds * (1 + jitter / 10)
        if failures:
            return min(interval, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16))
        return interval if retry_in_seconds is None else min(interval, retry_in_seconds)


@dataclass(frozen=True)
class Work:
    """What the loop does over and over."""

    a_pass: Pass
    fresh_memory: Callable[[], Any]
    leads: Callable[[], bool]
    """Asked between passes; within a pass the cluster asks before every write."""
    turned: Callable[[], None]
    """Told at every turn of the loop."""
    begun: Callable[[], None]
    """Told when the first pass is done and others will follow."""


class Attempt(NamedTuple):
    """What came of a pass: its result, or why there is none."""

    ended: str
    result: PassResult | None = None
    retry_after_seconds: float = 0.0


def run(work: Work, rhythm: Rhythm, bell: Bell, metrics: Metrics) -> PassResult | None:
    """Return what the last pass did, None if it came to nothing; once stopped, or after one if that is enough."""
    memory, result, failures, begun = work.fresh_memory(), None, 0, False
    while not bell.stopped:
        work.turned()
        if not work.leads():
            memory = work.fresh_memory()  # what another does meanwhile is not in ours
            bell.wait(SHORTEST_SECONDS)
            continue
        bell.quiet()
        started = time.monotonic()
        ended, result, retry_after_seconds = _attempt(work.a_pass, memory)
        metrics.ended(ended, time.monotonic() - started)
        if rhythm.once:
            break
        failures = 0 if result else failures + 1
        if result:
            memory = result.memory
            metrics.record(result)
            if not begun:
                begun = True
                work.begun()
        bell.wait(rhythm.pause_seconds(failures, result.retry_in_seconds if result else None, _jitter()))
        bell.rest_until(started + max(SHORTEST_SECONDS, min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)))
    return result


def _attempt(a_pass: Pass, memory: Any) -> Attempt:
    try:
        return Attempt("done", a_pass(memory, datetime.now(UTC)))
    except errors.Halted as reason:
        log.info("pass halted: %s", reason)
        return Attempt("halted")
    except errors.ClusterError as error:
        log.error("pass failed: %s", error)  # noqa: TRY400 (an outage is no fault of the program)
        return Attempt("failed", retry_after_seconds=error.retry_after_seconds)
    except Exception:
        log.exception("pass failed")
        return Attempt("failed")


def _jitter() -> float:
    return random.uniform(-1, 1)  # noqa: S311 (no secret)
