"""Traces: what is read of them, and every way in which they are refused."""

import pytest

from reconciler.scaling.simulation import trace
from reconciler.scaling.simulation.traffic import Batch, Step, Traffic
from render.errors import InvalidInput

HEAD = "seconds,arrivals,duration_seconds\n"


def test_a_row_is_a_step_until_the_next_row():
    load = trace.parsed(f"{HEAD}0,120,1.5\n60,0,1.5\n90,3,2\n", "t.csv")
    assert load == Traffic((Step(0, 120, 1.5), Step(60, 0, 1.5), Step(90, 3, 2)), 120)
    assert load.arrivals == 123
    assert tuple(load.batches()) == (Batch(0, 0.5, 120, 1.5), Batch(90, 10, 3, 2))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("arrivals,seconds,duration_seconds\n120,0,1.5\n0,60,1.5\n", id="columns in another order"),
        pytest.param("seconds, arrivals, duration_seconds\r\n0, 120, 1.5\r\n60, 0, 1.5\r\n", id="spaces, and CR LF"),
        pytest.param(f"\ufeff{HEAD}0,120,1.5\n\n60,0,1.5", id="a mark in front, an empty line, no last line end"),
    ],
)
def test_csv_comes_in_several_ways(text):
    assert trace.parsed(text, "t.csv") == Traffic((Step(0, 120, 1.5), Step(60, 0, 1.5)), 120)


REFUSED = {
    "nothing": ("", ["t.csv:1: the columns have to be seconds,arrivals,duration_seconds, named in the first line"]),
    "no head": (
        "0,1,1\n1,1,1\n",
        ["t.csv:1: the columns have to be seconds,arrivals,duration_seconds, named in the first line"],
    ),
    "one row": (f"{HEAD}0,1,1\n", ["t.csv: needs two rows: the second says how long the first lasts"]),
    "every problem of every row": (
        f"{HEAD}-1,x,0\n5,1.5,nan\n5,2,1\n4,-3,1\n6,1\n7,1,1,1\n",
        [
            "t.csv:2: seconds: '-1' is not a time since the beginning, in a hundred days (e.g. 60)",
            "t.csv:2: arrivals: 'x' is not a number of tasks (e.g. 120)",
            "t.csv:2: duration_seconds: '0' is not a time that a task runs (e.g. 1.5)",
            "t.csv:3: arrivals: '1.5' is not a number of tasks (e.g. 120)",
            "t.csv:3: duration_seconds: 'nan' is not a time that a task runs (e.g. 1.5)",
            "t.csv:5: seconds: 4 is not after 5, the row before",
            "t.csv:5: arrivals: '-3' is not a number of tasks (e.g. 120)",
            "t.csv:6: duration_seconds: '' is not a time that a task runs (e.g. 1.5)",
            "t.csv:7: has more than 3 columns",
        ],
    ),
    "numbers without end": (
        f"{HEAD}inf,{'9' * 5000},1e999\n",
        [
            "t.csv:2: seconds: 'inf' is not a time since the beginning, in a hundred days (e.g. 60)",
            f"t.csv:2: arrivals: '{'9' * 5000}' is not a number of tasks (e.g. 120)",
            "t.csv:2: duration_seconds: '1e999' is not a time that a task runs (e.g. 1.5)",
        ],
    ),
    "years": (
        f"{HEAD}0,1,1\n8640001,1,1\n",
        ["t.csv:3: seconds: '8640001' is not a time since the beginning, in a hundred days (e.g. 60)"],
    ),
    "quotes": (f'{HEAD}0,1,1\n1,"1"x,1\n', ["t.csv:3: is not CSV: ',' expected after '\"'"]),
    "quotes in the head": ('"seconds"x\n', ["t.csv:1: is not CSV: ',' expected after '\"'"]),
    "more than can be simulated": (
        f"{HEAD}0,10000000,1\n1,1,1\n",
        ["t.csv: has more than 10000000 tasks: simulate a part of it"],
    ),
}


@pytest.mark.parametrize(("text", "problems"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_trace_is_refused_with_every_problem(text, problems):
    with pytest.raises(InvalidInput) as refusal:
        trace.parsed(text, "t.csv")
    assert str(refusal.value).splitlines() == problems
