"""How a value, and what should stand in its place, is said in a line. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any

from render import quantity, scalar
from render.errors import without_login

TYPES = {
    "object": "an object (key: value)",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}
PATTERNS = {
    "^[!-~]+$": "must be ASCII without spaces",
    (CHILD := "^[1-9][0-9]*(Ki|Mi|Gi|k|M|G)$"): "must be a whole number with a unit such as 200Mi",
    "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$": "must be letters, digits and - _ . in between",
    "^auto$": "must be an integer or auto",
    "^[0-9]{1,4}%$": "must be an integer or a percentage such as 25%",
    "^/": "must be a path from the root such as /app",
    "^([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$": (
        "must be lower-case letters, digits and single dashes such as metrics"
    ),
    "^(100|[0-9]{1,2})%$": "must be an integer or a percentage such as 25%",
    r"^5\.(0|[1-9][0-9]?)(\.[0-9]+)?$": 'must be a version of Celery 5 such as "5.5"',
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(:[A-Za-z_][A-Za-z0-9_]*)?$": (
        "must be a module, or module:attribute such as shop.celery:app"
    ),
    "^[A-Za-z_][A-Za-z0-9_.]*(:[A-Za-z_][A-Za-z0-9_]*)?$": (
        "must be a class such as django_celery_beat.schedulers:DatabaseScheduler"
    ),
    "^[a-z]+(-[a-z0-9]+)*$": "must be lower-case letters, with digits after a dash such as office-hours or night-2",
    "^[a-z]([-a-z0-9]*[a-z0-9])?$": "must be lower-case letters, digits and dashes and begin with a letter",
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": (
        "must be lower-case letters, digits and dashes and begin with a letter"
    ),
    "^([^/]*/)?[^/]+$": "must be a version or group/version",
    "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$": "must be lower-case letters, digits and dashes",
    "^[A-Za-z0-9_.:/@#{}+~-]+$": "must be letters, digits and . _ : / @ # { } + ~ - (one queue, no comma)",
    "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$": "must be a path such as flower or tools/flower, without a slash at its ends",
    "^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}([.][0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})$": (
        "must be a time such as 2026-11-23T08:30:00Z"
    ),
    "^https?://[!-~]+$": "must be a URL such as https://flower.example.com/login",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": (
        "must be the name of an object: lower-case letters, digits, dashes and dots"
    ),
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$": (
        "must be the name of an object: lower-case letters, digits, dashes and dots"
    ),
    r"^(?!(.*/)?\.\.(/|$))": "must be a path without ..",
    r"^(?!/)(?!(.*/)?\.\.(/|$))\S(.*\S)?$": "must be a path without a slash, .. or spaces around it",
    r"^(?!/)(?!(.*/)?\.\.(/|$))": "must be a path that begins without a slash, and without ..",
    r"^(?!/)(?!\.\.)(?!.*/\.\.(/|$))": "must be a path that begins without a slash, and without ..",
    "^(Memory|HugePages(-.+)?)?$": "must be Memory, HugePages or nothing",
    "^([.]|[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?([.][a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*[.]?)$": (
        "must be a domain such as shop.example.com"
    ),
    "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$": "must be such as net.core.somaxconn",
    r"^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.*)$": "must be such as limits.memory",
    r"^(metadata\.(name|namespace|uid|(labels|annotations)\['[^']+'\])|spec\.(nodeName|serviceAccountName)"
    r"|status\.(host|pod)IPs?)$": "must be such as metadata.name, metadata.labels['team'] or status.podIP",
    r"^metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['[^']+'\])$": (
        "must be such as metadata.name, metadata.labels or metadata.annotations['team']"
    ),
    "^[ -<>-~]*$": "must be ASCII without =",
    "^[-A-Za-z0-9]+$": "must be the name of a header: letters, digits and dashes",
    "^storage$": "must be storage",
    r"^(cpu|memory|ephemeral-storage|hugepages-.+|(?!requests[.])(?!(.*[.])?kubernetes[.]io/)[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    r"([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])$": (
        "must be cpu, memory, ephemeral-storage, or a resource of a device such as nvidia.com/gpu"
    ),
    "^[-._a-zA-Z0-9]+$": "must be letters, digits and - _ .",
    "^[.]?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$": "must be a key: letters, digits and - _ ., and does not begin with two dots",
    "^[ -<>-~]+$": "must be the name of a variable: ASCII without =",
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "must be lower-case letters, digits and dashes",
    r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": (
        "must be a host name such as flower.example.com"
    ),
}
TEMPLATE = "{{ … }} is a template, as of Helm or Jinja: render it first, or write the value"
UNFILLED = "nothing fills ${…} in here, as Compose or envsubst would: fill it in first, or write the value"
NO_SPACE = "a space is missing after the dash"
VARIABLE = re.compile(r"\$\{\w|^\$[A-Za-z_]\w*$")
QUANTITY = "[KMGTPE]i"
ABOVE_ZERO = "[1-9]"
NEGATIVE_ZERO = "-(0"
ASCII_BEFORE_DASH = "[\\x00-\\x7f]-"
LABEL = "[-A-Za-z0-9_.]{0,61}"
BYTES = re.compile(r"([1-9][0-9]*(?:\.[0-9]+)?) ?([KMGT])i?B?", re.IGNORECASE)
CORES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?v?(?:cpu|core)s?", re.IGNORECASE)
DURATION = re.compile("([0-9]{1,6}) ?([smhd])(?:ecs?|econds?|ins?|inutes?|ours?|ays?)?")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NAMES = "must be lower-case letters"
"""Begins what is said of patterns that names have which nothing else knows yet."""
KIBIBYTE_MILLI = 1024 * 1000
ONE_LINE = 80


def described(value: Any, wanted: str = "") -> str:
    """Return the value in a few words: `the string "4"`; not what stands where more is wanted: it may be a password."""
    if isinstance(value, str) and wanted in ("object", "array"):
        return "a string"
    if value is None or isinstance(value, dict | list):
        return "null" if value is None else "a list" if isinstance(value, list) else "an object"
    name = {str: "string", bool: "boolean", int: "integer"}.get(type(value), "number")
    return f"the {name} {short(value)}"


def short(value: Any, most: int = ONE_LINE) -> str:
    """Return the value as JSON, without the password of a URL, cut where it would fill the line."""
    text = without_login(json.dumps(value, ensure_ascii=False))
    end = '…"' if isinstance(value, str) else "…"
    return text if len(text) <= most else f"{text[: most - len(end)]}{end}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return the names in a row: `queue, cpu and memory`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def wanted(pattern: str) -> str:
    """Return in words what the pattern asks for."""
    if pattern in PATTERNS:
        return PATTERNS[pattern]
    if is_quantity(pattern):
        if NEGATIVE_ZERO in pattern:  # the one negative that is let pass
            return "must be a quantity of at least 0 such as 50m or 0.1"
        return f"must be a quantity{' above 0' if ABOVE_ZERO in pattern else ''} such as 500m, 1.5 or 256Mi"
    if ASCII_BEFORE_DASH in pattern:
        return "must be lower-case letters, digits, dashes and dots"
    if LABEL in pattern:
        return "must be letters, digits and - _ . (63 at most)" + (", one prefix/ before it" if "/" in pattern else "")
    return f"must match {pattern}"


def is_quantity(pattern: str) -> bool:
    return QUANTITY in pattern


def instead(name: str, value: Any) -> str:
    """Return what to write where a value of this type was expected, when that is plain."""
    if name == "string" and isinstance(value, int | float):
        return f': write "{json.dumps(value)}" in quotes'
    if name == "array" and isinstance(value, str):
        words = re.split("[, ]+", value.strip())
        plain = all(re.fullmatch(r"[\w./-]+", word) for word in words)
        return f": write [{', '.join(words)}]" if plain else ": write it as a list"
    if name == "integer" and isinstance(value, str) and re.fullmatch("-?[0-9]+", value):
        return f": write {value} without quotes"
    return ""


def word(text: str) -> str:
    """Return the text as it is written in YAML: `"Off" in quotes`, which without them is false."""
    try:
        is_text = scalar.value(text) == text
    except ValueError:  # a number that is too large
        is_text = False
    return text if is_text else f'"{text}" in quotes'


def chosen(value: Any, plain: str, texts: Sequence[str]) -> str:
    """Return which of the texts to write in place of what YAML reads as another value, or all where none is plain."""
    meant = next((text for text in texts if text.lower() == plain.lower() or scalar.value(text) is value), "")
    return f": write {word(meant) if meant else listed([*map(word, texts)], 'or')}"


def mended(pattern: str, value: str, *, is_number: bool = False) -> str:
    """Return what to write in place of a text that does not match, when that is plain."""
    if pattern == CHILD and re.fullmatch("[1-9][0-9]*", value):
        return f": write {value}Ki if it is Celery's number, which is in KiB"
    if pattern == CHILD and re.fullmatch(r"[0-9]+\.[0-9]+[KMG]i", value):
        kibibytes = quantity.milli(value) // KIBIBYTE_MILLI
        return f": write {kibibytes}Ki" if kibibytes % 1024 else f": write {kibibytes // 1024}Mi"
    if is_quantity(pattern):
        found = BYTES.fullmatch(value)
        return f": write {found[1]}{found[2].upper()}i" if found else ""
    if is_number and value.isdecimal():
        return instead("integer", value)
    name = re.sub("[^a-z0-9]+", "-", value.lower()).strip("-")
    is_name = name and PATTERNS.get(pattern, "").startswith(NAMES) and re.search(pattern, name)
    return f": write {word(name)}" if is_name else ""


def mended_cpu(value: str) -> str:
    """Return what to write in place of a CPU with a unit, such as one of memory: thousandths, if that is plain."""
    if cores := CORES.fullmatch(value):
        return f": write {quantity.canonical(cores[1])}"
    found = BYTES.fullmatch(value)
    return f": write {found[1]}m" if found and found[2] in "mM" and "." not in found[1] else ""


def seconds(text: str) -> str:
    """Return how many seconds a time with a unit has, `300` of 5m; nothing of any other text."""
    found = DURATION.fullmatch(text)
    return str(int(found[1]) * SECONDS[found[2]]) if found else ""


def unfilled(text: str, *, is_word: bool) -> str:
    """Return what to write in place of a text that something else was to fill in; nothing of any other text.

    Where more than a word belongs, `${…}` may be a shell's.
    """
    if "{{" in text:
        return TEMPLATE
    return UNFILLED if is_word and VARIABLE.search(text) else ""


def nearest(key: str, fields: dict[str, Any]) -> str:
    """Return the field that was probably meant: one of a similar name here, or of this name one level down."""
    names = {_plain(name): name for name in fields}
    wanted = _plain(key)
    if similar := get_close_matches(wanted, names, n=1, cutoff=0.7):
        return f'; did you mean "{names[similar[0]]}"?'
    longer = (name for plain, name in names.items() if len(wanted) > 2 and plain.startswith(wanted))  # noqa: PLR2004
    if found := next(chain(_below(wanted, fields), longer), None):
        return f'; did you mean "{found}"?'
    listed = ", ".join(fields)
    return f"; the fields here are {listed}" if fields and len(listed) <= ONE_LINE else ""


def _plain(name: str) -> str:
    """Return the name without what people write it with: `url_prefix`, `URLPrefix`."""
    return re.sub("[-_]", "", name).lower()


def _below(key: str, fields: dict[str, Any]) -> Iterator[str]:
    for name, node in fields.items():
        if name == "initContainers":  # who writes a container's field means Celery's
            continue
        for step, inner in (("", node), ("[]", node.get("items", {}))):
            yield from (f"{name}{step}.{field}" for field in inner.get("properties", ()) if _plain(field) == key)
