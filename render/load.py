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

from render import scalar, wording
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
NOT_QUOTED = "text with ${…} needs quotes within […] and {…}: write the value, or quotes where a shell fills it in"
NO_TAG = "a tag cannot stand here: quote the value if it is text"
NO_TAB = "a tab cannot stand here: use spaces"
TAB = re.compile(" *\t")
TEMPLATE = re.compile(r"[^#\"'\n]*\{\{")
QUOTES = ("'", '"')
NOT_CLOSED = "the quote that opens here is not closed"
CLOSED_LATE = "the quote that opens here closes in line {}, before other text: close it where its own text ends"
CLOSED_EARLY = (
    "other text follows the quote that opens here: write \\\" within \"…\", '' within '…', for one that is text"
)
NO_FIELD = "a line of its own is a field: write key: value, or quote text that goes on here"
NOT_CLOSED_BRACKET = "the {} that opens here is not closed"
CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: .*)?$", re.MULTILINE)
UNMERGED = "is left of a merge conflict: keep one side, and remove the lines <<<<<<<, ======= and >>>>>>>"
SLIPS = (
    (re.compile(r" +(?=---(\s|$))"), "--- separates documents: write it without spaces before it"),
    (re.compile(r" *(?:- +)*-(?=([A-Za-z]\w*): )"), "a space is missing after the dash: write - {1}: …"),
    (re.compile(r" *(?:- +)*([A-Za-z][\w.-]*):(?!//)(?=\S)"), "a space is missing after the colon: write {1}: …"),
)
"""What a line begins with that was meant otherwise, where the text is not YAML."""
STRUCTURE = (
    None,
    "while scanning a simple key",
    "while parsing a block mapping",
    "while parsing a block collection",
    "while parsing a flow mapping",
    "while parsing a flow sequence",
)
"""What the parser was about where such a line can be the cause; of a scalar or a tag it says itself what is wrong."""
IN_PLAIN_WORDS = {
    "<document start>": "the document ended above: check the indentation, or begin another with ---",
    "found '<block mapping start>'": "is indented as nothing above: align it with the fields that it stands beside",
    "found '?'": "is indented as the dash above: align it with the first field of the item",
    "mapping values are not allowed": "no field can begin here: align it with those above, or quote text with a colon",
    # ruamel.yaml refuses what is YAML: https://yaml.org/spec/1.2.2/#8111-block-indentation-indicator
    "more indented follow up line": "a block cannot begin with a line of spaces: remove them above",
    "expected chomping or indentation": "after | or > comes a new line, or a space and a comment",
    "expected ',' or ']'": "a comma is missing, or the ] of the list that begins in line {line}",
    "expected ',' or '}'": "a comma is missing, or the }} of the object that begins in line {line}",
    "unknown escape character": r"\{character} is no escape: write \\ for a backslash, or the text in single quotes",
    "cannot start any token": "text cannot begin with {character}: write it in quotes",
    "undefined tag handle": NO_TAG,
    "ing a tag": NO_TAG,
    "ing an tag": NO_TAG,
}


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
            raise InvalidInput((self.slip(error, begun) or self.syntax(error, last),)) from error
        except (ValueError, OverflowError) as error:  # from chr(), in ruamel's reading of "\U00110000"
            line = self.above + yaml.reader.line + 1
            raise InvalidInput((Problem(self.source, line, (), "no character has this number"),)) from error

    def slip(self, error: MarkedYAMLError, begun: list[CollectionStartEvent]) -> Problem | None:
        """Return the mistake that is known for such an error, in the line where it is, which may be one above."""
        if conflict := CONFLICT.search(self.chunk):
            return self.at(conflict.start(), UNMERGED)
        problem, mark = str(error.problem), error.problem_mark or error.context_mark
        if "<stream end>" in problem and begun and begun[-1].flow_style:
            opening = begun[-1].start_mark
            not_closed = NOT_CLOSED_BRACKET.format(self.chunk[opening.index])
            return self.at(opening.index, wording.TEMPLATE if self.is_template(opening) else not_closed)
        if self.chunk.startswith("${", mark.index - 1):
            return self.at(mark.index - 1, NOT_QUOTED)
        if error.context not in STRUCTURE or "\t" in self.chunk[mark.index - 1 : mark.index + 1]:
            return None
        begins = error.context_mark if error.context == "while scanning a simple key" else mark
        starts = [self.chunk.rfind("\n", 0, begins.index) + 1]
        if "mapping values are not allowed" in problem:  # by what stands above it is the rest of a text
            starts.append(self.chunk.rfind("\n", 0, len(self.chunk[: starts[-1]].rstrip())) + 1)
        found = ((pattern.match(self.chunk, start), message) for start in starts for pattern, message in SLIPS)
        return next(
            (self.at(match.end(), message.format(match[0], *match.groups())) for match, message in found if match), None
        )

    def at(self, index: int, message: str) -> Problem:
        """Return a problem of the text there."""
        line, column = self.chunk.count("\n", 0, index) + 1, index - self.chunk.rfind("\n", 0, index)
        return Problem(self.source, self.above + line, (), f"column {column}: {message}")

    def syntax(self, error: MarkedYAMLError, last: Event | None) -> Problem:
        """Return the parser's error in plain words, where its cause is."""
        mark = error.problem_mark or error.context_mark
        message, begun = str(error.problem or error.context), error.context_mark or mark
        if error.problem and error.context and error.context_mark:
            message += f" {error.context} from line {self.above + begun.line + 1}"
        if plain := next((plain for words, plain in IN_PLAIN_WORDS.items() if words in message), ""):
            message = plain.format(line=self.above + begun.line + 1, character=self.chunk[mark.index : mark.index + 1])
        before, after = self.chunk[: mark.index].rstrip(" "), self.chunk[mark.index :]
        if error.context == "while scanning a simple key" and self.is_template(begun):
            mark, message = begun, wording.TEMPLATE
        elif self.is_template(mark):
            message = wording.TEMPLATE
        elif error.problem == "could not find expected ':'":
            mark, message = begun, NO_FIELD
        elif error.problem == "found unexpected end of stream":
            mark, message = begun, NO_TAB if self.chunk.startswith("\t", begun.index - 1) else NOT_CLOSED
        elif before.endswith("\t") or after.startswith("\t"):
            message = NO_TAB
        elif before.endswith("!"):
            message = NO_TAG
        elif isinstance(last, ScalarEvent) and last.style in QUOTES and last.end_mark.index == len(before):
            is_long, until = last.end_mark.line > last.start_mark.line, self.above + last.end_mark.line + 1
            mark, message = last.start_mark, CLOSED_LATE.format(until) if is_long else CLOSED_EARLY
        return Problem(self.source, self.above + mark.line + 1, (), f"column {mark.column + 1}: {message}")

    def is_template(self, mark: Any) -> bool:
        """Say whether the line at the mark has the braces of a template, but in quotes or a comment."""
        start = self.chunk.rfind("\n", 0, mark.index) + 1
        return TEMPLATE.match(self.chunk, start) is not None

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
                    raise self.stop(event, path, NO_TAB)
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
