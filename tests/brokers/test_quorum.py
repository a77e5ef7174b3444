"""Tasks for later, in quorum queues."""

import pytest

QUORUM = {"task_default_queue_type": "quorum", "task_default_exchange_type": "topic"}


@pytest.fixture
def messages(rabbitmq_server, on_rabbitmq):
    """Return a function: how many messages each queue holds, as RabbitMQ says itself."""
    _, vhost = on_rabbitmq.rsplit("/", 1)

    def messages():
        lines = rabbitmq_server.control("--vhost", vhost, "list_queues", "name", "messages").splitlines()
        counts = dict(line.split("\t") for line in lines if line != "name\tmessages")
        return {queue: int(count) for queue, count in counts.items() if int(count)}

    return messages


def test_since_celery_5_5_tasks_for_later_count_when_they_are_due(
    on_rabbitmq, publish_by_app, worker, backlog, until, kill, celery_version, messages
):
    """Until then RabbitMQ holds them in queues of its own, celery_delayed_0 to 27, which are no group's.

    RabbitMQ 3.10 sometimes loses one of two that are due together (docs/celery.md), so it is asked what there is.
    """
    if celery_version == "5.4":
        pytest.skip("Celery 5.4 leaves them to the worker")
    kill(worker(on_rabbitmq, **QUORUM))  # it has made these queues
    publish_by_app(on_rabbitmq, *[{"countdown": 3600}] * 3, *[{"countdown": 1}] * 2, **QUORUM)
    truth = {"celery_delayed_11": 3}
    until(lambda: messages() == truth | {"celery": backlog(on_rabbitmq).waiting}, "those that are due, and no other")
