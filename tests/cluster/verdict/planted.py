"""Differences from the API server that are easily made, planted on purpose into what celery-render judges by. Pure.

Each changes the schema, or what was read of the document; the code that judges is the real one.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import verdicts

from render import schema
from render.errors import Problem
from render.model import Document
from render.schema import Schema

Json = dict[str, Any]
Judge = Callable[[Document], verdicts.Verdict]

SCHEMA = schema.Schema(schema.load().crd)
EXPONENT = "|[eE][-+]?[0-9]{1,2}"
LARGEST = 2**63 - 1


def _by(change: Callable[[Json], Json]) -> Judge:
    """Return a judge whose schema is changed at every node."""
    changed = Schema(SCHEMA.crd | {"spec": SCHEMA.crd["spec"] | {"versions": [_version(change)]}})

    def judge(document: Document) -> verdicts.Verdict:
        try:
            return verdicts.verdict(document, changed)
        except (AttributeError, TypeError):  # over a null where the real schema leaves none: that shows it, too
            return verdicts.Verdict((Problem(document.source, 0, (), "cannot be read"),), None, {})

    return judge


def _version(change: Callable[[Json], Json]) -> Json:
    root = SCHEMA.version["schema"]["openAPIV3Schema"]
    return SCHEMA.version | {"schema": {"openAPIV3Schema": _changed(root, change)}}


def _changed(node: Json, change: Callable[[Json], Json]) -> Json:
    inner = {key: _changed(node[key], change) for key in ("items", "additionalProperties") if key in node}
    if "properties" in node:
        inner["properties"] = {name: _changed(field, change) for name, field in node["properties"].items()}
    return change(node | inner)


def _reading(change: Callable[[Any, str], Any]) -> Judge:
    """Return a judge that is told another value for a scalar, by how it is written; what is filled in is right."""

    def judge(document: Document) -> verdicts.Verdict:
        problems = tuple(each for each in document.problems if "too large" not in each.message)
        told = replace(document, data=_told(document.data, document, change, ()), problems=problems)
        return verdicts.verdict(told, SCHEMA)._replace(filled=verdicts.verdict(document, SCHEMA).filled)

    return judge


def _told(value: Any, document: Document, change: Callable[[Any, str], Any], path: tuple[str | int, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _told(item, document, change, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_told(item, document, change, (*path, index)) for index, item in enumerate(value)]
    return change(value, document.plain.get(path, ""))


def _less(node: Json, *keys: str) -> Json:
    return {key: value for key, value in node.items() if key not in keys}


def _without_int32(node: Json) -> Json:
    return _less(node, "format") if node.get("format") == "int32" else node


def _only_strings(node: Json) -> Json:
    is_either = "x-kubernetes-int-or-string" in node and "default" not in node
    return _less(node, "x-kubernetes-int-or-string") | {"type": "string"} if is_either else node


def _keeping_null(node: Json) -> Json:
    return node | {"nullable": True} if "default" in node and "type" in node else node


def _dollar_before_newline(node: Json) -> Json:
    return node | {"pattern": re.sub(r"\$$", r"\\n?$", node["pattern"])} if "pattern" in node else node


def _open_core_types(node: Json) -> Json:
    """Free the objects of core/v1: those without a description."""
    is_core = node.get("type") == "object" and "description" not in node and "properties" in node
    return node | {"x-kubernetes-preserve-unknown-fields": True} if is_core else node


def _without_exponents(node: Json) -> Json:
    return node | {"pattern": node["pattern"].replace(EXPONENT, "")} if "pattern" in node else node


def _unguarded(node: Json) -> Json:
    rules = node.get("x-kubernetes-validations", ())
    bare = [rule | {"rule": rule["rule"].removeprefix("!has(self.nodePort) || ")} for rule in rules]
    return node | {"x-kubernetes-validations": bare} if bare else node


PLANTED: dict[str, Judge] = {
    "an integer written as 1.0 is none": _reading(lambda value, text: value + 0.5 if text.endswith(".0") else value),
    "an int32 has no bounds": _by(_without_int32),
    "an int64 beyond its bounds is the largest": _reading(
        lambda value, _: LARGEST if isinstance(value, str) and re.fullmatch("[0-9]{19,20}", value) else value
    ),
    "an IntOrString is a string": _by(_only_strings),
    "a null keeps a default out": _by(_keeping_null),
    "$ lets a newline pass": _by(_dollar_before_newline),
    "a length is counted in UTF-16": _reading(
        lambda value, _: re.sub("[\U00010000-\U0010ffff]", "éé", value) if isinstance(value, str) else value
    ),
    "a length is counted in bytes": _reading(
        lambda value, _: re.sub("[^\x00-\x7f]", "éé", value) if isinstance(value, str) else value
    ),
    "a list may hold a key twice": _by(lambda node: _less(node, "x-kubernetes-list-type")),
    "core/v1 takes unknown fields": _by(_open_core_types),
    "a quantity has no exponent": _by(_without_exponents),
    "a rule asks for what is absent": _by(_unguarded),
}
OF_LATER_SERVERS = ("an int32 has no bounds", "an int64 beyond its bounds is the largest")
"""What only servers show that read the format of an integer."""
