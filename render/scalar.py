"""What kubectl makes of a plain scalar: go-yaml v2's resolve.go, then JSON as Go writes and reads it. Pure."""

import math
import re

Scalar = bool | int | float | str | None

MAX_INTEGER = 2**63 - 1
MAX_EXACT = 2**53
"""From here on a float may stand for several whole numbers."""

WORDS: dict[str, Scalar] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
}
NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,19}|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+)|0b[-+][01]+")
OCTAL = re.compile(r"^([-+]?)0(?=[0-7])")
INNER_SIGN = re.compile(r"^0b([-+])")
"""`0b-1` is -1 to go-yaml."""
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
POINT_FIRST = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")


def value(text: str) -> Scalar:
    """Return the value of the plain scalar. Raises ValueError when JSON or an exact number cannot hold it."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if NOT_JSON.fullmatch(text):
        raise ValueError(f"{text} is no number in JSON: quote it if it is text")
    number = _number(text)
    if number is None:
        return text
    if number > MAX_INTEGER or (isinstance(number, float) and abs(number) >= MAX_EXACT):
        raise ValueError(f"{text} is read as a number too large to be exact: quote it if it is text")
    return int(number) if number == int(number) else number  # Go writes 1e3 and 1000.0 as 1000


def _number(text: str) -> int | float | None:
    if text[0] == ".":
        return _finite(text) if POINT_FIRST.fullmatch(text) else None
    digits = text.replace("_", "")
    if INTEGER.fullmatch(digits):
        integer = int(INNER_SIGN.sub(r"\g<1>0b", OCTAL.sub(r"\g<1>0o", digits)), 0)
        if -(2**63) <= integer < 2**64:
            return integer
    return _finite(digits) if FLOAT.fullmatch(digits) else None


def _finite(text: str) -> float | None:
    """Return the float, or nothing when it is too large for one: then it is text to go-yaml."""
    number = float(text)
    return number if math.isfinite(number) else None
