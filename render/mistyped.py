"""A text that is not YAML: where the mistake is, often above of what the parser is at, and what to write. Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import CollectionStartEvent, Event, ScalarEvent

from render import wording

NO_TAB = "a tab cannot stand here: use spaces"
NOT_QUOTED = "text with ${…} needs quotes within […] and {…}: write the value, or quotes where a shell fills it in"
NO_TAG = "a tag cannot stand here: quote the value if it is text"
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
    (re.compile(r" *(?:- +)*-(?=([A-Za-z]\w*): )"), f"{wording.NO_SPACE}: write - {{0}}: …"),
    (re.compile(r" *(?:- +)*([A-Za-z][\w.-]*):(?!//)(?=\S)"), "a space is missing after the colon: write {0}: …"),
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


class Broken(NamedTuple):
    """A document, the lines above it in its file, and how far the parser came."""

    text: str
    above: int
    error: MarkedYAMLError
    last: Event | None
    begun: Sequence[CollectionStartEvent]
    """What was not ended yet."""

    def start(self, index: int) -> int:
        """Return where the line of this place starts."""
        return self.text.rfind("\n", 0, index) + 1

    def at(self, index: int, message: str) -> tuple[int, str]:
        """Return the line of this place, and the message with its column."""
        line, column = self.text.count("\n", 0, index) + 1, index - self.start(index) + 1
        return self.above + line, f"column {column}: {message}"

    def is_template(self, index: int) -> bool:
        """Say whether the line of this place has the braces of a template, but in quotes or a comment."""
        return TEMPLATE.match(self.text, self.start(index)) is not None


def fault(broken: Broken) -> tuple[int, str]:
    """Return the line of the mistake, and what it is."""
    return slip(broken) or syntax(broken)


def slip(broken: Broken) -> tuple[int, str] | None:
    """Return the mistake that is known for such an error, in the line where it is, which may be one above."""
    text, error = broken.text, broken.error
    if conflict := CONFLICT.search(text):
        return broken.at(conflict.start(), UNMERGED)
    problem, mark = str(error.problem), error.problem_mark or error.context_mark
    if "<stream end>" in problem and broken.begun and broken.begun[-1].flow_style:
        opening = broken.begun[-1].start_mark
        not_closed = NOT_CLOSED_BRACKET.format(text[opening.index])
        return broken.at(opening.index, wording.TEMPLATE if broken.is_template(opening.index) else not_closed)
    if text.startswith("${", mark.index - 1):
        return broken.at(mark.index - 1, NOT_QUOTED)
    if error.context not in STRUCTURE or "\t" in text[mark.index - 1 : mark.index + 1]:
        return None
    begins = error.context_mark if error.context == "while scanning a simple key" else mark
    starts = [broken.start(begins.index)]
    if "mapping values are not allowed" in problem:  # by what stands above it is the rest of a text
        starts.append(broken.start(len(text[: starts[-1]].rstrip())))
    found = ((pattern.match(text, start), message) for start in starts for pattern, message in SLIPS)
    return next((broken.at(match.end(), message.format(*match.groups())) for match, message in found if match), None)


def syntax(broken: Broken) -> tuple[int, str]:
    """Return the parser's error in plain words, where its cause is."""
    text, error, last = broken.text, broken.error, broken.last
    mark = error.problem_mark or error.context_mark
    message, begun = str(error.problem or error.context), error.context_mark or mark
    if error.problem and error.context and error.context_mark:
        message += f" {error.context} from line {broken.above + begun.line + 1}"
    if plain := next((plain for words, plain in IN_PLAIN_WORDS.items() if words in message), ""):
        message = plain.format(line=broken.above + begun.line + 1, character=text[mark.index : mark.index + 1])
    before, after = text[: mark.index].rstrip(" "), text[mark.index :]
    if error.context == "while scanning a simple key" and broken.is_template(begun.index):
        mark, message = begun, wording.TEMPLATE
    elif broken.is_template(mark.index):
        message = wording.TEMPLATE
    elif error.problem == "could not find expected ':'":
        mark, message = begun, NO_FIELD
    elif error.problem == "found unexpected end of stream":
        mark, message = begun, NO_TAB if text.startswith("\t", begun.index - 1) else NOT_CLOSED
    elif before.endswith("\t") or after.startswith("\t"):
        message = NO_TAB
    elif before.endswith("!"):
        message = NO_TAG
    elif isinstance(last, ScalarEvent) and last.style in QUOTES and last.end_mark.index == len(before):
        is_long, until = last.end_mark.line > last.start_mark.line, broken.above + last.end_mark.line + 1
        mark, message = last.start_mark, CLOSED_LATE.format(until) if is_long else CLOSED_EARLY
    return broken.at(mark.index, message)
