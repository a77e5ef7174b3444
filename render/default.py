"""Absent fields filled in, as the API server does it (structural-schema defaulting). Pure."""

from typing import Any


def fill(data: Any, structural: dict[str, Any]) -> Any:
    """Return the data with every default of the schema; a null where none is allowed counts as absent."""
    if isinstance(data, dict):
        return _object(data, structural)
    if isinstance(data, list) and "items" in structural:
        items = structural["items"]
        return [fill(items.get("default") if _refused(item, items) else item, items) for item in data]
    return data


def _object(data: dict[str, Any], structural: dict[str, Any]) -> dict[str, Any]:
    fields, others = structural.get("properties", {}), structural.get("additionalProperties")
    filled = {}
    for key, value in data.items():
        field = fields.get(key, others)
        if not isinstance(field, dict):  # not in the schema: left for the validation to name, or free by the schema
            filled[key] = value
        elif not _refused(value, field):
            filled[key] = fill(value, field)
        elif "default" in field:
            filled[key] = fill(field["default"], field)
    absent = {key: field for key, field in fields.items() if "default" in field and key not in filled}
    return filled | {key: fill(field["default"], field) for key, field in absent.items()}


def _refused(value: Any, field: dict[str, Any]) -> bool:
    return value is None and not field.get("nullable", False)
