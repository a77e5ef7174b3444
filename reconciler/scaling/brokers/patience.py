"""Many questions at once, none waited for longer than its time-out. Knows nothing of what is asked.

A thread for each question, for no time-out reaches into the resolver of names. One that is late is left to end by
itself; until it has, its question is not asked again, so that there is never more than one of each.
"""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

_SOON = 0.1
"""Of its time-out. Among those that answer at all, nearly all answer sooner."""

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class Late(NamedTuple):
    """Why there is no answer."""

    reason: str


class Patience(Generic[Key]):
    """Asks for one caller at a time. Remembers who was late."""

    def __init__(self, seconds: float, at_once: int) -> None:
        self.seconds, self.at_once = seconds, at_once
        self._late: dict[Key, Thread] = {}

    def ask(self, questions: Mapping[Key, Callable[[], Answer]]) -> dict[Key, Answer | Late]:
        """Return what each question gives, after two time-outs at the latest, mostly one.

        Who does not answer soon no longer keeps others from being asked. Who was late the last time is asked last.
        """
        hanging = {key: thread for key, thread in self._late.items() if thread.is_alive()}
        asked = _Round(questions, sorted((key for key in questions if key not in hanging), key=self._late.__contains__))
        asked.run(self.seconds, self.at_once)
        late = {key: thread for key, thread in asked.threads.items() if key not in asked.answers}
        self._late = hanging | late

        def excuse(key: Key) -> Late:
            if key in hanging:
                return Late("the question before is still without an answer")
            return Late(f"no answer within {self.seconds:g} s" if key in late else "not asked, too many others hang")

        return {key: asked.answers[key] if key in asked.answers else excuse(key) for key in questions}


class _Round(Generic[Key, Answer]):
    def __init__(self, questions: Mapping[Key, Callable[[], Answer]], order: Iterable[Key]) -> None:
        self.questions, self.waiting = questions, deque(order)
        self.threads: dict[Key, Thread] = {}
        self.answers: dict[Key, Answer] = {}
        self._since: dict[Key, float] = {}  # who is waited for, the first asked first
        self._heard: SimpleQueue[tuple[Key, Answer]] = SimpleQueue()

    def run(self, seconds: float, at_once: int) -> None:
        end, soon = time.monotonic() + 2 * seconds, seconds * _SOON
        while (self.waiting or self._since) and (now := time.monotonic()) < end:
            recent = sum(moment + soon > now for moment in self._since.values())
            for _ in range(min(len(self.waiting), at_once - recent)):
                self._ask(self.waiting.popleft())
            self._hear(min(soon, next(iter(self._since.values())) + seconds - now))
            self._since = {key: moment for key, moment in self._since.items() if moment + seconds > time.monotonic()}

    def _ask(self, key: Key) -> None:
        question = self.questions[key]
        thread = Thread(target=lambda: self._heard.put((key, question())), daemon=True, name=f"asks {key}")
        self.threads[key], self._since[key] = thread, time.monotonic()
        thread.start()

    def _hear(self, seconds: float) -> None:
        with suppress(Empty):
            key, answer = self._heard.get(timeout=max(0.0, seconds))
            self._since.pop(key, None)
            self.answers[key] = answer
