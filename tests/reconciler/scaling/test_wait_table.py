"""The table of docs/scaling.md is what is simulated, and keeps what maxWaitSeconds promises."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = re.findall(
    r"^\| (steady|daily|burst) \| ([^|]+) \| (.*) \|$", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE
)
CASES = [(shape, tuple(map(float, re.findall(r"[\d.]+", tasks))), cells.split(" | ")) for shape, tasks, cells in ROWS]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_wait", ROOT / "bench/bench_wait.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_load_is_tried_with_every_kind_of_task(bench):
    assert [case[:2] for case in CASES] == [(shape, tasks) for shape in bench.LOADS for tasks in bench.TASKS]


@pytest.mark.parametrize(("shape", "tasks", "cells"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_tasks_begin_in_time_at_little_more_than_the_least_cost(bench, shape, tasks, cells):
    came = bench.traffic(shape, tasks)
    ours, cheapest = bench.run(bench.contender(), came), bench.run(bench.fixed(int(cells[2])), came)
    assert [f"{bench.p95(run):.1f}" for run in (ours, cheapest)] == [cells[0], cells[3]]
    assert [f"{run.pod_hours:.1f}" for run in (ours, cheapest)] == [cells[1], cells[4]]
    assert bench.p95(ours) <= 60
    assert ours.pod_hours <= 1.1 * cheapest.pod_hours
    assert ours.removed.cut_off == 0
