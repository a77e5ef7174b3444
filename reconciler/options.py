"""How an option of the command line is made: an environment variable too, where it does not say otherwise."""

import math
from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]


class Number(click.FloatRange):
    """A number within bounds, of which nan and inf are none."""

    def __init__(
        self, least: float, most: float | None = None, *, wanted: str = "a number of seconds, such as 10"
    ) -> None:
        super().__init__(least, most)
        self.wanted = wanted

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises BadParameter."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number: write {self.wanted}.", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return float(super().convert(value, param, ctx))


class Whole(click.IntRange):
    """A whole number within bounds."""

    def __init__(self, least: int, most: int | None = None, *, wanted: str = "a number such as 8") -> None:
        super().__init__(least, most)
        self.wanted = wanted

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Raises BadParameter."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number: write {self.wanted}.", param, ctx)
        return int(super().convert(value, param, ctx))


def option(name: str, *names: str, **how: Any) -> Callable[[Command], Command]:
    """Return click's option; `--lease-name` is also CELERY_RECONCILE_LEASE_NAME, and nothing with `envvar=None`."""
    variable = "CELERY_RECONCILE_" + name.split("/", maxsplit=1)[0].removeprefix("--").upper().replace("-", "_")
    return click.option(name, *names, show_envvar=True, show_default=True, **{"envvar": variable} | how)
