"""What is not wrong to the API server but will hurt, each with what to write instead. Pure."""

from collections.abc import Callable, Iterable

from render import since
from render.errors import Path, Problem, in_order
from render.hazards import (
    arguments,
    brokers,
    commands,
    disruption,
    encryption,
    flower,
    images,
    pools,
    queues,
    refused,
    resources,
    scaling,
    secrets,
    settings,
    shutdown,
    start,
    storage,
    users,
    variables,
    versions,
)
from render.hazards.hazard import Hazard
from render.model import CeleryApp, Document

RULES: tuple[Callable[[CeleryApp], Iterable[Hazard]], ...] = (
    *arguments.RULES,
    *brokers.RULES,
    *commands.RULES,
    *disruption.RULES,
    *encryption.RULES,
    *flower.RULES,
    *images.RULES,
    *pools.RULES,
    *queues.RULES,
    *refused.RULES,
    *resources.RULES,
    *scaling.RULES,
    *secrets.RULES,
    *settings.RULES,
    *shutdown.RULES,
    *start.RULES,
    *storage.RULES,
    *users.RULES,
    *variables.RULES,
    *versions.RULES,
)


def problems(document: Document, app: CeleryApp, kubernetes: str) -> list[Problem]:
    """Return the warnings about the app, and errors where nobody can want it, by line.

    Without a release of Kubernetes, of any that is supported. What is written once for all components is said once.
    """
    found = dict.fromkeys(hazard for rule in RULES for hazard in rule(app))
    young = (Hazard(*each) for each in since.doubtful(document.data, kubernetes) if _is_for_the_server(each[0], app))
    return sorted(
        (
            Problem(document.source, document.line(path), path, message, is_warning=not is_error)
            for path, message, is_error in (*found, *young)
        ),
        key=in_order,
    )


def _is_for_the_server(path: Path, app: CeleryApp) -> bool:
    """Say whether a field comes to the API server, or is read by the reconciler alone."""
    match path:
        case ("spec", "workers", int(number), "scaling", *_):
            return bool(app.groups[number].spec["scaling"]["engine"] != scaling.ENGINE)
    return True
