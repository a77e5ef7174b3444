"""What the cluster makes of our fields on their way in: webhooks and policies may change what is applied. Pure.

Which of them did it, the API server tells nobody but its audit log.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.model import Manifest, Ref
from render import quantity
from render.errors import Path, dotted

MISSING = object()
KEYS = ("mountPath", "name")
"""What tells the items of a list apart, whatever else is changed of them."""


def altered(desired: Manifest, answer: Manifest) -> tuple[str, ...]:
    """Return the fields that are not kept as they were applied: `spec.template.spec.containers[0].image`.

    What is added beside ours is none of ours, and another spelling is no change: of a quantity, of what is empty.
    """
    return tuple(dotted(path) for path in _altered(desired, answer, ()))


def words(ref: Ref, paths: Iterable[str]) -> str:
    what = f"{', '.join(paths)} of {ref.kind} {ref.name}"
    return f"the cluster changes {what} on the way in: by a webhook, a policy, or a feature gate that is off"


def _altered(desired: Any, there: Any, path: Path) -> Iterator[Path]:
    if isinstance(desired, dict) and isinstance(there, dict):
        for key, value in desired.items():
            yield from _altered(value, there.get(key, MISSING), (*path, key))
    elif isinstance(desired, list) and isinstance(there, list):
        for index, item in enumerate(desired):
            yield from _altered(item, _counterpart(item, index, there), (*path, index))
    elif not _is_same(desired, there):
        yield path


def _counterpart(item: Any, index: int, there: list[Any]) -> Any:
    """Return what has become of an item: others may have been put before it."""
    for each in there:
        if next(_altered(item, each, ()), None) is None:
            return each
    key = next((key for key in KEYS if isinstance(item, dict) and key in item), None)
    if key is not None:
        return next((each for each in there if each.get(key) == item[key]), MISSING)
    return there[index] if index < len(there) else MISSING


def _is_same(desired: Any, there: Any) -> bool:
    if not (isinstance(desired, str) and isinstance(there, str)):
        return (type(desired) is type(there) and bool(desired == there)) or (there is MISSING and not desired)
    try:
        return desired == there or quantity.milli(desired) == quantity.milli(there)
    except ValueError:
        return False
