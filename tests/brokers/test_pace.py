"""How long tasks take and messages wait, by what real workers count, beside what they do."""

import time
from datetime import UTC, datetime

import pytest

from reconciler.scaling.model import Backlog
from reconciler.scaling.pace import Counters, Line, Pace

NAP_SECONDS = 0.4


@pytest.mark.parametrize("late", [False, True], ids=["acknowledged early", "acknowledged late"])
def test_the_wait_is_estimated_as_it_is(url, publish, worker, crew, until, shop, late, new_demand):
    worker(url, task_acks_late=late)
    demand, crews, pace = new_demand(None, timeout_seconds=10), {"mail": crew(url, "celery", pods=["mail-1"])}, Pace()

    def look():
        found = demand.of(crews)["mail"]
        return Line(datetime.now(UTC), found.backlog, found.counters, {})

    until(lambda: look().workers == {"mail-1": Counters(0, 0, 2)}, "the worker")
    publish(url, 60, task="nap", args=[NAP_SECONDS])
    before = pace = pace.after(look())
    while pace.ended - before.ended < 20:
        time.sleep(0.5)
        pace = pace.after(look())
    publish(url, 1, task="nap", args=[NAP_SECONDS], task_id="last")
    sent_at, estimated = time.time(), pace.after(look()).wait_seconds

    def began():
        return dict(line.split() for line in (shop / "began").read_text().splitlines())

    until(lambda: "last" in began(), "its turn")
    measured = float(began()["last"]) - sent_at
    assert estimated == pytest.approx(measured, rel=0.4)
    until(lambda: look().backlog == Backlog(0, 0), "the end")
    assert look().workers["mail-1"].begun == 61
