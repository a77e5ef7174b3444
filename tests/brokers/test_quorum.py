"""Tasks for later, in quorum queues."""

import pytest

from reconciler.scaling import Backlog

QUORUM = {"task_default_queue_type": "quorum", "task_default_exchange_type": "topic"}


DEAD_LETTER_RETRY_SECONDS = 180
"""When RabbitMQ tries again to hand on what is due: dead_letter_worker_publisher_confirm_timeout."""


def test_since_celery_5_5_tasks_for_later_count_when_they_are_due(
    rabbitmq_server, on_rabbitmq, publish_by_app, worker, backlog, until, kill, celery_version
):
    """Until then RabbitMQ holds them in queues of its own, celery_delayed_0 to 27, which are no group's."""
    if celery_version == "5.4":
        pytest.skip("Celery 5.4 leaves them to the worker")
    kill(worker(on_rabbitmq, **QUORUM))  # it has made these queues
    publish_by_app(on_rabbitmq, *[{"countdown": 3600}] * 3, *[{"countdown": 1}] * 2, **QUORUM)
    try:
        until(lambda: backlog(on_rabbitmq) == Backlog(2, 0), "two of five", DEAD_LETTER_RETRY_SECONDS + 60)
    finally:
        _, vhost = on_rabbitmq.rsplit("/", 1)
        print(backlog(on_rabbitmq), rabbitmq_server.control("--vhost", vhost, "list_queues", "name", "messages"))  # noqa: T201
