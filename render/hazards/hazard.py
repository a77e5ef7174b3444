"""What a rule says, and what rules ask of an app: which components there are, and where each thing is written. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from render import naming
from render.errors import Path
from render.model import CeleryApp, Component

COMMON: Path = ("spec",)
FORKING = frozenset({"prefork", "processes"})
"""Pools that run tasks in child processes; `processes` is Celery's other name for prefork."""


class Hazard(NamedTuple):
    """What will hurt, where, and what to write instead."""

    path: Path
    message: str
    is_error: bool = False
    """Nobody can want it."""


class Part(NamedTuple):
    """A component of the app, and where it is written."""

    name: str
    path: Path
    own: Mapping[str, Any]
    """What it says itself."""
    spec: Mapping[str, Any]
    """With what holds for all components."""

    def at(self, field: str, *within: str | int) -> Path:
        """Return where the field is written: in the component, or for all of them."""
        is_common = field in self.spec and not _holds(self.own, (field, *within))
        return (*(COMMON if is_common else self.path), field, *within)

    def given(self, field: str) -> Mapping[str, Any]:
        """Return an object, empty where there is none; settings are arguments, which a commandLine does not get."""
        is_lost = field == "settings" and "commandLine" in self.spec
        found: Mapping[str, Any] = {} if is_lost else self.spec.get(field, {})
        return found


def groups(app: CeleryApp) -> Iterator[Part]:
    """Yield the groups of workers."""
    written = zip(app.groups, app.spec["workers"], strict=True)
    return (Part(one.name, ("spec", "workers", number), own, one.spec) for number, (one, own) in enumerate(written))


def parts(app: CeleryApp) -> Iterator[Part]:
    """Yield the components: groups, beat, Flower."""
    yield from groups(app)
    singles: tuple[Component | None, ...] = (app.beat, app.flower)
    for single in filter(None, singles):
        yield Part(single.name, ("spec", single.name), app.spec[single.name], single.spec)


def blocks(app: CeleryApp) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each place where a field of pods can be written, with what is written there: spec, and each component."""
    yield COMMON, app.spec
    yield from ((part.path, part.own) for part in parts(app))


def broker(app: CeleryApp) -> str:
    """Return the kind of the broker, or the scheme of a URL of another; nothing where only a Secret knows."""
    given = app.spec.get("broker", {})
    scheme = str(given.get("url", "")).partition("://")[0].partition("+")[0]
    return str(given.get("type") or naming.BROKERS.get(scheme, scheme))


def _holds(value: Any, path: Path) -> bool:
    """Say whether the place is written there; an item of a list is, if the list is."""
    for step in path:
        if isinstance(value, list):
            return True
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True
