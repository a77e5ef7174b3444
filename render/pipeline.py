"""The story on one screen: read → load → default → validate → build → emit; all problems, or all bases."""

from collections.abc import Iterable
from typing import NamedTuple

from render import build, default, emit, load, read, validate
from render.errors import InvalidInput, Problem
from render.model import CeleryApp, Document, Manifest
from render.schema import Schema


class Base(NamedTuple):
    """One app's children, in the order in which they are applied."""

    document: Document
    children: tuple[Manifest, ...]

    @property
    def name(self) -> str:
        return str(self.document.data["metadata"]["name"])


def base(document: Document, schema: Schema) -> Base:
    """Return the base of one CeleryApp. Raises InvalidInput with every problem."""
    data = default.fill(document.data, schema.structural)
    if problems := [*document.problems, *following(document, validate.problems(document, data, schema))]:
        raise InvalidInput(tuple(sorted(problems, key=lambda problem: problem.line)))
    return Base(document, build.children(CeleryApp.from_document(data, written=document.data)))


def following(document: Document, problems: Iterable[Problem]) -> Iterable[Problem]:
    """Yield the problems but those of what could not be read: they would only follow from it."""
    unread = [problem.path for problem in document.problems]
    return (problem for problem in problems if not any(problem.path[: len(path)] == path for path in unread))


def bases(sources: Iterable[str], schema: Schema) -> tuple[Base, ...]:
    """Return the base of every app in the files. Raises InvalidInput with every problem of every file."""
    found: list[Base] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            loaded = load.documents(read.content(source), source)
        except InvalidInput as invalid:
            problems += invalid.problems
            continue
        problems += loaded.problems
        for document in loaded.documents:
            try:
                found.append(base(document, schema))
            except InvalidInput as invalid:
                problems += invalid.problems
    if problems := problems or list(clashes(found)):
        raise InvalidInput(tuple(problems))
    return tuple(found)


def clashes(found: Iterable[Base]) -> Iterable[Problem]:
    """Yield a problem for every app with an object that another app has too: one would overwrite the other."""
    owners: dict[tuple[str, str, str], Document] = {}
    for document, children in found:
        for child in children:
            kind, metadata = child["kind"], child["metadata"]
            other = owners.setdefault((kind, metadata.get("namespace", ""), metadata["name"]), document)
            if other is not document:
                path = ("metadata", "name")
                there = f"{other.source}:{other.line(path)}"
                message = f"{kind} {metadata['name']} is in the app of {there} too: choose another name"
                yield Problem(document.source, document.line(path), path, message)
                break


def files(found: tuple[Base, ...]) -> dict[str, str]:
    """Return the text of every file by its name: one app flat, several in a folder each."""
    if len(found) == 1:
        return emit.files(found[0].children)
    return {f"{one.name}/{name}": text for one in found for name, text in emit.files(one.children).items()}
