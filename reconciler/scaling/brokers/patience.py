"""Many questions at once, and nobody waits for another's answer. Knows nothing of what is asked.

A thread for each, for no time-out reaches into the resolver of names. One that is late is left to end by itself; until
it has, its question is not asked again.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Hashable, Mapping
from random import sample
from threading import Condition, Thread
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

REMEMBERED_SECONDS = 600
"""Who is gone for longer is not known any more."""


class Late(NamedTuple):
    """Why there is no answer."""

    reason: str


class Question(NamedTuple, Generic[Answer]):
    ask: Callable[[], Answer]
    owners: Collection[str]
    """Whom it is asked for: its thread is one of whoever has the fewest."""


class Patience(Generic[Key]):
    """Knows who is being asked, and who was late. Several may ask at a time."""

    def __init__(self, seconds: float, at_once: int = 128) -> None:
        self.seconds, self.at_once = seconds, at_once
        self._threads: dict[Key, tuple[str, float]] = {}  # whose they are, and until when they are on time
        self._held = Counter[str]()
        self._before: dict[Key, tuple[bool, float]] = {}  # who was late, and when they were asked
        self._changed = Condition()

    def ask(self, questions: Mapping[Key, Question[Answer]], tell: Callable[[Key, Answer | Late], None]) -> None:
        """Tell each answer as soon as it is there, and after one time-out why there is none.

        Who was late the last time is asked last; of the others first who was not asked for longest, and else by chance:
        what hangs together may stand together.
        """
        start, asked, heard = time.monotonic(), set[Key](), deque[tuple[Key, Answer | Late]]()
        with self._changed:
            recent = start - REMEMBERED_SECONDS
            self._before = {key: before for key, before in self._before.copy().items() if before[1] > recent}
            waiting = sorted(sample([*questions], len(questions)), key=lambda key: self._before.get(key, (False, 0.0)))
        while waiting or asked:
            with self._changed:
                now, end = time.monotonic(), start + self.seconds
                asked |= {key for key in waiting if now < end and self._begins(key, questions[key], heard)}
                waiting = [key for key in waiting if key not in asked]
                hopes = now < end and any(until > now for _, until in self._threads.values())
                if not heard and not (hopes and self._changed.wait(end - now)):
                    break
            while heard:
                key, answer = heard.popleft()
                asked.remove(key)
                self._before[key] = (False, start)
                tell(key, answer)
        late = f"no answer within {self.seconds:g} s"
        for key in asked:
            self._before[key] = (True, start)
            tell(key, Late(late))
        for key in waiting:
            # Of one that hangs the same is said for as long as it does: a status would change with each word.
            tell(key, Late(late if key in self._threads else "not asked, too many others hang"))

    def _begins(self, key: Key, question: Question[Answer], heard: deque[tuple[Key, Answer | Late]]) -> bool:
        """Ask if there is a thread for it: nobody gets more of them than are left for others."""
        owner = min(question.owners, key=self._held.__getitem__)
        if key in self._threads or self._held[owner] >= self.at_once - len(self._threads):
            return False

        def end(answer: Answer | Late) -> None:
            with self._changed:
                del self._threads[key]
                self._held[owner] -= 1
                heard.append((key, answer))
                self._changed.notify_all()

        def run() -> None:
            try:
                end(question.ask())
            except Exception as error:  # noqa: BLE001 (of whatever kind, it is this question's own)
                end(Late(type(error).__name__))

        self._threads[key] = (owner, time.monotonic() + self.seconds)
        self._held[owner] += 1
        try:
            Thread(target=run, daemon=True, name=f"asks {key}").start()
        except RuntimeError as error:  # there are no more
            end(Late(type(error).__name__))
        return True
