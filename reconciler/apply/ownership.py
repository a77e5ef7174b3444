"""Who owns which field of an object: managedFields, read and rewritten. Pure.

Server-side apply takes back what it names and leaves what others own. So that fields added by hand go too, kubectl's
are made ours first: the apply that follows removes what it does not name. The other way round, a field that shall stay
although we no longer name it (`replicas`, once a group is scaled) is let go of first.

https://kubernetes.io/docs/reference/using-api/server-side-apply/ (fieldsV1: sigs.k8s.io/structured-merge-diff)
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.model import FIELD_MANAGER, Manifest

Fields = dict[str, Any]
"""`{"f:spec": {"f:replicas": {}}}`: a leaf is empty, "." is the thing itself."""
Path = tuple[str, ...]

BY_HAND = "kubectl"
"""How the managers begin by whose name a person changes a field: kubectl, kubectl-edit, kubectl-set …"""
REPLICAS: Path = ("f:spec", "f:replicas")
RESTARTED: Path = ("f:spec", "f:template", "f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt")
"""What `kubectl rollout restart` writes."""


MISSING = object()


def added_by_hand(owners: Iterable[Manifest], desired: Manifest) -> Fields:
    """Return the fields that kubectl's managers own and we do not, less those that are theirs to set."""
    owners, hands, ours = tuple(owners), Fields(), Fields()
    if not any(_is_by_hand(owner, desired) for owner in owners):
        return {}
    for owner in owners:
        if _is_ours(owner):
            ours = _merged(ours, _fields(owner))
        elif _is_by_hand(owner, desired):
            hands = _merged(hands, _fields(owner))
    left = _minus(hands, _merged(ours, _theirs(hands, desired)))
    return left if any(_leaves(left)) else {}


def is_applied(live: Manifest, owners: Iterable[Manifest], desired: Manifest) -> bool:
    """Say whether an apply would surely change nothing; of what is not sure, the server is to be asked.

    So it is where all that is desired is there as it is written, nothing was added by hand, and we own nothing that is
    no longer desired. It is what spares a new process a question about each child.
    """
    owners = tuple(owners)
    ours = [_fields(owner) for owner in owners if _is_ours(owner)]
    return (
        _holds(live, desired)
        and bool(ours)
        and all(_names(desired, fields) for fields in ours)
        and not added_by_hand(owners, desired)
    )


def _holds(live: Any, desired: Any) -> bool:
    """Say whether everything that is desired is there, to the letter."""
    if isinstance(desired, dict):
        return isinstance(live, dict) and all(key in live and _holds(live[key], desired[key]) for key in desired)
    if isinstance(desired, list):
        pairs = zip(live, desired, strict=False) if isinstance(live, list) else ()
        return isinstance(live, list) and len(live) == len(desired) and all(_holds(*pair) for pair in pairs)
    return type(live) is type(desired) and bool(live == desired)


def _names(desired: Any, fields: Fields) -> bool:
    """Say whether every field is one that is desired."""
    for key, below in fields.items():
        sort, _, text = key.partition(":")
        if sort == "f":
            found = desired.get(text, MISSING) if isinstance(desired, dict) else MISSING
        else:
            items = desired if isinstance(desired, list) else ()
            found = next((item for item in items if _is_item(item, sort, text)), MISSING)
        if key != "." and (found is MISSING or not _names(found, below)):
            return False
    return True


def writers(owners: Iterable[Manifest], paths: Iterable[str]) -> str:
    """Return who has written any of these fields: `spec.template.spec.containers[0].image`. Empty: nobody is left."""
    wanted = [re.sub(r"\[[^]]*\]", "", path) for path in paths if path]
    found: dict[str, None] = {}
    for owner in owners:
        written = tuple(_written(_fields(owner)))
        if any(_overlap(each, path) for each in written for path in wanted):
            found["another celery-reconcile" if _is_ours(owner) else str(owner["manager"])] = None
    foreign = [name for name in found if name != "another celery-reconcile"]
    return ", ".join(foreign or found)


