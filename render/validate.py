"""Every problem of a CeleryApp, as the API server would find them, each with what to write instead. Pure."""

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

from jsonschema.exceptions import ValidationError

from render import habits, rules, since, structure, wording
from render.errors import Path, Problem, in_order
from render.model import Document
from render.schema import Schema

BLOCKING = {"type", "required", "enum", "maxLength", "maxItems", "maxProperties"}
"""What is wrong by these the API server has mended before it asks a rule; a number or a pattern does not keep it."""

RULES_SEE = {"name", "finalizers", "ownerReferences"}
"""What of the metadata there are rules about: the CRD's see the name, the API server's own the rest."""

REFUSED = "Refused; "
"""How the description of a field begins that may not be set, of whatever type its value is."""

OF_WORDS = {"type", "enum", "pattern", "format"}
"""What judges a value that is a word or a number, beside what judges its size."""

NEAR = 0.7
"""How alike a kind is that was meant to be ours."""

EMPTY = "has nothing behind it, which counts as absent"


def problems(document: Document, data: dict[str, Any], schema: Schema) -> list[Problem]:
    """Return every problem of the document's data, defaults filled in, by line."""
    if misfit := _identity(document, schema):
        return [misfit]
    faults = [fault for fault in structure.errors(data, schema.judging) if _counts(fault)]
    wrong = [fault for fault in faults if fault.validator != structure.UNKNOWN]
    blocked, faulty = _above(fault for fault in wrong if fault.validator in BLOCKING), _above(wrong)
    blocked -= _around_settings(wrong)
    messages: dict[Path, str] = {}
    for fault in faults:
        path: Path = tuple(fault.absolute_path)
        messages.setdefault(path, _refused(fault) or _message(fault, path, document))
    broken = [
        (path, _argument(path, data) or _stray(path, message, data) or message)
        for path, message in rules.broken(_for_rules(data), schema.judging, blocked, faulty)
    ]
    found = (*messages.items(), *(each for each in broken if each[0] not in messages), *_hollow(document, schema))
    young = since.unknown(document.data, schema.kubernetes) if schema.kubernetes else ()
    return sorted(
        (Problem(document.source, document.line(path), path, message) for path, message in (*found, *young)),
        key=in_order,
    )


def is_readable(document: Document, data: dict[str, Any], schema: Schema) -> bool:
    """Say whether every value is what its field takes; fields may be unknown, and rules broken."""
    faults = (fault for fault in structure.errors(data, schema.judging) if _counts(fault))
    return _identity(document, schema) is None and all(fault.validator == structure.UNKNOWN for fault in faults)


def _identity(document: Document, schema: Schema) -> Problem | None:
    """Return the one problem of a document that is no CeleryApp of this version; any other would make no sense."""
    wanted = {"apiVersion": schema.group_version, "kind": schema.kind}
    given = {key: document.data.get(key) for key in wanted}
    if not (wrong := [key for key in wanted if given[key] != wanted[key]]):
        return None
    missing = [key for key, value in given.items() if value is None]
    words = f"has no {' and no '.join(missing)}" if missing else f"is {given['apiVersion']} {given['kind']}"
    better = "" if missing else _elsewhere(str(given["apiVersion"]), str(given["kind"]), schema)
    message = f"{words}; write {schema.group_version} {schema.kind}{better}"
    return Problem(document.source, document.line((wrong[0],)), (), message)


def _elsewhere(version: str, kind: str, schema: Schema) -> str:
    """Return where a document belongs that is something else on purpose; nothing of one that is nearly an app."""
    if kind.endswith("List"):
        return ": its items, each as a document of its own"
    is_near = schema.group_version.startswith(f"{version.partition('/')[0]}/")
    is_near |= SequenceMatcher(None, kind.lower(), schema.kind.lower()).ratio() > NEAR
    return "" if is_near else ", or move this to a file of its own: only apps are read here"


def _hollow(document: Document, schema: Schema) -> Iterator[tuple[Path, str]]:
    """Yield a problem of each field written as `beat:` with nothing behind it, where `{}` would mean defaults.

    Only here the API server is not asked: it gets the null that YAML makes of it, and takes that for no beat.
    """
    for path in (path for path, text in document.plain.items() if not text):
        node = structure.node_at(path, schema.structural)
        defaults = any("default" in field for field in node.get("properties", {}).values())
        if defaults and not node.get("required") and "default" not in node:
            yield path, f"{EMPTY}: write {path[-1]}: {{}} for all defaults, or remove it"


