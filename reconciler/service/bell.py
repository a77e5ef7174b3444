"""What wakes who takes from the queue, and what stops it."""

import contextlib
import queue
import signal
import time
from types import FrameType

TOGETHER_SECONDS = 0.002
"""What rings within so long is one ring."""


class Bell:
    """Wakes the loop, from any thread and from signal handlers: a SimpleQueue is reentrant, an Event is not."""

    def __init__(self) -> None:
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.stopped = False

    def ring(self) -> None:
        self._rung.put(None)

    def stop(self) -> None:
        self.stopped = True
        self.ring()

    def wait(self, seconds: float) -> None:
        """Return when the bell rings, or after so long; what has rung until then is one ring."""
        with contextlib.suppress(queue.Empty):
            self._rung.get(timeout=max(seconds, 0.0))
            time.sleep(TOGETHER_SECONDS)
            while True:
                self._rung.get_nowait()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and Ctrl-C; a second one ends the process at once."""

        def handler(number: int, _frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handler)
