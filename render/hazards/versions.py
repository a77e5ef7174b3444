"""Versions of Celery with which nothing here was tried."""

from collections.abc import Iterator

from render.hazards.celery_settings import SINCE
from render.hazards.hazard import Hazard
from render.model import CeleryApp

TRIED = tuple(SINCE)


def untried(app: CeleryApp) -> Iterator[Hazard]:
    """Yield a version that is older or newer than those."""
    if minor(app) not in TRIED:
        message = f"{minor(app)} was never tried here, only {TRIED[0]} to {TRIED[-1]}: write what is in the image"
        yield Hazard(("spec", "celeryVersion"), message)


def minor(app: CeleryApp) -> str:
    """Return `5.6` of `5.6.2`."""
    return ".".join(app.spec["celeryVersion"].split(".")[:2])


RULES = (untried,)
