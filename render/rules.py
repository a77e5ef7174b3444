"""The CRD's rules in CEL (x-kubernetes-validations), evaluated as the API server does on create. Pure."""

import re
from collections.abc import Collection, Iterator
from functools import cache, reduce
from typing import Any, NamedTuple

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from render.errors import Path

Json = dict[str, Any]

_ENVIRONMENT = cel.NewEnv(variables={"self": cel.Type.DYN}, extensions=[ext_strings.ExtStrings()])
_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


class Node(NamedTuple):
    """A value for which the schema has rules."""

    path: Path
    value: Any
    rules: list[Json]


def broken(
    data: Any, structural: Json, blocked: Collection[Path] = (), faulty: Collection[Path] = ()
) -> Iterator[tuple[Path, str]]:
    """Yield the place and the message of every rule that does not hold.

    Rules of the blocked places are not asked; one of the faulty places that finds no answer says nothing new.
    """
    for node in _nodes(data, structural, ()):
        if node.path not in blocked:
            yield from _broken(node, is_faulty=node.path in faulty)


def _nodes(value: Any, schema: Json, path: Path) -> Iterator[Node]:
    rules = schema.get("x-kubernetes-validations")
    if rules and value is not None:
        yield Node(path, value, rules)
    if isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        for key, inner in value.items():
            if isinstance(field := fields.get(key, others), dict):
                yield from _nodes(inner, field, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nodes(inner, schema.get("items", {}), (*path, index))


def _broken(node: Node, *, is_faulty: bool) -> Iterator[tuple[Path, str]]:
    activation = _ENVIRONMENT.Activation({"self": node.value})
    for rule in node.rules:
        if re.search(r"\boldSelf\b", rule["rule"]):
            continue  # judges a change; on create there is nothing to compare with
        path = (*node.path, *_steps(rule.get("fieldPath", "")))
        expression = compiled(rule["rule"])
        try:
            result = expression.eval(activation)
        except RuntimeError:  # 10,000 steps, which cel-expr-python lets nobody change; no rule of the CRD takes as many
            if not is_faulty:
                yield path, f"there is too much here to check this rule: {_fixed_message(rule)}"
        else:
            if result.type() != cel.Type.BOOL or not result.value():
                message = _message(rule, activation)
                yield from ((place, message) for place in _items(rule, node, activation) or [path])


def _items(rule: Json, node: Node, activation: cel.Activation) -> list[Path]:
    """Return each item that breaks a rule about all of a list, which the API server's answer does not tell apart."""
    field = rule.get("fieldPath", "")
    steps, every = _steps(field), f"self{field}.all("
    items = reduce(lambda value, step: value.get(step) if isinstance(value, dict) else None, steps, node.value)
    if every not in rule["rule"] or not isinstance(items, list):
        return []

    def breaks(some: str) -> bool:
        result = compiled(rule["rule"].replace(every, f"{some}.all(")).eval(activation)
        return result.type() == cel.Type.BOOL and not result.value()

    one_by_one = (index for index in range(len(items)) if breaks(f"[self{field}[{index}]]"))
    return [] if breaks("[]") else [(*node.path, *steps, index) for index in one_by_one]


def _message(rule: Json, activation: cel.Activation) -> str:
    if "messageExpression" in rule:
        made = compiled(rule["messageExpression"]).eval(activation)
        text = str(made.value()).strip()
        if made.type() == cel.Type.STRING and text and "\n" not in text:
            return text
    return _fixed_message(rule)


def _fixed_message(rule: Json) -> str:
    return str(rule.get("message", f"failed rule: {rule['rule']}")).strip()


def _steps(field_path: str) -> Path:
    """Return the path that a rule's fieldPath adds to its node: `.a['b']` is (a, b)."""
    return tuple(name or re.sub(r"\\(.)", r"\1", quoted) for name, quoted in _STEP.findall(field_path))


@cache
def compiled(expression: str) -> cel.Expression:
    return _ENVIRONMENT.compile(expression, disable_check=True)  # the API server checks types; 7 times faster
