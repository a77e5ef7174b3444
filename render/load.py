"""YAML bytes in, documents out: one reading, that of kubectl (sigs.k8s.io/yaml on go-yaml v2). Pure.

Where readers of YAML 1.1, YAML 1.2 and JSON differ, the text is read as kubectl reads it, or refused where even that
would surprise. Parser events come from ruamel.yaml by its rules for YAML 1.1, go-yaml's own; what a plain scalar
means is decided here (see `resolved`), since the two differ on it: `08`, `1e3`, `0o17`, `12:30`, dates.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from render import mistyped, scalar, wording
from render.errors import InvalidInput, Path, Problem, without_login
from render.model import Document
from render.scalar import Scalar

MAX_DEPTH = 64

NO_APP = "write a CeleryApp, see celery-render --init NAME"

SEPARATOR = re.compile(r"^---.*\n?", re.MULTILINE)
ANCHOR = re.compile(r"&[\w-]+(?!\S)", re.ASCII)
LOST = re.compile("[\x7f-\x9f\ufffe\uffff]")
"""kustomize writes them as they are, then reads another text (NEL) or nothing."""
NOT_KEPT = "the character {0!a} does not survive kustomize: remove it"
REFUSED = (
    (LOST, NOT_KEPT),
    # Control characters, and what only some readers take for a line break or a mark: CR, LS, PS, BOM.
    (
        re.compile("[\x00-\x08\x0b-\x1f\u2028\u2029\ud800-\udfff\ufeff]"),
        "the character {0!a} cannot stand as it is: write this escape in double quotes",
    ),
    # kubectl cuts a file apart at each line that begins like this, whatever it is part of, before it reads YAML.
    (
        re.compile(r"^---(?![ \t]*$|[ \t]+#).*", re.MULTILINE),
        "--- separates documents: begin a new line with what follows it",
    ),
    (
        re.compile(r"^%.*", re.MULTILINE),
        "{0} is a directive to the YAML reader, which kubectl does not take: remove the line",
    ),
)
TAB = re.compile(" *\t")


class Loaded(NamedTuple):
    """What a file holds: its documents, and a problem for each that could not be read at all."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


def documents(content: bytes, source: str, wanted: str = NO_APP) -> Loaded:
    """Return the documents of a file, empty ones left out; of a file with no others, say what is wanted."""
    found: list[Document] = []
    problems: list[Problem] = []
    try:
        for above, chunk in chunks(checked_text(content, source)):
            try:
                found += Reading(chunk, source, above).document()
            except InvalidInput as unreadable:
                problems += unreadable.problems
    except InvalidInput as unreadable:
        problems += unreadable.problems
    if not found and not problems:
        problems = [Problem(source, 0, (), f"is empty: {wanted}")]
    return Loaded(tuple(found), tuple(problems))


def checked_text(content: bytes, source: str) -> str:
    """Return the text, with LF at the end of lines. Raises InvalidInput where it is not one text to every reader."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidInput((Problem(source, 0, (), "is UTF-16: save it as UTF-8"),))
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n") + "\n"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput((Problem(source, line, (), "is not UTF-8: save the file as UTF-8"),)) from error
    if problems := tuple(misread(text, source)):
        raise InvalidInput(problems)
    return text


def misread(text: str, source: str) -> Iterator[Problem]:
    """Yield a problem for each kind of text on which kubectl and other readers of YAML do not agree."""
    for pattern, message in REFUSED:
        if match := pattern.search(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Problem(source, line, (), message.format(without_login(match[0])[:21]))


def chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield what stands between the separators, each with the number of lines above it."""
    above, start = 0, 0
    for end, after in [*(match.span() for match in SEPARATOR.finditer(text)), (len(text), len(text))]:
        if text[start:end].strip(" \n"):
            yield above, text[start:end]
        above += text.count("\n", start, after)
        start = after


