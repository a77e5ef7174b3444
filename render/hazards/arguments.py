"""Arguments that Celery does not take."""

import re
from collections.abc import Iterator

from render.hazards.hazard import Hazard, parts
from render.model import CeleryApp

WORD = re.compile("(?![-$])")
"""What is neither an option nor a variable that may hold one."""


def first_words(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each first argument that is no option: `celery worker` stands before it, and ends with an error."""
    for part in parts(app):
        for argument in part.own.get("args", ())[:1]:
            if WORD.match(argument):
                message = "Celery takes options alone here: remove it, or write --OPTION=VALUE"
                yield Hazard(part.at("args", 0), message, is_error=True)


RULES = (first_words,)