def _counts(fault: ValidationError) -> bool:
    """Say whether it is one: the API server forgets a status that comes with the spec, if it knows the fields."""
    return fault.absolute_path[0] != "status" or fault.validator == structure.UNKNOWN


def _message(error: ValidationError, path: Path, document: Document) -> str:
    is_word = error.validator in OF_WORDS and error.validator_value not in ("object", "array")
    if isinstance(error.instance, str) and (words := wording.unfilled(error.instance, is_word=is_word)):
        return words
    text = document.plain.get(path)
    if text and error.validator == "type" and error.validator_value == "string":
        node = error.schema if isinstance(error.schema, dict) else {}
        enum = wording.chosen(error.instance, text, node["enum"]) if "enum" in node else ""
        better = enum or wording.mended(node.get("pattern", ""), text) or f': write "{text}" in quotes'
        return f"must be a string, {text} is read as {wording.described(error.instance)}{better}"
    if error.validator == "required" and path in document.lines:
        return "is required, is empty"
    if error.validator == structure.UNKNOWN and isinstance(error.instance, dict):
        habit = habits.unknown(path, error.instance[path[-1]])
        return f"unknown field: {habit}" if habit else str(error.message)
    if error.validator in ("type", "pattern"):
        return _of_value(error, path)
    return str(error.message)


def _refused(error: ValidationError) -> str:
    """Return what to do in place of a field that may not be set, as its description has it."""
    description = str(error.schema.get("description", "")) if isinstance(error.schema, dict) else ""
    return description.removeprefix(REFUSED).removesuffix(".") if description.startswith(REFUSED) else ""


def _of_value(error: ValidationError, path: Path) -> str:
    value, habit = error.instance, habits.shape(path)
    if error.validator == "pattern" and path[-1] == "cpu":
        return (
            f"{wording.wanted(str(error.validator_value))}, is {wording.short(value)}{wording.mended_cpu(str(value))}"
        )
    if str(path[-1]).endswith("Seconds") and (number := wording.seconds(str(value))):
        return f"{error.message}: write {number}"
    if isinstance(value, str) and (line := habits.command(path, value)):
        return f"must be a list, is a string: {line}"
    is_known = error.validator == "type" and habit and ": write [" not in error.message
    return f"{error.message}: {habit}" if is_known else str(error.message)


def _argument(path: Path, data: dict[str, Any]) -> str:
    """Return what to write in place of the argument that breaks a rule, if it is one, and that is known."""
    return habits.argument(_at(path, data)) if path[-2:-1] == ("args",) else ""


def _at(path: Path, value: Any) -> Any:
    for step in path:
        value = value[step]
    return value


def _stray(path: Path, message: str, data: dict[str, Any]) -> str:
    """Return which volume the mounts do not find, where a rule says that there is one: its own words cannot tell."""
    if "names a volume" not in message or not isinstance(path[-1], int):
        return ""
    spec, is_of_group = data["spec"], path[-2] == "workers"
    block = _at(path if is_of_group else path[:-2], data)
    volumes = {volume["name"] for each in (block, spec) for volume in each.get("volumes", ())}
    lost = next(mount["name"] for mount in block["volumeMounts"] if mount["name"] not in volumes)
    owner = f"group {block['name']}" if is_of_group else path[-3]
    return f"no volume is named {lost}, which {owner} mounts: add it to volumes, there or in spec"


def _around_settings(faults: Iterable[ValidationError]) -> set[Path]:
    """Return the places of settings of which one is wrong: their rules ask of each alone whether it is there."""
    paths = (tuple(fault.absolute_path) for fault in faults)
    return {path[:at] for path in paths for at in range(1, len(path)) if path[at - 1] == "settings"}


def _above(faults: Iterable[ValidationError]) -> set[Path]:
    """Return the places of what is wrong and all that they are in, as far as rules see them."""
    paths = (tuple(fault.absolute_path) for fault in faults)
    seen = (path for path in paths if path[0] != "metadata" or RULES_SEE.issuperset(path[1:2]))
    return {path[:length] for path in seen for length in range(len(path) + 1)}


def _for_rules(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data as rules see it: only some of the metadata, and no status."""
    given = data.get("metadata")
    metadata = {key: given[key] for key in RULES_SEE & given.keys()} if isinstance(given, dict) else {}
    return {key: value for key, value in data.items() if key != "status"} | {"metadata": metadata}
