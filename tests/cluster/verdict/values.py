"""Values for a field, by its schema: those that it takes, those at a limit, and those that it refuses. Pure."""

import copy
import re
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

Json = dict[str, Any]
Node = dict[str, Any]

MOST_LEVELS = 4
"""How deep a value that may be anything is nested; 64 is refused here, and the API server takes more."""

STRINGS = (
    # One at least for every pattern of the CRD, and what is just beside it.
    *("shop", "shop:1", "shop.celery:app", "shop.celery:app.x", "shop:app:x", "5.5", "5.05", "5.100", "5.7.12"),
    *("auto", "0%", "25%", "100%", "101%", "9999%", "10000%", "200Mi", "0Mi", "200m", "1", "1.", ".5", ".", "+1Ki"),
    *("-1", "1e3", "1E", "1e100", "1Kib", "12E-2", "0x10", "1_000", "٣", "a-b", "a-", "-a", "a_b", "A", "a.b", "a..b"),
    *("a/b", "/a", "a/", "example.com/a", "*.example.com", "flower.example.com", "https://a", "http://"),
    *("redis://r/1", "a,b", "a b", "a|b", "5E3", "1e-3", "2E+2", ".5e1", "1e6", "-0", "0m", "-50m"),
    # What the rules look for.
    *("beat", "flower", "celery-data", "data", "worker", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"),
    *("REMAP_SIGTERM", "celeryproject.org/app", "redis://me:secret@r", "amqp://r//?a=b:c@d", "cpu", "memory", "--"),
    *("-c4", "--pool=solo", "--statedb=a", "-EB", "--port=1", "KEDA", "HPA", "Redis", "Ping", "None", "Off", "0"),
    *("5.6", "ClusterIP", "office-hours", "night-2", "s0", "cron"),
    # What readers take for something else, and what patterns of other languages let pass.
    *("", " ", "a\n", "\na", "shop\n", "5.5\n", "25%\n", "auto\n", "a\r\n", "a\tb", "\x00", "\x7f", "\x85"),
    *("\u2028", "\ufeff", "é", "\u017f", "K", "a\u0300", "\U0001d482", "😀", "true", "null", "~", "yes", "1.0"),
    *("2026-11-23", "$(A)", "{{a}}", "a: b", "#a"),
)  # fmt: skip
LETTERS = "a1é😀"
"""A length is counted in characters, not in the 2 bytes of the third, nor in the 2 units of UTF-16 of the last."""
INTEGERS = (0, 1, -1, 2, 3, 10, 29, 30, 60, 5555, 30000, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 + 1)
LARGE = (2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64)
FLOATS = (0.0, -0.0, 1.0, 2.0, 30.0, 1.5, 0.1, -1.0, 1e3, 2147483648.0, 4503599627370496.0, 1e-7)
LARGE_FLOATS = (9007199254740992.0, 9223372036854775808.0, 1e19, 1e300)


def beside(random: Random, node: Node) -> Any:
    """Return a value for the field: mostly one that it takes, else one beside that."""
    kind = random.random()
    if "default" in node and kind < 0.3:
        return None
    if kind < 0.5:
        return _value(random, node)
    if kind < 0.75:
        return _boundary(random, node)
    return None if kind < 0.83 else _anything(random)


def smallest(random: Random, node: Node) -> Any:
    """Return an object of what it requires, or a value that is none."""
    if node.get("type") != "object":
        return _value(random, node)
    fields, others = node.get("properties", {}), node.get("additionalProperties")
    return {key: smallest(random, fields.get(key, others)) for key in node.get("required", ())}


def _value(random: Random, node: Node) -> Any:
    """Return a value that the schema takes, but for rules."""
    if "enum" in node:
        return random.choice(node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return _integer(random, node) if random.random() < 0.5 else _string(random, node)
    return _MADE.get(node.get("type", ""), lambda random, _: _anything(random))(random, node)


def _object(random: Random, node: Node) -> Json:
    made = smallest(random, node)
    if "additionalProperties" in node:
        key = random.choice(_matching(node.get("propertyNames", {}).get("pattern", "")))
        made[key] = _value(random, node["additionalProperties"])
    optional = [*node.get("properties", {}).keys() - made.keys()]
    for key in random.sample(sorted(optional), min(len(optional), random.choice((0, 1, 1, 2)))):
        made[key] = smallest(random, node["properties"][key])
    if node.get("x-kubernetes-preserve-unknown-fields") and random.random() < 0.7:
        made[random.choice(STRINGS)] = _anything(random)
    return made


def _array(random: Random, node: Node) -> list[Any]:
    size = max(node.get("minItems", 0), random.choice((0, 1, 1, 2)))
    return [_value(random, node["items"]) for _ in range(size)]


def _integer(random: Random, node: Node) -> int | float:
    fitting = [
        number
        for number in (*INTEGERS, node.get("minimum", 0), node.get("maximum", 1))
        if node.get("minimum", number) <= number <= node.get("maximum", number)
    ]
    number = random.choice([number for number in fitting if abs(number) < 2**31 or node.get("format") != "int32"])
    return float(number) if random.random() < 0.1 and abs(number) < 2**53 else number


def _string(random: Random, node: Node) -> str:
    most = node.get("maxLength", 1024)
    return random.choice([text for text in _matching(node.get("pattern", "")) if len(text) <= most] or ["a"])


@cache
def _matching(pattern: str) -> tuple[str, ...]:
    return tuple(text for text in STRINGS if re.search(pattern, text))


_MADE: dict[str, Callable[[Random, Node], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": lambda random, _: random.choice((*FLOATS, *INTEGERS)),
    "boolean": lambda random, _: random.random() < 0.5,
}


_BOUNDS = {
    "int32": (2**31 - 1, 2**31, -(2**31), -(2**31) - 1),
    "int64": (2**63 - 1, 2**63, -(2**63), -(2**63) - 1),
}


def _boundary(random: Random, node: Node) -> Any:
    """Return a value at a limit of the schema, or one beyond it."""
    found: list[Callable[[], Any]] = []
    limits = {key: node[key] for key in ("minimum", "maximum") if key in node}
    if node.get("type") == "integer" or node.get("x-kubernetes-int-or-string"):
        found += [lambda: random.choice((*INTEGERS, *LARGE, *FLOATS, *LARGE_FLOATS))]
        found += [lambda: random.choice(_BOUNDS[node["format"]])] if "format" in node else []
        found += [lambda limit=limit: limit + random.choice((-1, 0, 1, 0.0, 0.5)) for limit in limits.values()]
    if node.get("type") == "string" or node.get("x-kubernetes-int-or-string"):
        lengths = [node[key] for key in ("minLength", "maxLength") if key in node] or [63]
        size = max(random.choice(lengths) + random.choice((-1, 0, 0, 1)), 0)
        found += [lambda: random.choice(LETTERS) * size, lambda: random.choice(STRINGS)]
        found += [lambda: _string(random, node) + random.choice(("\n", " ", "é", "\x00"))]
    if node.get("type") == "array":
        size = random.choice([node[key] for key in ("minItems", "maxItems") if key in node] or [2])
        items = [smallest(random, node["items"]) for _ in range(min(size + random.choice((-1, 0, 1)), 51))]
        found += [lambda: items, lambda: [*items[:1], *copy.deepcopy(items[:1])]]
    if node.get("type") == "object":
        found += [dict, lambda: _object(random, node) | {"unknown": 1}]
        if size := node.get("maxProperties"):
            found += [lambda: {f"a{number}": "a" for number in range(size + random.choice((0, 1)))}]
    return random.choice(found)() if found else _anything(random)


def _anything(random: Random, levels: int = 0) -> Any:
    """Return any JSON value."""
    kind = random.choice("nbisfls" if levels >= MOST_LEVELS else "nbisfldlsdls")
    if kind == "d":
        return {random.choice(STRINGS): _anything(random, levels + 1) for _ in range(random.choice((0, 1, 2)))}
    if kind == "l":
        return [_anything(random, levels + 1) for _ in range(random.choice((0, 1, 2)))] if levels < MOST_LEVELS else []
    choices: dict[str, tuple[Any, ...]] = {
        "n": (None,),
        "b": (True, False),
        "i": (*INTEGERS, *LARGE),
        "s": STRINGS,
        "f": (*FLOATS, *LARGE_FLOATS),
    }
    return random.choice(choices[kind])
