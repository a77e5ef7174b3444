"""What waits for the groups that scale, and what their pods run: every broker asked at once. Only reads.

Nobody waits for another's broker, Secret or fault. Nobody else holds a broker's URL, and no message has it.
"""

import time
from base64 import b64decode
from binascii import Error as NoBase64
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import NamedTuple

from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Forbidden, NotFound
from reconciler.model import SECRET, Ref
from reconciler.scaling.brokers import broker, look
from reconciler.scaling.brokers.broker import Broker, Trust
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.brokers.load import Node
from reconciler.scaling.brokers.look import Findings, Kept
from reconciler.scaling.brokers.patience import Late, Patience, Question
from reconciler.scaling.group import Group, GroupKey, Parts, SecretKey
from reconciler.scaling.model import Backlog, NotAsked, Silent, Unreadable
from reconciler.scaling.pace import Counters
from reconciler.scaling.running import Told
from render.in_pod import celery_connection

UNASKED = "Celery cannot ask workers on Amazon SQS what they run"
KEPT_SECONDS = 60.0
"""For so long a Secret is kept and not read again, unless the broker could not be."""
IDLE_SECONDS = 60.0
"""After so long without a look, the connection to a broker is closed, and what was read there forgotten."""


class Crew(NamedTuple):
    """A group, and its pods that may be asked what they run."""

    namespace: str
    group: Group
    pods: frozenset[str]

    def node(self, pod: str) -> Node:
        """Return the worker in a pod, whose name is its hostname."""
        return str(self.group.settings.get("control_exchange", "celery")), f"{self.group.name}@{pod}"


class Demanded(NamedTuple):
    """What there is to do for a group."""

    backlog: Backlog | Unreadable | None
    """None if it is not scaled by its queues."""
    running: Told
    counters: Mapping[str, Counters] = {}
    """By pod, of the workers that count what they begin."""


Crews = Mapping[GroupKey, Crew]
Answered = Callable[[Mapping[GroupKey, Demanded]], None]
_Question = Callable[[Kept, Crews, float, Callable[[Findings], None]], Findings | Unreadable]


_Place = tuple[Ref, str]
"""A Secret or a ConfigMap, and a key in it."""


class _Source(NamedTuple):
    """A broker, and what is to be read first to know it: whole, then, only who names the same is known to share it."""

    broker: Broker
    unread: tuple[_Place, ...] = ()
    named: tuple[str | SecretKey | None, Parts] | None = None
    namespace: str = ""
    """On Amazon SQS, where there is no connection to share, and every queue is a request."""

    def __str__(self) -> str:
        return str(self.unread[0][0] if self.unread else self.broker)


