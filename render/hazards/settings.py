"""Settings that Celery does not know, or cannot read: it says nothing of them, since their values come as JSON."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from render.hazards.celery_settings import SINCE
from render.hazards.hazard import COMMON, Hazard, blocks
from render.hazards.versions import minor
from render.model import CeleryApp

ALL = frozenset[str]().union(*SINCE.values())
READABLE = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)+")
OLD_PREFIX = re.compile("celery(d|beat)?_")
NAMESPACES = ("task", "worker", "beat", "result", "broker")
OF_OTHERS = ("redbeat_",)
"""Begin the settings of what extends Celery and reads them from its configuration."""
NEAR = 0.85
OF_ALL = ("broker_use_ssl", "control_exchange", "event_exchange")
BY_FIELD = {"broker_use_ssl": "write spec.broker.tls in place of it, which reaches all"}
OF_BEAT = ("beat_", "redbeat_")
"""Begin the settings that only beat reads."""
OPTIONS_OF_ALL = ("fanout_patterns", "fanout_prefix", "global_keyprefix")
"""Settings by which components find each other; TLS and Sentinel of spec.broker reach Flower too."""


def unknown(app: CeleryApp) -> Iterator[Hazard]:
    """Yield an error for each name that cannot be read or is nearly Celery's, and a warning for any other unknown."""
    known = frozenset[str]().union(*(names for version, names in SINCE.items() if version <= minor(app)))
    for path, block in blocks(app):
        for name in block.get("settings", {}):
            place = (*path, "settings", name)
            if name in known or name.startswith(OF_OTHERS):
                continue  # those that only the app's own configuration may set, the CRD refuses
            if not READABLE.fullmatch(name):
                better = meant(name) or "a name of Celery's, such as task_acks_late, or remove it"
                yield Hazard(place, f"is no setting that Celery can read: write {better}", is_error=True)
            elif name in ALL:
                [since] = (version for version, names in SINCE.items() if name in names)
                message = (
                    f"Celery {minor(app)} does not know it, {since} does: write what is in the image as celeryVersion"
                )
                yield Hazard(place, message)
            elif better := meant(name):
                yield Hazard(place, f"is no setting of Celery: write {better}", is_error=True)
            else:
                yield Hazard(
                    place, "is no setting of Celery's own: write it right, or remove it unless the app reads it"
                )


def meant(name: str) -> str:
    """Return the setting that was probably meant: another spelling, an old name, or one letter more or less."""
    plain = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    rest = OLD_PREFIX.sub("", plain)
    candidates = [plain, rest, *(f"{namespace}_{rest}" for namespace in NAMESPACES)]
    exact = [candidate for candidate in candidates if candidate in ALL and (rest != plain or candidate == plain)]
    return next(iter(exact or get_close_matches(plain, sorted(ALL), 1, NEAR)), "")


def beyond_flower(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each setting without which Flower looks elsewhere than the workers are: its command line takes none."""
    if app.flower is None or "commandLine" in app.flower.spec:
        return
    given = app.spec.get("settings", {})
    options = given.get("broker_transport_options") or {}
    fields = ((name,) for name in OF_ALL if name in given)
    inner = (("broker_transport_options", name) for name in OPTIONS_OF_ALL if name in options)
    for place in (*fields, *inner):
        better = BY_FIELD.get(place[-1], "set it in the app itself, for all alike")
        yield Hazard((*COMMON, "settings", *place), f"does not reach Flower: {better}")


def beyond_beat(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each setting of beat's own that others would need to know too."""
    for path, block in blocks(app):
        for name in block.get("settings", {}) if path == ("spec", "beat") else ():
            if not name.startswith(OF_BEAT) and name in ALL:  # of all others `unknown` says what is wrong
                yield Hazard(
                    (*path, "settings", name), "is not beat's alone: write it into spec.settings", is_error=True
                )


RULES = (unknown, beyond_flower, beyond_beat)
