"""Arguments that Celery does not take."""

import re
from collections.abc import Iterator

from render.hazards.hazard import Hazard, parts
from render.model import CeleryApp

COMMANDS = ("worker", "beat", "flower")
OF_ALL = ("--quiet", "--no-color", "--skip-checks", "--version")
"""Options of `celery` itself, which stand before its command."""
WORD = re.compile("(?![-$])")
"""What is neither an option nor a variable that may hold one."""


def first_words(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each first argument that is no option: `celery worker` stands before it, and ends with an error."""
    for part in parts(app):
        for argument in part.own.get("args", ())[:1]:
            words = part.own["args"]
            if argument.rpartition("/")[2] == "celery" and (last := next((w for w in COMMANDS if w in words), "")):
                is_named = any(word.rpartition("/")[2] == "celery" for word in part.spec.get("command", ("celery",)))
                more = "" if is_named else f", and write {argument} at the end of command"
                message = f"{argument} … {last} stands before args already: remove all up to {last}{more}"
                yield Hazard(part.at("args", 0), message, is_error=True)
            elif argument in COMMANDS:
                yield Hazard(
                    part.at("args", 0), f"celery … {argument} stands before args already: remove it", is_error=True
                )
            elif WORD.match(argument):
                message = "Celery takes options alone here: remove it, or write --OPTION=VALUE"
                yield Hazard(part.at("args", 0), message, is_error=True)


def of_all_commands(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each option of `celery` that its commands do not know, and end at."""
    for part in parts(app):
        for at, argument in enumerate(part.own.get("args", ())):
            if argument in OF_ALL and part.path[1] != "flower":
                message = "is an option of celery itself, which its command does not know and ends at: remove it"
                yield Hazard(part.at("args", at), message, is_error=True)


RULES = (first_words, of_all_commands)
