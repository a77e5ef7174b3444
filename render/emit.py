"""Manifests in, YAML out, the same to every reader: YAML 1.1, 1.2 and JSON-minded, Python and Go. Pure.

Keys keep the order in which the builders wrote them. A string stands plain only where no reader takes it for anything
else, text of several lines as a `|` block, everything else as JSON writes it. No line is folded, nothing is aliased.
A writer of our own: ruamel.yaml needs 38 ms for eight objects, and leaves `on`, `yes` and `12:30` to the reader.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from render import references
from render.model import Manifest

MARKER = "# Written by celery-render; do not edit: changes belong in the CeleryApp or in an overlay."
"""The first line of every file, by which they are known again."""

KUSTOMIZATION = "kustomization.yaml"
CONFIGURATION = "kustomizeconfig.yaml"
MAX_SIMPLE_KEY = 1000
"""Readers look no further than 1024 characters for the colon; longer keys are announced by a question mark."""

WORD = r"[a-z0-9_./=@%,+-]+"
PLAIN = re.compile(
    rf"(?!(?:y|n|yes|no|on|off|true|false|null)\Z)(?:/|--?)?[a-z](?:{WORD})?(?::{WORD})*(?: {WORD}(?::{WORD})*)*"
    r"|[1-9][0-9]*(?:m|[kmgtpe]i|%)",
    re.ASCII | re.IGNORECASE,
)
UNPRINTABLE = "\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
ESCAPED = re.compile(f"[{UNPRINTABLE}]")
quoted = json.JSONEncoder(ensure_ascii=False).encode
NO_BLOCK = re.compile(rf"\A\s|[{UNPRINTABLE}]| \n|\n\n\Z|[^\n]\Z")
"""Where a `|` block would not keep the text, or not show it: indented, trailing spaces, tabs, odd ends."""


def stream(children: Iterable[Manifest]) -> str:
    """Return the children as one YAML stream."""
    return "---\n".join(_mapping(child, "") for child in children)


def files(children: Iterable[Manifest]) -> dict[str, str]:
    """Return the text of each child's file, and of the kustomization that lists them in the order to apply them in.

    Kinds that kustomize does not know come with a file that tells it what their fields name.
    """
    manifests = {f"{child['kind'].lower()}-{child['metadata']['name']}.yaml": child for child in children}
    kustomization = _kustomization(manifests)
    if told := references.configuration(child["apiVersion"].partition("/")[0] for child in manifests.values()):
        manifests[CONFIGURATION] = told
        kustomization["configurations"] = [CONFIGURATION]
    manifests[KUSTOMIZATION] = kustomization
    return {name: _file(manifest) for name, manifest in manifests.items()}


def listing(folders: Iterable[str]) -> str:
    """Return the text of the kustomization over bases, each in a folder."""
    return _file(_kustomization(f"{folder}/" for folder in sorted(folders)))


def _kustomization(resources: Iterable[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }


def _file(manifest: Manifest) -> str:
    return f"{MARKER}\n{_mapping(manifest, '')}"


def _mapping(fields: dict[str, Any], margin: str) -> str:
    return "".join([f"{margin}{_key(key, margin)}:{_value(value, margin)}" for key, value in fields.items()])


def _sequence(items: list[Any], margin: str) -> str:
    return "".join([f"{margin}-{_item(item, margin)}" for item in items])


def _value(value: Any, margin: str) -> str:
    """Return what follows the colon."""
    if isinstance(value, dict) and value:
        return f"\n{_mapping(value, margin + '  ')}"
    if isinstance(value, list) and value:
        return f"\n{_sequence(value, margin)}"
    return f" {_scalar(value, margin)}\n"


def _item(item: Any, margin: str) -> str:
    """Return what follows the dash: a mapping or a sequence begins in its line."""
    inner = margin + "  "
    if isinstance(item, dict) and item:
        return f" {_mapping(item, inner)[len(inner) :]}"
    if isinstance(item, list) and item:
        return f" {_sequence(item, inner)[len(inner) :]}"
    return f" {_scalar(item, margin)}\n"


def _key(key: str, margin: str) -> str:
    text = _string(key)
    return text if len(text) <= MAX_SIMPLE_KEY else f"? {text}\n{margin}"


def _scalar(value: Any, margin: str) -> str:
    if isinstance(value, str):
        if "\n" in value and not NO_BLOCK.search(value):
            return "|" + "".join(f"\n{margin}  {line}" if line else "\n" for line in value[:-1].split("\n"))
        return _string(value)
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, bool | int | dict | list):  # an empty dict or list
        return quoted(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _string(text: str) -> str:
    return text if PLAIN.fullmatch(text) else ESCAPED.sub(_escape, quoted(text))


def _escape(match: re.Match[str]) -> str:
    match[0].encode()  # a ValueError for half a character, which no UTF-8 input holds
    return f"\\u{ord(match[0]):04x}"


def _float(number: float) -> str:
    """Return it with a point: without one, `1e-05` is text to YAML 1.1."""
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number in JSON")
    mantissa, *exponent = repr(number).split("e")
    return "e".join([mantissa if "." in mantissa else f"{mantissa}.0", *exponent])
