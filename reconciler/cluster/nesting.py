"""How deep JSON is nested, told from its text: Python's own reader gives up at some 1000 levels. Pure."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def nesting(text: str) -> int:
    """Return how many objects and lists are within each other, 0 for a scalar."""
    return max((depth for _, _, depth in _brackets(text)), default=0)


def shallow(text: str, deepest: int) -> str:
    """Return the text with null for every object and list that is within so many others."""
    pieces, begin = [], 0
    for start, end, depth in _brackets(text):
        if depth == deepest + 1:
            if text[start] in "{[":
                pieces.append(text[begin:start] + "null")
            begin = end
    return "".join([*pieces, text[begin:]])


def _brackets(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield where each bracket begins and ends, and the depth of what it opens or closes."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
            yield *token.span(), depth
        elif token[0] in "}]":
            yield *token.span(), depth
            depth -= 1
