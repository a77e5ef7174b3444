"""What a rule says, and what rules ask of an app: which components there are, and where each thing is written. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from render.errors import Path
from render.model import CeleryApp, Component

COMMON: Path = ("spec",)


class Hazard(NamedTuple):
    """What will hurt, where, and what to write instead."""

    path: Path
    message: str
    is_error: bool = False
    """It is certain that nobody can want it."""


class Part(NamedTuple):
    """A component of the app, and where it is written."""

    name: str
    path: Path
    own: Mapping[str, Any]
    """What it says itself."""
    spec: Mapping[str, Any]
    """With what holds for all components."""

    def at(self, *field: str | int) -> Path:
        """Return where the field is written: in the component, or for all of them."""
        is_common = isinstance(field[0], str) and field[0] not in self.own and field[0] in self.spec
        return (*(COMMON if is_common else self.path), *field)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Celery's settings."""
        return dict(self.spec.get("settings", {}))


def groups(app: CeleryApp) -> Iterator[Part]:
    """Yield the groups of workers."""
    written = zip(app.groups, app.spec["workers"], strict=True)
    for number, (group, own) in enumerate(written):
        yield Part(f"group {group.name}", ("spec", "workers", number), own, group.spec)


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
