"""Drift: what an apply would change, by the API server's own account. Pure. The only importer of deepdiff.

Both sides have been through the server, so that defaults, canonical quantities and merged lists never differ.
"""

import threading
from collections.abc import Iterator
from typing import Any

from reconciler.apply import ownership
from reconciler.apply.child import Child
from reconciler.cluster import live
from reconciler.model import Change, Manifest
from render.errors import dotted

# DeepDiff parses each index of a list, and Python's parser counts its depth for all threads before 3.11.9 and 3.12.3
# (https://github.com/python/cpython/issues/106905).
_ALONE = threading.Lock()


def changes(child: Child) -> tuple[Change, ...]:
    """Return every field of the live object that is to change, by path; none for a child that is as it shall be."""
    if child.live is None or child.answer is None or is_as_desired(child):
        return ()
    after = expected(child, child.answer)
    return tuple(sorted(_differences(child.live.manifest, after), key=lambda change: change.path))


def is_as_desired(child: Child) -> bool:
    """Say whether, by the server's answer, an apply would change nothing."""
    after = expected(child, child.answer) if child.answer else None
    return child.live is not None and live.digest(live.text_of(after)) == child.live.digest


def expected(child: Child, answer: Manifest) -> Manifest:
    """Return what the object will be: the answer less what was added by hand, and with the replicas it has now.

    An apply alone leaves what other managers added, and resets replicas that it names no longer (see ownership.py).
    """
    by_hand = ownership.added_by_hand(answer["metadata"].get("managedFields", ()), child.desired)
    after = live.stable(ownership.without(answer, by_hand))
    if child.live and child.live.replicas is not None and "replicas" not in child.desired["spec"]:
        after |= {"spec": after["spec"] | {"replicas": child.live.replicas}}
    return after


def _differences(before: Manifest, after: Manifest) -> Iterator[Change]:
    from deepdiff import DeepDiff  # noqa: PLC0415 (a sixth of a second, and few passes find a difference)
    from deepdiff.helper import notpresent  # noqa: PLC0415

    def value(side: Any) -> Any:
        return None if side is notpresent else side

    with _ALONE:
        found = DeepDiff(before, after, view="tree").values()
    for levels in found:
        for level in levels:
            path = dotted(tuple(level.path(output_format="list")))
            yield Change(path, value(level.t1), value(level.t2))
