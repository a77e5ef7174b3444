"""What is there, kept: each kind is listed once and then watched, by a thread of its own.

A LIST is the truth, and comes again at every interval; what a watch tells in between only makes it known sooner. A
kind that cannot be listed is told apart from one of which there is nothing, and what was known of it stays.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from reconciler.cluster.client import Cluster, Where
from reconciler.cluster.errors import ClusterError, Expired, Forbidden, ListFailed, NotFound
from reconciler.cluster.live import App, Live
from reconciler.model import Kind, Manifest, Ref

log = logging.getLogger(__name__)

WATCH_SECONDS = 300.0
LASTING_SECONDS = 30.0
"""A watch that ends earlier is broken."""
LONGEST_PAUSE_SECONDS = 60.0
"""Before a kind is listed again that is not there."""
LONGEST_OUTAGE_PAUSE_SECONDS = 15.0
"""Before what failed is tried again, a LIST or a watch."""


class Item(Protocol):
    @property
    def ref(self) -> Ref: ...
    @property
    def resource_version(self) -> str: ...
    @property
    def keys(self) -> Iterable[Hashable]:
        """What it is looked up by, besides its name."""


T = TypeVar("T", bound=Item)
Made = Callable[[Manifest, T | None], T | None]
"""Makes of an object what is kept of it, given what is kept of it as it was; None for one that is none of ours."""
Heard = Callable[[Any, Any, bool], None]
"""Told of an object as it was and as it is, None for one that was not there or is gone; and whether we wrote it."""


class Store(Generic[T]):
    """The objects of one kind, by the newest that was heard of each."""

    def __init__(self, cluster: Cluster, kind: Kind, made: Made[T], where: Where) -> None:
        self.kind, self.namespace = kind, where.namespace or ""
        self.problem = f"{kind.name} list: not listed yet"
        """Why it could not be listed when that was last tried; empty if it could."""
        self.is_forbidden = False
        self.is_watched = False
        self.heard: Heard = lambda _old, _new, _ours: None
        self.recovered: Callable[[], None] = lambda: None
        """Told when it could be listed after it could not."""
        self._cluster, self._made, self._where = cluster, made, where
        self._items: dict[Ref, T] = {}
        self._index: dict[Hashable, tuple[Ref, ...]] = {}
        self._version = ""
        self._dropped: dict[Ref, int] = {}
        """What is gone though a list under way may still have it, and the version that was the last of it."""
        self._lists_under_way = 0
        self._listed_at = float("-inf")
        self._retry_after_seconds = 0.0
        self._lock = threading.RLock()

    @property
    def each(self) -> tuple["Store[T]", ...]:
        return (self,)

    @property
    def is_blind(self) -> bool:
        """Whether nothing at all could be listed."""
        return bool(self.problem)

    def of(self, _namespace: str) -> "Store[T]":
        """Return the store that has the objects of a namespace."""
        return self

    def get(self, ref: Ref) -> T | None:
        return self._items.get(ref)

    def all(self) -> list[T]:
        with self._lock:
            return list(self._items.values())

    def by(self, key: Hashable) -> list[T]:
        """Return the objects that have this key."""
        if key not in self._index:
            return []
        with self._lock:
            return [self._items[ref] for ref in self._index.get(key, ())]

    def follow(self, interval_seconds: float, *, watches: bool, turned: Callable[[], None]) -> None:
        """List and watch for ever."""
        failures = 0
        while True:
            turned()
            began = time.monotonic()
            if self.problem or not self._version or began >= self._listed_at + interval_seconds:
                self.refresh()
            left = self._listed_at + interval_seconds - time.monotonic()
            if watches and self._version and not self.problem and left > 0:
                self._watch(min(left, WATCH_SECONDS), turned)
            is_short = time.monotonic() - began < min(LASTING_SECONDS, interval_seconds / 2)
            failures = failures + 1 if is_short and (watches or self.problem) else 0
            is_absent = not (self._version or self.problem)
            rest = pause_seconds(failures, LONGEST_PAUSE_SECONDS if is_absent else LONGEST_OUTAGE_PAUSE_SECONDS)
            rest = max(rest, self._retry_after_seconds) if self.problem else rest
            time.sleep(max(0.0, min(rest if failures or watches else left, interval_seconds)))

    def refresh(self, *, consistently: bool = False) -> None:
        """List anew; from the server's cache, unless it may be behind what we know or was not able to."""
        began, known = time.monotonic(), self._version
        since = "" if consistently or self.problem else known
        with self._lock:
            self._lists_under_way += 1
        try:
            listed = self._cluster.list(self.kind, self._kept_or_made, self._where, since)
            # A consistent list that is older than what was known before it is of a history restored from a backup.
            is_restored = not since and _number(listed.resource_version) < _number(known)
            self._replace([item for item in listed.items if item], listed.resource_version, is_restored=is_restored)
        except ListFailed as failure:
            problem, self.is_forbidden = str(failure), isinstance(failure.__cause__, Forbidden)
            self._retry_after_seconds = min(failure.retry_after_seconds, LONGEST_PAUSE_SECONDS)
        except Exception as error:  # a fault of our own must end no thread
            log.exception("%s list", self.kind.name)
            problem = f"{self.kind.name} list: {type(error).__name__}"
        else:
            problem = ""
        finally:
            with self._lock:
                self._lists_under_way -= 1
                if not self._lists_under_way:
                    self._dropped.clear()
        if problem and self._listed_at > began:  # another has ended well meanwhile, or has said why not
            return
        if problem and problem != self.problem:
            log.warning("%s", problem)
        has_recovered = self.problem and not problem
        self.problem, self._listed_at = problem, time.monotonic()
        if has_recovered:
            self.recovered()

    def take(self, item: T, *, ours: bool = False, is_restored: bool = False) -> None:
        """Take in an object, unless a newer one of it is known: of the same history."""
        with self._lock:
            old = self._items.get(item.ref)
            is_newer = old and not is_restored and _number(old.resource_version) > _number(item.resource_version)
            if old is item or is_newer:
                return
            self._set(item.ref, item)
        self.heard(old, item, ours)

    def put(self, item: T) -> None:
        """Put another form of the same object in its place."""
        with self._lock:
            if (old := self._items.get(item.ref)) and old.resource_version == item.resource_version:
                self._items[item.ref] = item

    def drop(self, ref: Ref, version: str = "", *, ours: bool = False) -> None:
        """Forget an object that is gone, at this version if one is known."""
        with self._lock:
            old = self._items.get(ref)
            self._set(ref, None)
            if self._lists_under_way and (version or old):
                self._dropped[ref] = _number(version or (old.resource_version if old else ""))
        if old:
            self.heard(old, None, ours)

    def _set(self, ref: Ref, item: T | None) -> None:
        if old := self._items.pop(ref, None):
            for key in old.keys:
                self._index[key] = tuple(each for each in self._index[key] if each != ref)
                if not self._index[key]:
                    del self._index[key]
        if item:
            self._items[ref] = item
            for key in item.keys:
                self._index[key] = (*self._index.get(key, ()), ref)

    def _replace(self, items: list[T], version: str, *, is_restored: bool = False) -> None:
        """Take in a list; what came after it was made is in it no more than what has gone since."""
        refs = {item.ref for item in items}
        for old in self.all():
            is_newer = version and not is_restored and _number(old.resource_version) > _number(version)
            if old.ref not in refs and not is_newer:
                self.drop(old.ref)
        for item in items:
            if is_restored or self._dropped.get(item.ref, -1) < _number(item.resource_version):
                self.take(item, is_restored=is_restored)
        self._version = version

    def _kept_or_made(self, manifest: Manifest) -> T | None:
        kept = self._items.get(Ref.of(manifest))
        is_same = kept is not None and kept.resource_version == manifest["metadata"]["resourceVersion"]
        return kept if is_same else self._made(manifest, kept)

    def _watch(self, seconds: float, turned: Callable[[], None]) -> None:
        """Hear what changes until the watch ends. Of a kind that is gone, or what is forgotten, a list tells."""
        try:
            for event, manifest in self._cluster.watch(self.kind, self._where, self._version, seconds):
                self.is_watched = True
                turned()
                self._hear(event, manifest)
        except (Expired, NotFound):
            self._version = ""
        except ClusterError as error:
            log.debug("%s", error)
        except Exception:
            log.exception("%s watch", self.kind.name)
        finally:
            self.is_watched = False

    def _hear(self, event: str, manifest: Manifest) -> None:
        if event != "BOOKMARK":
            item = None if event == "DELETED" else self._kept_or_made(manifest)
            if item:
                self.take(item)
            else:
                self.drop(Ref.of(manifest), manifest["metadata"]["resourceVersion"])
        self._version = manifest["metadata"]["resourceVersion"]