def _written(fields: Fields, above: str = "") -> Iterator[str]:
    """Yield the leaves as dotted names, without the keys of lists."""
    for key, below in fields.items():
        sort, _, text = key.partition(":")
        path = f"{above}.{text}".strip(".") if sort == "f" else above
        if below:
            yield from _written(below, path)
        elif path:
            yield path


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def holds_replicas(owners: Iterable[Manifest], desired: Manifest) -> bool:
    """Say whether we own replicas that we no longer name: an apply would reset them to 1."""
    return not _names_replicas(desired) and any(_part(_fields(each), REPLICAS) for each in owners if _is_ours(each))


def rewritten(owners: Iterable[Manifest], desired: Manifest) -> list[Manifest]:
    """Return the managedFields after which an apply removes what was added by hand, and leaves replicas it omits."""
    ours: Manifest = {"manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": desired["apiVersion"]}
    ours |= {"fieldsType": "FieldsV1", "fieldsV1": {}}
    others: list[Manifest] = []
    for owner in owners:
        fields = _fields(owner)
        if _is_ours(owner):
            ours = owner | {"fieldsV1": _merged(ours["fieldsV1"], fields)}
        elif _is_by_hand(owner, desired):
            theirs = _theirs(fields, desired)
            ours |= {"fieldsV1": _merged(ours["fieldsV1"], _minus(fields, theirs))}
            others += [owner | {"fieldsV1": theirs}] if theirs else []
        else:
            others.append(owner)
    if not _names_replicas(desired):
        ours |= {"fieldsV1": _minus(ours["fieldsV1"], _part(ours["fieldsV1"], REPLICAS))}
    return [*others, ours]


def without(value: Any, fields: Fields) -> Any:
    """Return the value less the fields."""
    if isinstance(value, list):
        pairs = ((item, _of_item(item, fields)) for item in value)
        return [without(item, below) for item, below in pairs if "." not in below]
    if not isinstance(value, dict):
        return value
    left = {}
    for key, item in value.items():
        below = fields.get(f"f:{key}")
        if below is None:
            left[key] = item
        elif below and ((rest := without(item, below)) or not ("." in below or isinstance(item, list))):
            left[key] = rest
    return left


def _is_ours(owner: Manifest) -> bool:
    return (owner["manager"], owner["operation"], owner.get("subresource", "")) == (FIELD_MANAGER, "Apply", "")


def _is_by_hand(owner: Manifest, desired: Manifest) -> bool:
    by_kubectl = str(owner["manager"]).startswith(BY_HAND) and not owner.get("subresource")
    return by_kubectl and owner["apiVersion"] == desired["apiVersion"]  # fields of another version are not to be mixed


def _fields(owner: Manifest) -> Fields:
    return owner.get("fieldsV1") or {}


def _names_replicas(desired: Manifest) -> bool:
    return "replicas" in desired.get("spec", {})


def _theirs(fields: Fields, desired: Manifest) -> Fields:
    """Return what may be set by hand: a restart; the replicas of a group that is scaled."""
    restart = _part(fields, RESTARTED)
    return restart if _names_replicas(desired) else _merged(restart, _part(fields, REPLICAS))


def _part(fields: Fields, path: Path) -> Fields:
    """Return the fields at the path and nothing beside them."""
    head, *rest = path
    if head not in fields:
        return {}
    below = _part(fields[head], tuple(rest)) if rest else fields[head]
    return {head: below} if below or not rest else {}


def _merged(fields: Fields, others: Fields) -> Fields:
    keys = [*fields, *(key for key in others if key not in fields)]
    return {key: _merged(fields.get(key, {}), others.get(key, {})) for key in keys}


def _minus(fields: Fields, others: Fields) -> Fields:
    left = {}
    for key, below in fields.items():
        if key not in others:
            left[key] = below
        elif below and (rest := _minus(below, others[key])):
            left[key] = rest
    return left


def _leaves(fields: Fields) -> Iterator[str]:
    for key, below in fields.items():
        if below:
            yield from _leaves(below)
        elif key != ".":
            yield key


def _of_item(item: Any, fields: Fields) -> Fields:
    """Return the fields of a list's item: `k:{"name":"side"}` by its keys, `v:"a"` by its value."""
    for key, below in fields.items():
        sort, _, text = key.partition(":")
        if _is_item(item, sort, text):
            return {".": {}} if sort == "v" else dict(below)
    return {}


def _is_item(item: Any, sort: str, text: str) -> bool:
    return (sort == "v" and json.loads(text) == item) or (sort == "k" and json.loads(text).items() <= item.items())
