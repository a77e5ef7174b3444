"""A load that was recorded, as CSV. Pure: text in, the traffic or every problem out.

    seconds,arrivals,duration_seconds
    0,120,1.5
    60,90,1.5

A row is a step: so many tasks arrive evenly from its second on until the next row's, and each runs for so long. The
last row lasts as long as the one before it.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence

from reconciler.scaling.simulation.traffic import Step, Traffic
from render.errors import InvalidInput, Problem

COLUMNS = ("seconds", "arrivals", "duration_seconds")
MAX_ARRIVALS = 10_000_000
MAX_SECONDS = 100 * 86_400

Row = dict[str | None, str | None]


def parsed(text: str, source: str) -> Traffic:
    """Return the load of a trace. Raises InvalidInput with every problem."""
    problems: list[Problem] = []
    steps: list[Step] = []
    reader = csv.DictReader(text.removeprefix("\ufeff").splitlines(), strict=True, restval="")
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        for row in reader if sorted(reader.fieldnames) == sorted(COLUMNS) else ():
            found = tuple(_problems(row, source, reader.line_num, steps[-1].seconds if steps else -1.0))
            problems += found
            if not found:
                seconds, arrivals, duration = (float(row[name] or 0) for name in COLUMNS)
                steps.append(Step(seconds, int(arrivals), duration))
    except csv.Error as error:
        problems.append(Problem(source, reader.reader.line_num, (), f"is not CSV: {error}"))
    problems += _as_a_whole(reader.fieldnames or (), steps, source) if not problems else ()
    if problems:
        raise InvalidInput(tuple(problems))
    return Traffic(tuple(steps), 2 * steps[-1].seconds - steps[-2].seconds)


def _problems(row: Row, source: str, line: int, after: float) -> Iterator[Problem]:
    """Yield what is wrong with a row that comes after a time."""
    if None in row:
        yield Problem(source, line, (), f"has more than {len(COLUMNS)} columns")
    seconds = _number(row["seconds"])
    if seconds is None or not 0 <= seconds <= MAX_SECONDS:
        message = f"{row['seconds']!r} is not a time since the beginning, in a hundred days (e.g. 60)"
        yield Problem(source, line, ("seconds",), message)
    elif seconds <= after:
        yield Problem(source, line, ("seconds",), f"{row['seconds']} is not after {after:g}, the row before")
    arrivals = (row["arrivals"] or "").strip()
    if not (arrivals.isascii() and arrivals.isdigit() and len(arrivals) < 10 and int(arrivals) <= MAX_ARRIVALS):  # noqa: PLR2004
        yield Problem(source, line, ("arrivals",), f"{arrivals!r} is not a number of tasks (e.g. 120)")
    duration = _number(row["duration_seconds"])
    if duration is None or duration <= 0:
        message = f"{row['duration_seconds']!r} is not a time that a task runs (e.g. 1.5)"
        yield Problem(source, line, ("duration_seconds",), message)


def _as_a_whole(columns: Iterable[str], steps: Sequence[Step], source: str) -> Iterator[Problem]:
    if sorted(columns) != sorted(COLUMNS):
        yield Problem(source, 1, (), f"the columns have to be {','.join(COLUMNS)}, named in the first line")
    elif len(steps) < 2:  # noqa: PLR2004 (a step, and its end)
        yield Problem(source, 0, (), "needs two rows: the second says how long the first lasts")
    elif sum(step.arrivals for step in steps) > MAX_ARRIVALS:
        yield Problem(source, 0, (), f"has more than {MAX_ARRIVALS} tasks: simulate a part of it")


def _number(text: str | None) -> float | None:
    """Return the number, if it is one and there is an end to it."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
