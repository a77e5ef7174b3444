"""Commands that start nothing, and shells that keep SIGTERM from Celery."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from shlex import shlex

from render.errors import Path
from render.hazards.arguments import COMMANDS
from render.hazards.hazard import COMMON, Hazard, blocks, parts
from render.model import CeleryApp

SHELLS = {"sh", "bash", "dash", "ash", "ksh", "zsh"}
HANDLED = {"exec", "trap"}
"""Words of a script that sees to its signals."""
SEPARATORS = "|&;\n"


def whole_lines(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each command line that is one item: no program is called so. An ENTRYPOINT may take it apart."""
    for path, block in blocks(app):
        for field in ("command", "commandLine") if _is_replaced(app, path) else ():
            if _is_line(next(iter(block.get(field, ())), "")):
                message = "no program is called so, blanks and all: write each word as an item of its own"
                yield Hazard((*path, field, 0), message, is_error=True)


def _is_line(text: str) -> bool:
    """Say whether it is more than a program, of which a path may have blanks."""
    first, *words = text.split() or [""]
    is_celery = first.rpartition("/")[2] == "celery" and words[:1] and words[0].startswith("-")
    return bool(words) and ("/" not in first or "celery" in words or bool(is_celery))


def shells_that_stay(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each script in which something follows Celery: the shell stays, and SIGTERM ends the shell alone."""
    for path, block in blocks(app):
        if _is_replaced(app, path) and _stays(block.get("commandLine", ())):
            message = "the shell stays, since its script goes on after Celery, which then hears no SIGTERM"
            yield Hazard((*path, "commandLine"), f"{message}: write exec celery … as its last command, without a pipe")


def _stays(words: Sequence[str]) -> bool:
    """Say so where it is certain. A shell may become the last command of its script by itself: bash does, dash not."""
    at = next((at for at, word in enumerate(words) if at and re.fullmatch("-[A-Za-z]*c", word)), len(words))
    if not words or words[0].rpartition("/")[2] not in SHELLS or at + 1 >= len(words):
        return False
    parts = _commands(words[at + 1])
    is_celery = [any(word.rpartition("/")[2] == "celery" for word in part) and {*COMMANDS} & {*part} for part in parts]
    return any(is_celery[:-1]) and not any(HANDLED & {*part} for part in parts)


def _commands(script: str) -> list[list[str]]:
    """Return the words of each command of a script; nothing where a quote is open."""
    lexer = shlex(script, posix=True, punctuation_chars=f"()<>{SEPARATORS}")
    lexer.whitespace = " \t\r"
    try:
        words = list(lexer)
    except ValueError:
        return []
    return [list(part) for ends, part in groupby(words, lambda word: {*word} <= {*SEPARATORS}) if not ends]


def _is_replaced(app: CeleryApp, path: Path) -> bool:
    """Say whether no ENTRYPOINT of the image stands before the command of a component."""
    users = (part for part in parts(app) if path in (COMMON, part.path))
    return any(part.spec.get("imageEntrypoint") != "Keep" for part in users)


RULES = (whole_lines, shells_that_stay)