class Reading:
    """One document while it is read: where its parts stand, and what is wrong with them."""

    def __init__(self, chunk: str, source: str, above: int) -> None:
        self.source = source
        self.above = above
        self.chunk = chunk
        self.events = self.parsed()
        self.lines: dict[Path, int] = {}
        self.plain: dict[Path, str] = {}
        self.problems: list[Problem] = []

    def document(self) -> tuple[Document, ...]:
        """Return the document, or nothing when it is empty. Raises InvalidInput when it cannot be read to its end."""
        try:
            data = self.root()
        except InvalidInput as unreadable:
            raise InvalidInput((*self.problems, *unreadable.problems)) from unreadable
        if data is None and not self.problems:
            return ()
        if not isinstance(data, dict):
            raise InvalidInput(tuple(self.problems))
        return (Document(data, self.source, self.lines, self.plain, tuple(self.problems)),)

    def root(self) -> Any:
        _, start = next(self.events), next(self.events)
        if isinstance(start, StreamEndEvent):
            return None
        event = next(self.events)
        self.lines[()] = self.line(event)
        data = self.value(event, ())
        for _ in self.events:  # nothing may follow but the end
            pass
        if data is not None and not isinstance(data, dict) and not self.problems:
            kind = "a list" if isinstance(data, list) else wording.short(data, 20)
            self.problem(event, (), f"is {kind}: write a CeleryApp (apiVersion, kind, metadata, spec)")
        return data

    def parsed(self) -> Iterator[Any]:
        """Yield the parser's events. Raises InvalidInput where they end because the text is not YAML."""
        yaml = YAML(typ="safe", pure=True)
        yaml.version = (1, 1)
        last, begun = None, []
        try:
            for last in yaml.parse(self.chunk):
                if isinstance(last, CollectionStartEvent):
                    begun.append(last)
                elif isinstance(last, CollectionEndEvent):
                    begun.pop()
                yield last
        except MarkedYAMLError as error:
            line, message = mistyped.fault(mistyped.Broken(self.chunk, self.above, error, last, begun))
            raise InvalidInput((Problem(self.source, line, (), message),)) from error
        except (ValueError, OverflowError) as error:  # from chr(), in ruamel's reading of "\U00110000"
            line = self.above + yaml.reader.line + 1
            raise InvalidInput((Problem(self.source, line, (), "no character has this number"),)) from error

    def line(self, event: Event) -> int:
        return self.above + int(event.start_mark.line) + 1

    def problem(self, event: Event, path: Path, message: str) -> None:
        self.problems.append(Problem(self.source, self.line(event), path, message))

    def stop(self, event: Event, path: Path, message: str) -> InvalidInput:
        return InvalidInput((Problem(self.source, self.line(event), path, message),))

    def value(self, event: AliasEvent | ScalarEvent | CollectionStartEvent, path: Path) -> Any:
        """Return the value that begins with the event."""
        if isinstance(event, AliasEvent):
            return self.problem(event, path, f"*{event.anchor} is an alias: write the value out")
        self.bare(event, path)
        if isinstance(event, ScalarEvent):
            value = self.scalar(event, path)
            if not isinstance(value, str):
                self.plain[path] = event.value
            return value
        if len(path) >= MAX_DEPTH:
            raise self.stop(event, path, f"is nested more than {MAX_DEPTH} levels deep")
        return self.mapping(path) if isinstance(event, MappingStartEvent) else self.sequence(path)

    def mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self.key(event, path)
            here = (*path, key)
            if key in found:
                self.problem(event, here, f"stands in line {self.lines[here]} already: keep one")
            else:
                self.lines[here] = self.line(event)
            found[key] = self.value(next(self.events), here)
        return found

    def sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            here = (*path, len(found))
            self.lines[here] = self.line(event)
            found.append(self.value(event, here))
        return found

    def key(self, event: Event, path: Path) -> str:
        """Return the key; its source where that is not read as text."""
        if not isinstance(event, ScalarEvent):
            is_template = self.chunk.startswith("{{", event.start_mark.index - 1)
            raise self.stop(event, path, wording.TEMPLATE if is_template else "has a key that is not text")
        self.bare(event, path)
        if event.value == "<<":  # kustomize drops it in quotes too
            self.problem(event, path, "<< is a merge key: write the fields out")
        key = self.scalar(event, path)
        if not isinstance(key, str):
            self.problem(event, path, f'has a key that is read as {json.dumps(key)}: write "{event.value}"')
        return str(event.value)

    def scalar(self, event: ScalarEvent, path: Path) -> Scalar:
        """Return the scalar's value; its source where it has none."""
        text = str(event.value)
        try:
            if event.style is None:
                if TAB.match(self.chunk, event.end_mark.index):  # `{a\t:b}` is two values to kubectl and one to others
                    raise self.stop(event, path, mistyped.NO_TAB)
                return scalar.value(text)
            text.encode()
            if lost := LOST.search(text):
                self.problem(event, path, NOT_KEPT.format(lost[0]))
            if event.style in "|>" and text.lstrip("\n").startswith("\t"):
                self.problem(event, path, "begins with a tab: kubectl takes it for indentation")
            if event.style in "|>" and " " in text and not text.strip(" \n"):  # `>1` of spaces has fewer to kubectl
                self.problem(event, path, "is a block of nothing but spaces: write them in double quotes")
        except UnicodeEncodeError:  # "\ud83d\ude00": one character to JSON, an error or two halves to YAML
            self.problem(event, path, "has half a character as \\u escape: write the character itself")
        except ValueError as error:
            self.problem(event, path, str(error))
        return text

    def bare(self, event: ScalarEvent | CollectionStartEvent, path: Path) -> None:
        """Note a tag, and an anchor of which other readers take a part for the value."""
        if event.ctag is not None:
            self.problem(event, path, f"has the tag {event.ctag}: remove it; quote the value if it is text")
        if event.anchor and not ANCHOR.match(self.chunk, self.chunk.find("&", event.start_mark.index)):
            self.problem(event, path, f"has the anchor &{event.anchor}: remove it")
