"""What is not wrong to the API server but will hurt, each with what to write instead. Pure."""

from collections.abc import Callable, Iterable

from render.errors import Problem, dotted
from render.hazards import (
    arguments,
    disruption,
    flower,
    pools,
    queues,
    refused,
    resources,
    scaling,
    secrets,
    settings,
    shutdown,
    storage,
    users,
    variables,
    versions,
)
from render.hazards.hazard import Hazard
from render.model import CeleryApp, Document

RULES: tuple[Callable[[CeleryApp], Iterable[Hazard]], ...] = (
    *arguments.RULES,
    *disruption.RULES,
    *flower.RULES,
    *pools.RULES,
    *queues.RULES,
    *refused.RULES,
    *resources.RULES,
    *scaling.RULES,
    *secrets.RULES,
    *settings.RULES,
    *shutdown.RULES,
    *storage.RULES,
    *users.RULES,
    *variables.RULES,
    *versions.RULES,
)


def problems(document: Document, app: CeleryApp) -> list[Problem]:
    """Return the warnings about the app, and errors where nobody can want it, by line.

    What is written once for all components is said once.
    """
    found = dict.fromkeys(hazard for rule in RULES for hazard in rule(app))
    return sorted(
        (
            Problem(document.source, document.line(path), path, message, is_warning=not is_error)
            for path, message, is_error in found
        ),
        key=lambda problem: (problem.line, dotted(problem.path)),
    )
