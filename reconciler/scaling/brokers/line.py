"""The connection to a broker, kept from one look to the next, and never in two hands at a time.

Whoever asks takes it away, and puts it back unless something went wrong. Who finds none connects anew: one that is late
keeps its own, however long it hangs.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from reconciler.scaling.brokers import broker
from reconciler.scaling.brokers.broker import Broker, unreadable
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.model import Unreadable

Answer = TypeVar("Answer")

TRIAL_SECONDS = 1.0
"""In which a connection that was kept answers, or another takes its place."""


class Line:
    def __init__(self, where: Broker, hosts: Hosts) -> None:
        self._where, self._hosts = where, hosts
        self._kept, self._is_open, self._lock = None, True, Lock()

    def asked(self, seconds: float, question: Callable[[Any], Answer]) -> Answer | Unreadable:
        """Return what the question finds out over a connection, or why nothing was."""
        if self._where.refusal:
            return Unreadable(f"{self._where}: {self._where.refusal}")
        began = time.monotonic()
        with self._hosts.only():
            try:
                return self._answer(seconds, question)
            except Exception as error:  # noqa: BLE001 (what kombu and three clients raise is written nowhere, and must not spread)
                if time.monotonic() - began >= seconds:  # each client has words of its own for that
                    return Unreadable(f"{self._where}: no answer within {seconds:g} s")
                return unreadable(self._where, error)

    def close(self) -> None:
        """Close the connection, and whichever is still to come back."""
        with self._lock:
            self._is_open, connection, self._kept = False, self._kept, None
        if connection:
            with suppress(Exception):  # of whatever kind: nobody uses it any more
                broker.close(self._where, connection)

    def _answer(self, seconds: float, question: Callable[[Any], Answer]) -> Answer:
        connection = self._taken(seconds)
        try:
            answer = question(connection)
        except BaseException:
            broker.close(self._where, connection)
            raise
        self._put_back(connection)
        return answer

    def _taken(self, seconds: float) -> Any:
        with self._lock:
            connection, self._kept = self._kept, None
        if connection:
            if broker.answers(self._where, connection, min(TRIAL_SECONDS, seconds / 4)):
                return connection
            broker.abandon(self._where, connection)
        return broker.connected(self._where, seconds)

    def _put_back(self, connection: Any) -> None:
        if connection.connected:
            broker.forget(self._where, connection)
            with self._lock:
                if self._is_open and self._kept is None:
                    self._kept = connection
                    return
        broker.close(self._where, connection)
