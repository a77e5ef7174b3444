"""How an option of the command line is made: an environment variable too, where it does not say otherwise."""

import math
from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]


class Number(click.FloatRange):
    """A number within bounds, of which nan and inf are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Raises BadParameter."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def option(name: str, *names: str, **how: Any) -> Callable[[Command], Command]:
    """Return click's option; `--lease-name` is also CELERY_RECONCILE_LEASE_NAME, and nothing with `envvar=None`."""
    variable = "CELERY_RECONCILE_" + name.split("/", maxsplit=1)[0].removeprefix("--").upper().replace("-", "_")
    return click.option(name, *names, show_envvar=True, show_default=True, **{"envvar": variable} | how)
