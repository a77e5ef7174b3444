"""Command lines for Celery and Flower: `--option=value` in one argument each, so that no value is an option."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def options(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield `--option=value`; a flag alone for True, nothing for what is absent or False."""
    for option, value in values.items():
        if value is True:
            yield f"--{option}"
        elif value is not None and value is not False:
            yield f"--{option}={value}"


def settings(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield `setting=(json)value`, sorted.

    Celery reads a bare value as the type the setting is documented with, and stops at settings it does not know;
    as JSON every value arrives as what it is.
    """
    for setting, value in sorted(values.items()):
        yield f"{setting}=(json){json.dumps(value, ensure_ascii=False, separators=(',', ':'), sort_keys=True)}"


def last(values: Mapping[str, Any]) -> list[str]:
    """Return the settings as the end of a command line; nothing where there are none."""
    return ["--", *settings(values)] if values else []
