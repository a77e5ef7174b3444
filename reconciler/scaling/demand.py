"""What waits for the groups that scale: the URLs of their brokers found, and the brokers asked. Only reads.

Nobody else holds a broker's URL, and no message has it.
"""

import time
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Forbidden, NotFound
from reconciler.model import SECRET, Manifest, Ref
from reconciler.scaling.brokers import queues
from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.load import Load
from reconciler.scaling.brokers.queues import Brokers, Inquiry
from reconciler.scaling.group import Group, GroupKey, SecretKey
from reconciler.scaling.model import Backlog, NotAsked, Silent, Unreadable

READERS = 8
"""So many Secrets are read at a time."""

KEPT_SECONDS = 60.0
"""For so long a Secret is kept and not read again, unless the broker could not be."""


class Crew(NamedTuple):
    """A group, and its pods that may be asked what they run."""

    namespace: str
    group: Group
    pods: frozenset[str]


Running = Mapping[str, int] | Silent | NotAsked
"""Tasks by the pod that runs them; a pod that did not say is not there."""


Urls = Mapping[tuple[str, SecretKey], str | Unreadable | NotAsked]
"""The broker's URL by namespace and Secret, or why there is none."""


class Demanded(NamedTuple):
    """What there is to do for a group."""

    backlog: Backlog | Unreadable | None
    """None if it is not scaled by its queues."""
    running: Running


class Demand:
    """The brokers, for one pass at a time."""

    def __init__(self, cluster: Cluster, timeout_seconds: float, kept_seconds: float = KEPT_SECONDS) -> None:
        self._cluster = cluster
        self._timeout_seconds = timeout_seconds
        self._kept_seconds = kept_seconds
        self._read: dict[tuple[str, SecretKey], tuple[str, float]] = {}

    def of(self, crews: Mapping[GroupKey, Crew]) -> dict[GroupKey, Demanded]:
        """Return what waits for each group that is scaled by its queues, and what its pods run.

        A message counts once, wherever it is: waiting, taken and not acknowledged, or in the hands of a worker alone.
        """
        found: dict[GroupKey, Demanded] = {}
        brokers: dict[GroupKey, Broker] = {}
        urls = self._urls(crews.values())
        for key, crew in crews.items():
            broker = _broker(crew, urls)
            if isinstance(broker, Broker):
                brokers[key] = broker
            else:
                backlog = Unreadable(broker.message) if crew.group.queues else None
                found[key] = Demanded(backlog, broker if isinstance(broker, NotAsked) else Silent())
        if brokers:
            found |= self._asked(brokers, crews)
        self._forget(crews, found)
        return found

    def _asked(self, brokers: Mapping[GroupKey, Broker], crews: Mapping[GroupKey, Crew]) -> dict[GroupKey, Demanded]:
        counted = {key: broker for key, broker in brokers.items() if crews[key].group.queues}
        backlogs = self._brokers.backlogs(Inquiry(key, each, crews[key].group.queues) for key, each in counted.items())
        loads = self._brokers.running(
            queues.Crew(key, each, crews[key].group.name, crews[key].pods, _exchange(crews[key]))
            for key, each in brokers.items()
            if not isinstance(backlogs.get(key), Unreadable)
        )
        return {key: _demanded(backlogs.get(key), loads.get(key), crews[key]) for key in brokers}

    @cached_property
    def _brokers(self) -> Brokers:
        return Brokers(self._timeout_seconds)

    def _urls(self, crews: Iterable[Crew]) -> Urls:
        """Return the URL in each Secret that is named, or why there is none: all are read at once."""
        now = time.monotonic()
        self._read = {key: (url, at) for key, (url, at) in self._read.items() if now - at < self._kept_seconds}
        wanted = {(crew.namespace, crew.group.url) for crew in crews if isinstance(crew.group.url, SecretKey)}
        with ThreadPoolExecutor(READERS) as pool:
            return dict(zip(wanted, pool.map(lambda each: self._secret(*each), wanted), strict=True))

    def _forget(self, crews: Mapping[GroupKey, Crew], found: Mapping[GroupKey, Demanded]) -> None:
        """Read the Secrets again of brokers that did not answer: the URL may be another by now."""
        for key, crew in crews.items():
            if isinstance(found[key].backlog, Unreadable) and isinstance(crew.group.url, SecretKey):
                self._read.pop((crew.namespace, crew.group.url), None)

    def _secret(self, namespace: str, wanted: SecretKey) -> str | Unreadable | NotAsked:
        """Return the URL, or why there is none. NotAsked where we may not know it."""
        if read := self._read.get((namespace, wanted)):
            return read[0]
        ref = Ref(SECRET.api_version, SECRET.name, namespace, wanted.name)
        try:
            found = _decoded(self._cluster.get(ref), wanted)
        except Forbidden:
            return NotAsked(f"{ref} may not be read, see kustomize/components/queue-scaling")
        except ClusterError as error:
            missing = isinstance(error, NotFound)
            return Unreadable(f"{ref} is not there" if missing else f"{ref} could not be read: {error}")
        if isinstance(found, str):
            self._read[namespace, wanted] = (found, time.monotonic())
        return found


def _broker(crew: Crew, urls: Urls) -> Broker | Unreadable | NotAsked:
    """Return the group's broker, why it cannot be known just now, or why it may not be."""
    url, settings = crew.group.url, crew.group.settings
    if url is None:
        return NotAsked("the app names no broker, so nobody was asked what runs")
    if isinstance(url, SecretKey):
        read = urls[crew.namespace, url]
        if not isinstance(read, str):
            return read
        url = read
    return Broker(url, settings.get("broker_transport_options", {}), settings.get("broker_use_ssl"))


def _demanded(
    backlog: Backlog | Unreadable | None, loads: Mapping[str, Load] | Unreadable | None, crew: Crew
) -> Demanded:
    """Return what is known of a group: a pod that does not answer holds nothing, as far as is known."""
    known = loads if isinstance(loads, Mapping) else {}
    if isinstance(backlog, Backlog):
        held = sum(load.uncounted for load in known.values())
        backlog = backlog._replace(unacknowledged=backlog.unacknowledged + held)
    running = {pod: load.active for pod, load in known.items()}
    return Demanded(backlog, running if running or not crew.pods else Silent())


def _exchange(crew: Crew) -> str:
    return str(crew.group.settings.get("control_exchange", "celery"))


def _decoded(secret: Manifest, wanted: SecretKey) -> str | Unreadable:
    """Return the text under the key. Its spaces and line ends at both ends are no part of a URL."""
    where = f"Secret/{secret['metadata']['namespace']}/{wanted.name}"
    if wanted.key not in (secret.get("data") or {}):
        return Unreadable(f"{where} has no key {wanted.key}")
    try:
        return b64decode(secret["data"][wanted.key]).decode().strip() or Unreadable(f"{where} {wanted.key} is empty")
    except (NoBase64, UnicodeDecodeError):
        return Unreadable(f"{where} {wanted.key} is no text")
