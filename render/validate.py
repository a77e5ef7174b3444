"""Every problem of a CeleryApp, as the API server would find them, each with what to write instead. Pure."""

from typing import Any

from jsonschema.exceptions import ValidationError

from render import rules, structure, wording
from render.errors import Path, Problem, dotted
from render.model import Document
from render.schema import Schema

Found = dict[Path, str]

RULES_SEE: set[Path] = {("metadata",), ("metadata", "name")}


def problems(document: Document, data: dict[str, Any], schema: Schema) -> list[Problem]:
    """Return every problem of the document's data, defaults filled in, by line."""
    if misfit := _identity(document, schema):
        return [misfit]
    wrong, unknown = _structural(document, data, schema)
    broken = rules.broken(_for_rules(data), schema.structural, _blocked(wrong))
    found = (*wrong.items(), *unknown.items(), *broken)
    return sorted(
        (Problem(document.source, document.line(path), path, message) for path, message in found),
        key=lambda problem: (problem.line, dotted(problem.path)),
    )


def _identity(document: Document, schema: Schema) -> Problem | None:
    """Return the one problem of a document that is no CeleryApp of this version; any other would make no sense."""
    given = {key: document.data.get(key) for key in ("apiVersion", "kind")}
    if given == {"apiVersion": schema.group_version, "kind": schema.kind}:
        return None
    missing = [key for key, value in given.items() if value is None]
    words = f"has no {' and no '.join(missing)}" if missing else f"is {given['apiVersion']} {given['kind']}"
    message = f"{words}; write {schema.group_version} {schema.kind}"
    return Problem(document.source, document.line(("kind",)), (), message)


def _structural(document: Document, data: dict[str, Any], schema: Schema) -> tuple[Found, Found]:
    """Return what is wrong with the values, one problem for each place, and which fields are unknown."""
    wrong: Found = {}
    unknown: Found = {}
    for error in structure.errors(data, schema.structural):
        path: Path = tuple(error.absolute_path)
        if error.validator == structure.UNKNOWN:
            unknown[path] = error.message
        elif path[:1] != ("status",):  # the API server forgets a status that comes with the spec
            wrong.setdefault(path, _message(error, path, document))
    return wrong, unknown


def _message(error: ValidationError, path: Path, document: Document) -> str:
    text = document.plain.get(path)
    if text and error.validator == "type" and error.validator_value == "string":
        return f'must be a string, {text} is read as {wording.described(error.instance)}: write "{text}" in quotes'
    if error.validator == "required" and path in document.lines:
        return "is required, is empty"
    return error.message


def _blocked(wrong: Found) -> set[Path]:
    """Return the places whose rules cannot be asked: their value, or part of it, is not what the rules expect."""
    seen = (path for path in wrong if path[:1] != ("metadata",) or path in RULES_SEE)
    return {path[:length] for path in seen for length in range(len(path) + 1)}


def _for_rules(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data as rules see it: of the metadata only the name, and no status."""
    metadata = data.get("metadata")
    name = {"name": metadata["name"]} if isinstance(metadata, dict) and "name" in metadata else {}
    return {key: value for key, value in data.items() if key != "status"} | {"metadata": name}
