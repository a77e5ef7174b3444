"""Which release of Kubernetes knows which field of an app, and which keeps it: what since.json holds.

An API server refuses a child with a field that it does not know. One whose feature gate is off it drops without a word,
and refuses the child where what is left cannot be.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from render.errors import Path

Json = dict[str, Any]

REFUSED = ("fileKeyRef",)
"""Fields that are all of what they are in: dropped, they leave a variable from nowhere."""


class Since(NamedTuple):
    """When a field came: the first supported release that knows it, and the feature gate it is behind."""

    release: str
    gate: str = ""


class Table(NamedTuple):
    releases: tuple[str, ...]
    """Of Kubernetes, those that are supported, oldest first."""
    gates: Mapping[str, Mapping[str, str]]
    """Of each feature gate the supported releases in which it is off by default, and what it is there: alpha, beta."""
    fields: Mapping[str, Since]
    """By place, such as `.spec.env[].valueFrom.fileKeyRef`. All others every supported release knows and keeps."""

    def off(self, since: Since) -> Mapping[str, str]:
        return self.gates.get(since.gate, {})

    def needs(self, since: Since) -> str:
        """Return what a field needs."""
        off = self.off(since)
        if since.release not in off:
            return f"needs Kubernetes {since.release}"
        gated = f"{since.release} with the feature gate {since.gate}"
        kept = next((each for each in self.releases if all(number(each) > number(other) for other in off)), None)
        return f"needs Kubernetes {kept}, or {gated}" if kept else f"needs Kubernetes {gated}"

    def nearest(self, release: str) -> str:
        """Return the supported release that is nearest to a release."""
        older = [each for each in self.releases if number(each) <= number(release)]
        return older[-1] if older else self.releases[0]


@cache
def table() -> Table:
    """Return the table that rides in the package."""
    text = resources.files(__package__).joinpath("since.json").read_text(encoding="utf-8")
    read = json.loads(text)
    fields = {place: Since(*since.split()) for place, since in read["fields"].items()}
    return Table(tuple(read["releases"]), read["gates"], fields)


def unknown(data: Json, release: str) -> Iterator[tuple[Path, str]]:
    """Yield the fields that a release of Kubernetes does not know, and what to do; of what is in one, nothing more."""
    refused: Path = ()
    for path, since in _given(data, "", ()):
        is_within = refused and path[: len(refused)] == refused
        if not is_within and number(since.release) > number(release):
            refused = path
            yield path, f"{table().needs(since)}, this is {release}: remove it"


def doubtful(data: Json, release: str) -> Iterator[tuple[Path, str]]:
    """Yield the fields that a release drops by default, and what to do.

    Without a release: those that the newest drops, and those that another supported release drops or does not know.
    """
    known = table()
    nearest = known.nearest(release or known.releases[-1])
    for path, since in _given(data, "", ()):
        if number(since.release) > number(nearest):
            continue
        if stage := known.off(since).get(nearest):
            what = "refused" if path[-1] in REFUSED else "dropped"
            yield path, f"is {stage} in Kubernetes {nearest}: it is {what} unless the feature gate {since.gate} is on"
        elif not release:
            yield path, f"{known.needs(since)}: say with --kubernetes which release yours is"


def less(schema: Json, release: str, place: str = "") -> Json:
    """Return a structural schema without the fields that a release does not know."""
    left = dict(schema)
    if "properties" in schema:
        below = {name: (f"{place}.{name}", field) for name, field in schema["properties"].items()}
        left["properties"] = {
            name: less(field, release, at) for name, (at, field) in below.items() if not _is_younger(at, release)
        }
    if isinstance(schema.get("items"), dict):
        left["items"] = less(schema["items"], release, f"{place}[]")
    return left


def number(release: str) -> tuple[int, ...]:
    """Return what makes releases comparable: 1.9 is older than 1.33."""
    return tuple(map(int, release.split(".")))


def _is_younger(place: str, release: str) -> bool:
    since = table().fields.get(place)
    return since is not None and number(since.release) > number(release)


def _given(value: Any, place: str, path: Path) -> Iterator[tuple[Path, Since]]:
    """Yield the fields of the table that the value sets."""
    if value is not None and (since := table().fields.get(place)):
        yield path, since
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _given(item, f"{place}.{key}", (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _given(item, f"{place}[]", (*path, at))
