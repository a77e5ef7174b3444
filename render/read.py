"""The bytes of what the user named: a file, or standard input."""

import sys
from pathlib import Path

from render.errors import InvalidInput, Problem

STDIN = "-"
MAX_BYTES = 1024 * 1024
"""More is no CeleryApp: the API server refuses objects over 1.5 MiB, and a file that large is a mistake."""


def content(source: str) -> bytes:
    """Return the file's bytes. Raises InvalidInput when there is no such file, or when it is too large."""
    found = everything(source, MAX_BYTES + 1)
    if len(found) > MAX_BYTES:
        raise refused(source, "is larger than 1 MiB: a CeleryApp is a page of YAML")
    return found


def everything(source: str, most: int = -1) -> bytes:
    """Return all bytes there are, or the first of them. Raises InvalidInput."""
    try:
        if source == STDIN:
            if sys.stdin is None:
                raise refused(source, "standard input is closed: name a file, or pipe one into it")
            return sys.stdin.buffer.read(most)
        if not source:
            raise refused("FILE", "has an empty name: is a variable of the shell not set?")
        with Path(source).open("rb") as file:
            return file.read(most)
    except IsADirectoryError:
        raise refused(source, "is a directory: name the YAML files in it") from None
    except FileNotFoundError:
        raise refused(source, "does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise refused(source, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def refused(source: str, message: str) -> InvalidInput:
    return InvalidInput((Problem(source, 0, (), message),))