class Demand:
    """Remembers what Secrets say, what is kept of each broker, and which brokers were late."""

    def __init__(
        self, cluster: Cluster, hosts: Hosts, timeout_seconds: float, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        self._cluster, self._hosts, self._kept_seconds = cluster, hosts, kept_seconds
        self._patience: Patience[_Source] = Patience(timeout_seconds)
        self._texts: dict[_Place, tuple[str, float]] = {}
        self._lock = Lock()
        self._kept: dict[Broker, tuple[Kept, float]] = {}  # and when it was looked at last

    def look(self, crews: Crews, answered: Answered) -> None:
        """Have every broker looked at, and return at once.

        `answered` is told each group once: those of a broker as soon as it has answered, or that it did not within the
        time-out. From another thread, one call after the other; from this one only if no thread can be had.
        """
        self._begin(crews, answered, _looked)

    def glance(self, crews: Crews, answered: Answered) -> None:
        """Have the same told of what waits alone. Nobody glances at a broker while it is being looked at."""
        self._begin(crews, answered, _glanced)

    def _begin(self, crews: Crews, answered: Answered, question: _Question) -> None:
        try:
            if any(crew.group.url for crew in crews.values()):
                broker.prepare()
            Thread(target=self._look, args=(crews, answered, question), daemon=True, name="looks at brokers").start()
        except Exception as error:  # noqa: BLE001 (kombu does not fit its Redis client, there are no more threads …)
            answered(_demanded(crews, Unreadable(f"broker: {type(error).__name__}")))

    def of(self, crews: Crews, answered: Answered = lambda _: None) -> dict[GroupKey, Demanded]:
        """Return the same of all groups, waited for: one time-out at most. It is told here.

        A message counts once, wherever it is: waiting, taken and not acknowledged, or in the hands of a worker alone.
        """
        found, heard = dict[GroupKey, Demanded](), SimpleQueue[Mapping[GroupKey, Demanded]]()
        self.look(crews, heard.put)
        while len(found) < len(crews):
            answered(told := heard.get())
            found |= told
        return found

    def _look(self, crews: Crews, answered: Answered, question: _Question) -> None:
        if nameless := {key: crew for key, crew in crews.items() if crew.group.url is None}:
            answered(_demanded(nameless, NotAsked("the app names no broker, so nobody was asked what runs")))
        sources = self._sources({key: crew for key, crew in crews.items() if key not in nameless})
        self.close(IDLE_SECONDS)
        progress: dict[_Source, Broker | Findings] = {}

        def ask(source: _Source) -> Findings | Unreadable | NotAsked:
            texts = {place: self._text(*place) for place in source.unread}
            for text in texts.values():
                if not isinstance(text, str):
                    return text
            [crew, *_] = sources[source].values()
            known = _broker(crew, {place: str(text) for place, text in texts.items()}) if texts else source.broker
            progress[source] = known
            tell_progress = partial(progress.__setitem__, source)
            return question(self._keep(known), sources[source], self._patience.seconds, tell_progress)

        def tell(source: _Source, found: Findings | Unreadable | NotAsked | Late) -> None:
            if isinstance(found, Late):
                known = progress.get(source, source)
                found = known if isinstance(known, Findings) else Unreadable(f"{known}: {found.reason}")
            if isinstance(found, Unreadable):
                for place in {place for crew in sources[source].values() for place in _places(crew)}:
                    self._texts.pop(place, None)  # it may be another by now
            answered(_demanded(sources[source], found))

        namespaces = {source: {crew.namespace for crew in its.values()} for source, its in sources.items()}
        self._patience.ask({each: Question(partial(ask, each), its) for each, its in namespaces.items()}, tell)

    def _sources(self, crews: Crews) -> Mapping[_Source, Crews]:
        """Return the groups of each broker: one for all that is known, one for each that is to be read of first."""
        oldest = time.monotonic() - self._kept_seconds
        self._texts = {place: read for place, read in self._texts.copy().items() if read[1] > oldest}
        sources: dict[_Source, dict[GroupKey, Crew]] = defaultdict(dict)
        for key, crew in crews.items():
            places, texts = _places(crew), self._texts
            if all(place in texts for place in places):
                known = _broker(crew, {place: texts[place][0] for place in places})
                source = _Source(known, namespace=crew.namespace if known.is_sqs else "")
            else:
                source = _Source(_nameless(crew), places, (crew.group.url, crew.group.parts))
            sources[source][key] = crew
        return sources

    def _keep(self, known: Broker) -> Kept:
        with self._lock:
            kept, _ = self._kept.get(known, (Kept(known, replace(self._hosts, namespace=known.namespace)), 0.0))
            self._kept[known] = (kept, time.monotonic())
            return kept

    def close(self, idle_seconds: float = 0.0) -> None:
        """Close the connections to brokers that were not looked at for so long, in threads of their own."""
        with self._lock:
            oldest = time.monotonic() - idle_seconds
            idle = [kept for kept, looked_at in self._kept.values() if looked_at <= oldest]
            for kept in idle:
                del self._kept[kept.broker]
        for kept in idle:
            Thread(target=kept.line.close, daemon=True, name=f"closes {kept.broker}").start()

    def _text(self, secret: Ref, key: str) -> str | Unreadable | NotAsked:
        """Return what a Secret has, or why there is nothing. NotAsked where we may not know it."""
        try:
            data = self._cluster.get(secret).get("data") or {}
            text = data.get(key)
            text = b64decode(text).decode() if text and secret.kind == SECRET.name else text
        except Forbidden:
            granted = "by the component queue-scaling, or the chart's value brokerSecrets: docs/operations.md#scaling"
            return NotAsked(f"{secret} may not be read until it is granted, {granted}")
        except NotFound:
            return Unreadable(f"{secret} is not there")
        except ClusterError as error:
            return Unreadable(f"{secret} could not be read: {error}")
        except (NoBase64, UnicodeDecodeError):
            return Unreadable(f"{secret} {key} is no text")
        if not text or not text.strip():
            return Unreadable(f"{secret} has no key {key}" if text is None else f"{secret} {key} is empty")
        self._texts[secret, key] = (text, time.monotonic())
        return str(text)


def _looked(
    kept: Kept, crews: Crews, seconds: float, tell_progress: Callable[[Findings], None]
) -> Findings | Unreadable:
    workers: dict[frozenset[str], set[Node]] = defaultdict(set)
    for crew in crews.values():
        workers[crew.group.queues].update(map(crew.node, crew.pods))
    return look.at(kept, workers, seconds, tell_progress)


def _glanced(kept: Kept, crews: Crews, seconds: float, _: Callable[[Findings], None]) -> Findings | Unreadable:
    return look.glance(kept, {crew.group.queues for crew in crews.values()}, seconds)


def _places(crew: Crew) -> tuple[_Place, ...]:
    """Return what is to be read for a group to know its broker."""
    url = [crew.group.url] if isinstance(crew.group.url, SecretKey) else []
    return tuple(_place(crew, key) for key in (*url, *crew.group.parts.keys))


def _place(crew: Crew, key: SecretKey) -> _Place:
    return Ref("v1", key.kind, crew.namespace, key.name), key.key


def _nameless(crew: Crew) -> Broker:
    settings = crew.group.settings
    return Broker("", settings.get("broker_transport_options") or {}, settings.get("broker_use_ssl"))


def _broker(crew: Crew, texts: Mapping[_Place, str]) -> Broker:
    """Return the broker of a group, given all that was to be read."""

    def text(part: SecretKey | str | None) -> str | None:
        return texts[_place(crew, part)] if isinstance(part, SecretKey) else part

    parts, known = crew.group.parts, _nameless(crew)
    url = str(text(crew.group.url)).strip()  # spaces and line ends at both ends are no part of a URL
    if (password := text(parts.password)) is not None:
        url = celery_connection.with_credentials(url, text(parts.username), password)
    if parts.sentinel_master:
        sentinel = celery_connection.sentinel(parts.sentinel_master, text(parts.sentinel_password), {})
        known = replace(known, options=celery_connection.over(known.options, sentinel))
    trust = Trust(parts.verify, {kind: str(text(key)) for kind, key in parts.files}) if parts.verify else None
    return replace(known, url=url, trust=trust).seen_from(crew.namespace)


def _demanded(crews: Crews, found: Findings | Unreadable | NotAsked) -> dict[GroupKey, Demanded]:
    return {key: _of(crew, found) for key, crew in crews.items()}


def _of(crew: Crew, found: Findings | Unreadable | NotAsked) -> Demanded:
    """Return what is known of a group: a pod that does not answer holds nothing, as far as is known."""
    if not isinstance(found, Findings):
        nobody = found if isinstance(found, NotAsked) else Silent()
        return Demanded(Unreadable(found.message) if crew.group.queues else None, nobody)
    backlog = found.backlogs.get(crew.group.queues)
    if found.loads is None:
        return Demanded(backlog, _unasked(crew, backlog))
    loads = {pod: found.loads[crew.node(pod)] for pod in sorted(crew.pods) if crew.node(pod) in found.loads}
    if isinstance(backlog, Backlog):
        held = sum(load.uncounted for load in loads.values())
        backlog = backlog._replace(unacknowledged=backlog.unacknowledged + held)
    running = {pod: load.tasks for pod, load in loads.items()} if loads or not crew.pods else Silent()
    return Demanded(backlog, running, {pod: load.counters for pod, load in loads.items() if load.counters})


def _unasked(crew: Crew, backlog: Backlog | Unreadable | None) -> Told:
    """Return what runs where workers cannot be asked: nothing that could be lost, or nobody knows.

    Whoever acknowledges late has all that runs in flight: with nothing in flight nothing runs, and what is in flight
    comes back when a soft shutdown, or its visibility timeout, ends it.
    """
    if crew.group.settings.get("task_acks_late") is True:
        is_idle = isinstance(backlog, Backlog) and backlog.unacknowledged == 0
        if is_idle or crew.group.policy.returns_tasks:
            return dict.fromkeys(crew.pods, ())
        return NotAsked(f"{UNASKED}, and messages are in flight")
    return NotAsked(UNASKED)
