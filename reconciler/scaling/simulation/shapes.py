"""Loads that are invented: by shape, with chance, but the same for the same seed. Pure."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.scaling.simulation.traffic import Step, Traffic

STEP_SECONDS = 15
DAY_SECONDS = 86_400


class Shape(NamedTuple):
    """How many tasks arrive in each step, as a multiple of the average."""

    at: Callable[[float], float]
    """Of the share of the whole time that has passed."""
    hours: float
    """For so long, if nothing is said."""
    says: str


class Amount(NamedTuple):
    """How much of it."""

    tasks_per_second: float
    """On average."""
    task_seconds: Sequence[float]
    """As many of each."""
    hours: float
    seed: int


def _daily(share: float) -> float:
    """Least at four in the morning, most at four in the afternoon."""
    return 1 - 0.9 * math.cos(2 * math.pi * (share - 4 / 24))


def _burst(share: float) -> float:
    """Four bursts, each of a twentieth of the time, seven times as high as what is between them."""
    begins, ends = 0.1, 0.3
    return 3.2 if begins <= (share * 4) % 1 < ends else 0.45


def _outage(share: float) -> float:
    """Nothing for an eighth of the time, and then all that was held up within a thirtieth."""
    begins, ends = 0.4, 0.4 + 1 / 8
    if begins <= share < ends:
        return 0
    return 1 + (1 / 8) * 30 if ends <= share < ends + 1 / 30 else 1


SHAPES: Mapping[str, Shape] = {
    "steady": Shape(lambda _share: 1, 4, "the same all the time"),
    "daily": Shape(_daily, 24, "little by night, much by day"),
    "burst": Shape(_burst, 4, "four bursts of seven times what is between them"),
    "outage": Shape(_outage, 4, "half an hour of nothing, then all of it at once"),
}


def traffic(shape: str, amount: Amount) -> Traffic:
    """Return a load of the shape. Tasks arrive independently of each other: by Poisson's distribution in each step.

    Where they differ in how long they run, each is a step of its own.
    """
    end = amount.hours * 3600
    chance = random.Random(amount.seed)  # noqa: S311 (nothing secret)
    count = max(int(end / STEP_SECONDS), 1)
    average = amount.tasks_per_second * STEP_SECONDS
    first, *others = amount.task_seconds
    steps = [
        Step(number * STEP_SECONDS, _poisson(average * SHAPES[shape].at((number + 0.5) / count), chance), first)
        for number in range(count)
    ]
    if others:
        steps = [part for step in steps for part in _mixed(step, amount.task_seconds, chance)]
    return Traffic(tuple(steps), count * STEP_SECONDS)


def _mixed(step: Step, task_seconds: Sequence[float], chance: random.Random) -> Iterator[Step]:
    if not step.arrivals:
        yield step
    for number in range(step.arrivals):
        yield Step(step.seconds + STEP_SECONDS * number / step.arrivals, 1, chance.choice(task_seconds))


def _poisson(average: float, chance: random.Random) -> int:
    """Return how many of many independent events happen."""
    if average > 50:  # noqa: PLR2004 (there the normal distribution is near enough)
        return max(round(chance.gauss(average, math.sqrt(average))), 0)
    limit, product, count = math.exp(-average), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
