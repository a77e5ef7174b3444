"""What can be wrong, as values.

InvalidInput   one or more problems in what the user wrote; raised once, at the border, with all of them, warnings too
UnsafeOutput   the output folder cannot be written, or holds files that are not ours
"""

import re
from typing import NamedTuple, Self

Path = tuple[str | int, ...]

LOGIN = re.compile("(?<=://).*(?=@)", re.DOTALL)
"""User and password of a URL, whatever characters are in them."""
PASSWORD = re.compile("(?<=://)[^@]*:.*(?=@)", re.DOTALL)
"""The same, but no user alone: words of our own show one."""


class _Problem(NamedTuple):
    source: str
    line: int
    path: Path
    message: str
    is_warning: bool = False
    """It hurts, and is rendered all the same."""


class Problem(_Problem):
    """One thing to mend: where (file, line, path in the document) and what to write instead.

    Lines count from 1; 0 is the file as a whole. It is read by many, so no message holds the password of a URL.
    """

    __slots__ = ()

    def __new__(cls, source: str, line: int, path: Path, message: str, is_warning: bool = False) -> Self:  # noqa: FBT001, FBT002
        return super().__new__(cls, source, line, path, PASSWORD.sub("…", message), is_warning)

    def __str__(self) -> str:
        """Return `app.yaml:12: spec.workers[0].concurency: message`, without a path for the document as a whole.

        A warning says so: `app.yaml:12: warning: spec.workers[0].concurrency: message`.
        """
        severity = "warning" if self.is_warning else ""
        return ": ".join(filter(None, [where(self.source, self.line), severity, dotted(self.path), self.message]))


class InvalidInput(Exception):  # noqa: N818 (says what it is; "InvalidInputError" says it twice)
    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class UnsafeOutput(Exception):  # noqa: N818 (likewise)
    """Its message names the path and says what to do."""


def where(source: str, line: int) -> str:
    return f"{source}:{line}" if line else source


def dotted(path: Path) -> str:
    """Return the path as the API server writes it: `spec.workers[0].queues[1]`. A key may be a URL with a password."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return without_login(text.removeprefix("."))


def in_order(problem: Problem) -> tuple[int, list[tuple[int, str]]]:
    """Return what problems are sorted by: lines, and of one line paths, with items of a list by their number."""
    return problem.line, [(step, "") if isinstance(step, int) else (-1, step) for step in problem.path]


def without_login(text: str) -> str:
    return LOGIN.sub("…", text)