class Stores(Generic[T]):
    """A store for each of several namespaces, as one. What cannot be listed in one of them holds up no other."""

    def __init__(self, stores: Mapping[str, Store[T]]) -> None:
        self._stores = stores
        self.each = tuple(stores.values())
        self.kind = self.each[0].kind

    def of(self, namespace: str) -> Store[T]:
        return self._stores[namespace]

    @property
    def problem(self) -> str:
        return "; ".join(store.problem for store in self.each if store.problem)

    @property
    def is_blind(self) -> bool:
        return all(store.is_blind for store in self.each)

    @property
    def is_watched(self) -> bool:
        return all(store.is_watched for store in self.each)

    def get(self, ref: Ref) -> T | None:
        return self._stores[ref.namespace].get(ref) if ref.namespace in self._stores else None

    def all(self) -> list[T]:
        return [item for store in self.each for item in store.all()]

    def by(self, key: Hashable) -> list[T]:
        return [item for store in self.each for item in store.by(key)]

    def refresh(self, *, consistently: bool = False) -> None:
        for store in self.each:
            store.refresh(consistently=consistently)

    def take(self, item: T, *, ours: bool = False) -> None:
        self.of(item.ref.namespace).take(item, ours=ours)


def stored(
    cluster: Cluster, kind: Kind, made: Made[T], namespaces: tuple[str, ...], selector: str
) -> Store[T] | Stores[T]:
    """Return the store of a kind: in these namespaces, or in all if none is named."""
    if not namespaces:
        return Store(cluster, kind, made, Where(None, selector))
    stores = {name: Store(cluster, kind, made, Where(name, selector)) for name in namespaces}
    return Stores(stores) if len(stores) > 1 else stores[namespaces[0]]


