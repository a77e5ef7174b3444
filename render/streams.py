"""Where both programs begin: what cannot be written to standard output is told in a line, not in a traceback."""

import errno
import os
import sys
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, NoReturn

import click

STDOUT = 1


class Unwritable(Exception):  # noqa: N818 (says what it is)
    """Standard output is; no OSError, lest it be taken for that of another file."""


class Output(FileIO):
    """Standard output, buffered by nobody."""

    def write(self, data: Any, /) -> int:
        """Return how many bytes were written. Raises Unwritable."""
        try:
            return super().write(data)
        except OSError as error:
            raise Unwritable from error


def begin(command: click.Command, code: int, name: str | None = None) -> NoReturn:
    """Run the command, and end; with this code if standard output cannot be written to."""
    reserve()
    encoding, errors = (getattr(sys.stdout, setting, None) for setting in ("encoding", "errors"))
    sys.stdout = TextIOWrapper(BufferedWriter(Output(STDOUT, "w", closefd=False)), encoding, errors)
    try:
        command.main(prog_name=name)
    except Unwritable as unwritable:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # takes what is written once more as Python ends
        if words := said(unwritable.__cause__):
            click.echo(f"standard output: {words}", err=True)
        sys.exit(code)


def reserve() -> None:
    """Give the numbers of standard streams that are closed to what can only fail: the next file would get them."""
    for stream, way in ((sys.stdin, os.O_WRONLY), (sys.stdout, os.O_RDONLY), (sys.stderr, os.O_RDONLY)):
        if stream is None:
            os.open(os.devnull, way)


def said(error: Any) -> str:
    """Return what is wrong in words: none if whoever reads has seen enough."""
    if error.errno == errno.EPIPE:
        return ""
    return "is not open for writing" if error.errno == errno.EBADF else str(error.strerror)
