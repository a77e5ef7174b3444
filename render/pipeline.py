"""The story on one screen: read → load → default → validate → warn → build → emit; all problems, or all bases."""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import NamedTuple

from render import build, default, emit, load, read, structure, validate, warn
from render.errors import InvalidInput, Problem, where
from render.model import CeleryApp, Document, Manifest
from render.schema import Schema

Owners = dict[tuple[str, str, str], str]
"""Which app (file and line) has the object of this kind, namespace and name."""


class Base(NamedTuple):
    """One app's children, in the order in which they are applied."""

    document: Document
    children: tuple[Manifest, ...]
    warnings: tuple[Problem, ...] = ()
    """By line."""

    @property
    def folder(self) -> str:
        """The name of its folder, whatever other apps there are: `shop`, or `shop.NAMESPACE` if it names that."""
        metadata = self.document.data["metadata"]
        return ".".join(filter(None, [metadata["name"], metadata.get("namespace")]))


def base(document: Document, schema: Schema) -> Base:
    """Return the base of one CeleryApp. Raises InvalidInput with every problem."""
    one, warnings = judged(document, schema)
    return Base(document, build.children(one), warnings)


def app(document: Document, schema: Schema) -> CeleryApp:
    """Return one CeleryApp, valid and with every default. Raises InvalidInput with every problem."""
    return judged(document, schema)[0]


def judged(document: Document, schema: Schema) -> tuple[CeleryApp, tuple[Problem, ...]]:
    """Return one CeleryApp, valid and with every default, and its warnings. Raises InvalidInput with every problem.

    What hurts is only said of what could be read: of a wrong value it would say what is not so.
    """
    data = default.fill(document.data, schema.structural)
    faults = [*document.problems, *following(document, validate.problems(document, data, schema))]
    is_read = not faults or (not document.problems and validate.is_readable(document, data, schema))
    known, written = (structure.pruned(each, schema.structural) if faults else each for each in (data, document.data))
    one = CeleryApp.from_document(known, written=written) if is_read else None
    hurting = warn.problems(document, one, schema.kubernetes) if one else []
    problems = tuple(sorted([*faults, *hurting], key=lambda problem: problem.line))
    if one is None or not all(problem.is_warning for problem in problems):
        raise InvalidInput(problems)
    return one, problems


def warnings(document: Document, schema: Schema) -> tuple[Problem, ...]:
    """Return what hurts in an app that the API server has accepted, by line."""
    data = default.fill(document.data, schema.structural)
    return tuple(warn.problems(document, CeleryApp.from_document(data, written=document.data), schema.kubernetes))


def following(document: Document, problems: Iterable[Problem]) -> Iterable[Problem]:
    """Yield the problems but those of what could not be read: they would only follow from it."""
    unread = [problem.path for problem in document.problems]
    return (problem for problem in problems if not any(problem.path[: len(path)] == path for path in unread))


def bases(sources: Iterable[str], schema: Schema, *, strict: bool = False) -> Iterator[Base]:
    """Yield the base of every app in the files, none of which is kept here.

    Raises InvalidInput with every problem of every file, at the end: until then nothing of it may be published.
    Warnings alone raise nothing, unless it is strict.
    """
    problems: list[Problem] = []
    owners: Owners = {}
    given: set[PurePath] = set()
    for source in sources:
        if PurePath(source) in given:
            problems.append(Problem(source, 0, (), "is given twice: name it once"))
            continue
        given.add(PurePath(source))
        try:
            loaded = load.documents(read.content(source), source)
        except InvalidInput as invalid:
            problems += invalid.problems
            continue
        problems += loaded.problems
        for document in loaded.documents:
            try:
                one = base(document, schema)
            except InvalidInput as invalid:
                problems += invalid.problems
            else:
                problems += [*one.warnings, *clashes(one, owners)]
                yield one
    if refuses(problems, strict=strict):
        raise InvalidInput(tuple(problems))


def refuses(problems: Iterable[Problem], *, strict: bool) -> bool:
    """Say whether nothing may be published: something is wrong, or hurts and it is strict."""
    return any(strict or not problem.is_warning for problem in problems)


def clashes(one: Base, owners: Owners) -> list[Problem]:
    """Return a problem if another app has an object of this one, which it would overwrite; note the objects' owner."""
    source, path = one.document.source, ("metadata", "name")
    line = one.document.line(path)
    for child in one.children:
        key = (child["kind"], child["metadata"].get("namespace", ""), child["metadata"]["name"])
        if owner := owners.get(key):
            kind, _, name = key
            message = f"{kind} {name} is in the app of {owner} too: choose another name"
            return [Problem(source, line, path, message)]
        owners[key] = where(source, line)
    return []


def stream(found: Iterable[Base]) -> Iterator[str]:
    """Yield the text of each app, to be joined into one YAML stream."""
    for number, one in enumerate(found):
        yield ("---\n" if number else "") + emit.stream(one.children)


def files(found: Iterable[Base]) -> dict[str, str]:
    """Return the text of every file by its name: a folder for each app, and a kustomization over them.

    Raises InvalidInput with every problem.
    """
    folders: dict[str, dict[str, str]] = {}
    names: list[Problem] = []
    warnings: list[Problem] = []
    others: tuple[Problem, ...] = ()
    try:
        for one in found:
            warnings += one.warnings
            if one.folder in folders:
                path = ("metadata", "name")
                message = "another app has this name too: choose another"
                names.append(Problem(one.document.source, one.document.line(path), path, message))
            folders[one.folder] = emit.files(one.children)
    except InvalidInput as invalid:
        others = invalid.problems
    said = {problem[:3] for problem in others}  # that an app clashes with another says more than that its name does
    named = [problem for problem in names if problem[:3] not in said]
    if named or others:
        raise InvalidInput((*named, *(others or warnings)))
    bases = {f"{folder}/{name}": text for folder, texts in folders.items() for name, text in texts.items()}
    return bases | {emit.KUSTOMIZATION: emit.listing(folders)}
