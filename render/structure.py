"""What the structural schema says of a value, in words that say what to write. Pure.

jsonschema walks; the keywords judge as the API server does (kube-openapi's validate), which is not JSON Schema:
integers are int64, patterns are RE2, a null is no value, and unknown fields are refused (fieldValidation=Strict).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from operator import pos
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import create

from render import quantity, wording
from render.errors import Path
from render.schema import closed

Json = dict[str, Any]
Node = Mapping[str, Any]
Errors = Iterator[ValidationError]
Keyword = Callable[[Any, Any, Any, Node], Errors]

UNKNOWN = "unknown"
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
BITS = {"int32": 31, "int64": 63}


def _address(text: str) -> None:
    """Raise ValueError unless it is one; of a zone, which Python takes, pods know nothing."""
    ip_address(text.replace("%", "-"))


def _network(text: str) -> None:
    """Raise ValueError unless it is one, its size included."""
    ip_network(text if "/" in text else "")


ADDRESSES: dict[str, tuple[Callable[[str], Any], str]] = {
    "ip": (_address, "an IP address such as 10.0.0.1 or fd00::1"),
    "cidr": (_network, "a network such as 10.0.0.0/8 or fd00::/8"),
}
"""How each is read, and its words."""
MAX_EXACT = 2**53 - 1
"""The API server takes the float 4.0 for an integer, but none beyond this."""


def errors(data: Any, structural: Json) -> Errors:
    """Yield every error: `absolute_path` says where, `validator` by which keyword (UNKNOWN: no field of the schema)."""
    return _Validator(structural).iter_errors(data)


def node_at(path: Path, structural: Node) -> Node:
    """Return what the schema says of the place; nothing where it says nothing."""
    for step in path:
        fields = structural.get("properties", {})
        found = (
            structural.get("items")
            if isinstance(step, int)
            else fields.get(step, structural.get("additionalProperties"))
        )
        structural = found if isinstance(found, dict) else {}
    return structural


def pruned(data: Any, structural: Json) -> Any:
    """Return the document's data without the fields that the schema does not know, as the API server drops them.

    For objects that come from a cluster, whose CRD may be newer; in a file an unknown field is a mistake.
    """
    fields = structural.get("properties", {}) | {"metadata": {}}  # which is every object's, and no CRD's to prune
    return _known(data, structural | {"properties": fields})


def _known(value: Any, node: Node) -> Any:
    if isinstance(value, dict):
        fields, others = node.get("properties", {}), node.get("additionalProperties")
        return {
            key: _known(inner, field) if isinstance(field := fields.get(key, others), dict) else inner
            for key, inner in value.items()
            if key in fields or not closed(node)
        }
    if isinstance(value, list):
        return [_known(item, node.get("items", {})) for item in value]
    return value


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, int) and not _fits(value, BITS["int64"]):
        return name == "number"
    if isinstance(value, float) and name == "integer":
        return value.is_integer() and abs(value) <= MAX_EXACT
    return isinstance(value, TYPES[name])


def _fits(value: int, bits: int) -> bool:
    return -(1 << bits) <= value < 1 << bits


def _type(_: Any, name: str, value: Any, node: Node) -> Errors:
    if value is None and node.get("nullable"):
        return
    if name == "array" and (
        slips := [key for key in value if re.match("-[A-Za-z]", key)] if _is(value, "object") else []
    ):
        yield ValidationError(f"{wording.NO_SPACE}: write - {slips[0][1:]}: …", path=slips[:1])
    elif not _is(value, name):
        holds_objects = node.get("items", {}).get("type") == "object"
        better = "" if holds_objects else wording.instead(name, value)
        yield ValidationError(f"must be {wording.TYPES[name]}, is {wording.described(value, name)}{better}")
    elif closed(node):
        known = node.get("properties", {})
        for key in value.keys() - known.keys():
            yield ValidationError(f"unknown field{wording.nearest(key, known)}", validator=UNKNOWN, path=[key])


def _int_or_string(_: Any, wanted: Any, value: Any, node: Node) -> Errors:
    if wanted and not (_is(value, "integer") or _is(value, "string")):
        text = json.dumps(value)
        is_number = not isinstance(value, bool) and _matches(node.get("pattern", "^$"), text)
        better = f': write "{quantity.canonical(text)}"' if is_number else ""
        yield ValidationError(
            f"must be a string or an integer, is {wording.described(value)}{better}", validator="type"
        )


def _properties(validator: Any, fields: Json, value: Any, _: Node) -> Errors:
    for key in value.keys() & fields.keys() if isinstance(value, dict) else ():
        yield from validator.descend(value[key], fields[key], path=key)


def _additional(validator: Any, field: Any, value: Any, node: Node) -> Errors:
    for key in value.keys() - node.get("properties", {}).keys() if isinstance(value, dict) else ():
        yield from validator.descend(value[key], field, path=key)


def _property_names(_: Any, rule: Json, value: Any, __: Node) -> Errors:
    for key in value if isinstance(value, dict) else ():
        if not _matches(rule["pattern"], key):
            yield ValidationError(f"the key {wording.wanted(rule['pattern'])}", path=[key])


def _items(validator: Any, field: Json, value: Any, _: Node) -> Errors:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from validator.descend(item, field, path=index)


def _required(_: Any, names: Sequence[str], value: Any, __: Node) -> Errors:
    for name in names if isinstance(value, dict) else ():
        if name not in value:
            yield ValidationError("is required", path=[name])


def _list_type(_: Any, kind: str, value: Any, node: Node) -> Errors:
    keys = node.get("x-kubernetes-list-map-keys", ())
    seen = set()
    for index, item in enumerate(value if isinstance(value, list) and kind != "atomic" else ()):
        same = {key: item[key] for key in keys if key in item} if keys and isinstance(item, dict) else item
        text = json.dumps(same, sort_keys=True, ensure_ascii=False)
        if text in seen:
            yield ValidationError(f"duplicate entry: {wording.short(same)} is in the list already", path=[index])
        seen.add(text)


def _enum(_: Any, values: Sequence[Any], value: Any, __: Node) -> Errors:
    if isinstance(value, str) and value not in values:
        better = next((f": write {wording.word(each)}" for each in values if each.lower() == value.lower()), "")
        yield ValidationError(f"must be one of {', '.join(map(str, values))}, is {wording.short(value)}{better}")


def _pattern(_: Any, pattern: str, value: Any, node: Node) -> Errors:
    if isinstance(value, str) and not _matches(pattern, value):
        better = wording.mended(pattern, value, is_number="x-kubernetes-int-or-string" in node)
        yield ValidationError(f"{wording.wanted(pattern)}, is {wording.short(value)}{better}")


def _format(_: Any, name: str, value: Any, __: Node) -> Errors:
    if name in BITS and isinstance(value, int) and not _fits(value, BITS[name]):
        yield ValidationError(f"must be an integer of {BITS[name] + 1} bits, is {value}")
    if name in ADDRESSES and isinstance(value, str):
        read, words = ADDRESSES[name]
        try:
            read(value)
        except ValueError:
            yield ValidationError(f"must be {words}, is {wording.short(value)}")


def _limit(kind: type | tuple[type, ...], measure: Callable[[Any], float], sign: int, words: str) -> Keyword:
    """Return the keyword for a bound: of a number itself, or of how many characters, items or fields there are.

    A quantity may be a text too, with other numbers below and above an integer's bound: its pattern says which.
    """

    def keyword(_: Any, limit: float, value: Any, node: Node) -> Errors:
        if isinstance(value, kind) and not isinstance(value, bool) and sign * (measure(value) - limit) > 0:
            pattern = node.get("pattern", "")
            if measure is pos and wording.is_quantity(pattern):
                yield ValidationError(f"{wording.wanted(pattern)}, is {value}")
            else:
                empty = measure is len and not value
                yield ValidationError("may not be empty" if empty else words.format(limit=limit, size=measure(value)))

    return keyword


def _fields(sign: int, words: str) -> Keyword:
    """Return the keyword for how many fields there are. Where they have names, one of them is wanted."""
    limit = _limit(dict, len, sign, words)

    def keyword(validator: Any, most: float, value: Any, node: Node) -> Errors:
        known = node.get("properties", {})
        for error in limit(validator, most, value, node):
            named = [name for name in (value if sign > 0 else known) if name not in node.get("required", ())]
            yield ValidationError(f"set one of {wording.listed(named)}") if known else error

    return keyword


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """Return the RE2 pattern for Python, whose `$` would also let a newline pass."""
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), re.ASCII)


def _matches(pattern: str, text: str) -> bool:
    return _regex(pattern).search(text) is not None


_NUMBER = (int, float)
KEYWORDS: dict[str, Keyword] = {
    "type": _type,
    "x-kubernetes-int-or-string": _int_or_string,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "items": _items,
    "required": _required,
    "x-kubernetes-list-type": _list_type,
    "enum": _enum,
    "pattern": _pattern,
    "format": _format,
    "minimum": _limit(_NUMBER, pos, -1, "must be at least {limit}, is {size}"),
    "maximum": _limit(_NUMBER, pos, 1, "must be at most {limit}, is {size}"),
    "minLength": _limit(str, len, -1, "must have at least {limit} characters, has {size}"),
    "maxLength": _limit(str, len, 1, "must have at most {limit} characters, has {size}"),
    "minItems": _limit(list, len, -1, "must have at least {limit} items, has {size}"),
    "maxItems": _limit(list, len, 1, "must have at most {limit} items, has {size}"),
    "minProperties": _fields(-1, "must have at least {limit} fields, has {size}"),
    "maxProperties": _fields(1, "must have at most {limit} fields, has {size}"),
}
_Validator = create(meta_schema={}, validators=KEYWORDS)
