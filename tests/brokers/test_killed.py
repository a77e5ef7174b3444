"""What is counted after a worker was killed in the middle of its tasks, and when another follows."""

import pytest
from servers import Held

from reconciler.scaling.model import Backlog

LATE, ONE, QUORUM = {"task_acks_late": True}, {"worker_prefetch_multiplier": 1}, {"task_default_queue_type": "quorum"}
FOLLOWED = [  # of 18 tasks that are left: on Redis 8 of them are held for the one that is dead
    ("redis", {}, Backlog(0, 16), Held(2, 2)),
    ("rabbitmq", {}, Backlog(8, 0), Held(2, 10)),
    ("rabbitmq", QUORUM, Backlog(8, 0), Held(2, 10)),
]


@pytest.mark.parametrize("case", FOLLOWED, ids=str)
def test_what_is_left_counts_once_when_another_follows(
    request, publish_by_app, worker, backlog, running, until, kill, case
):
    """As when a container is started again: the other has the name of the one that was killed."""
    server, settings, waiting, load = case
    url = request.getfixturevalue(f"on_{server}")
    publish_by_app(url, *[{}] * 20, **settings)
    process = worker(url, **settings)
    until(lambda: running(url).get("mail-1", Held(0, 0)).active == 2, "two running, which are lost")
    until(lambda: sum(backlog(url)) + running(url)["mail-1"].uncounted == 20, "all of them")
    kill(process)
    worker(url, **settings)
    until(lambda: (backlog(url), running(url).get("mail-1")) == (waiting, load), f"{waiting}, {load}")


def test_what_a_killed_worker_had_stops_counting_after_the_visibility_timeout(
    on_redis, publish, worker, backlog, until, kill
):
    publish(on_redis, 3)
    process = worker(on_redis, **LATE, **ONE)
    until(lambda: backlog(on_redis) == Backlog(1, 2), "two taken")
    kill(process)
    assert backlog(on_redis) == Backlog(1, 2)
    until(lambda: backlog(on_redis, options={"visibility_timeout": 1}) == Backlog(1, 0), "the end of the time-out")


def test_what_a_killed_worker_had_wakes_one_that_takes_it_over(on_redis, publish, worker, backlog, until, kill):
    options = {"visibility_timeout": 1}
    publish(on_redis, 2)
    process = worker(on_redis, **LATE, **ONE)
    until(lambda: backlog(on_redis) == Backlog(0, 2), "two taken")
    kill(process)
    until(lambda: backlog(on_redis, options=options) == Backlog(0, 1), "the end of the time-out")
    worker(on_redis, broker_transport_options=options, **LATE, **ONE)
    until(lambda: backlog(on_redis) == Backlog(0, 2), "both taken over")
