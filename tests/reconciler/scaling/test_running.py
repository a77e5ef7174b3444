"""Which pods are to go first."""

import pytest

from reconciler.model import Ref
from reconciler.scaling import running
from reconciler.scaling.model import Pod
from reconciler.scaling.running import Cost
from reconciler.scaling.usage import Seen


def seen(name, cost=0, *, ready=True, terminating=False):
    pod = Pod(
        name=name,
        phase="Running",
        is_terminating=terminating,
        is_ready=ready,
        ready_since=None,
        started_at=None,
        requests={},
    )
    return Seen(Ref("v1", "Pod", "web", name), f"uid of {name}", "7", "shop-worker", cost, pod)


@pytest.mark.parametrize(
    ("pod", "tasks", "cost"),
    [
        pytest.param(seen("a"), {"a": 2}, 2, id="one that runs tasks costs their number"),
        pytest.param(seen("a"), {"a": 0}, None, id="an idle one stays at nothing"),
        pytest.param(seen("a", 2), {"a": 2}, None, id="what it says already is not written again"),
        pytest.param(seen("a", 3), {"a": 0}, 0, id="one that has become idle costs nothing any more"),
        pytest.param(seen("a"), {}, 4, id="one that is ready and silent is taken to be full"),
        pytest.param(seen("a", ready=False), {}, None, id="one that is not ready goes first anyway"),
        pytest.param(seen("a", terminating=True), {}, None, id="one that goes already needs no cost"),
        pytest.param(seen("a", 3), None, 0, id="if nobody knows, all cost the same"),
    ],
)
def test_only_costs_that_change_are_written(pod, tasks, cost):
    expected = () if cost is None else (Cost(pod.ref, pod.uid, cost),)
    assert running.costs([pod], tasks, concurrency=4) == expected


def test_silent_pods_count_as_full():
    pods = [seen("a"), seen("b"), seen("c", ready=False), seen("d", terminating=True)]
    assert running.busy(pods, {"a": 1}, concurrency=4) == 5