@dataclass(frozen=True)
class Cache:
    """Every app, and every object that is labelled as the child of one."""

    apps: Store[App] | Stores[App]
    children: Mapping[str, Store[Live] | Stores[Live]]
    """By kind."""

    def of(self, app: App) -> dict[Ref, Live]:
        """Return what is labelled as the app's own, or has it as its controller."""
        keys = ((app.ref.namespace, app.label), app.uid)
        return {live.ref: live for store in self.children.values() for key in keys for live in store.by(key)}

    @property
    def unreadable(self) -> dict[str, str]:
        """Kinds that could not be listed, and why: of their objects nothing new is known."""
        return {store.kind.name: store.problem for store in self.stores if store.problem}

    @property
    def stores(self) -> tuple[Store[Any], ...]:
        return tuple(store for kind in (*self.children.values(), self.apps) for store in kind.each)

    def sync(self, seconds: float | None) -> None:
        """Read everything consistently; children first, so that none is judged by an older spec than it is of.

        Nobody waits for longer than so many seconds for a kind that does not come.
        """
        stores = (store for kind in self.children.values() for store in kind.each)
        reads = (partial(store.refresh, consistently=True) for store in stores)
        threads = [threading.Thread(target=read, daemon=True) for read in reads]  # one that hangs holds up no end
        for thread in threads:
            thread.start()
        end = None if seconds is None else time.monotonic() + seconds
        for thread in threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        self.apps.refresh(consistently=True)


def pause_seconds(failures: int, longest_seconds: float) -> float:
    """Return how long to rest after so many failures: about 1, 2, 4 … seconds, or not at all after none."""
    jitter = random.uniform(0.9, 1.1)  # noqa: S311 (no secret)
    return min(longest_seconds, 2.0 ** min(failures - 1, 16)) * jitter if failures else 0.0


def _number(resource_version: str) -> int:
    """Return what makes versions of a kind comparable: https://kubernetes.io/docs/reference/using-api/api-concepts/."""
    return int(resource_version) if resource_version.isdecimal() else 0
