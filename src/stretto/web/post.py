"""Sends over a pipe from a thread of its own, so that a reader who does not read never holds the sender up.

What waits is bounded: beyond `most` the oldest that may be lost is dropped (pictures, sound), and what may not be lost
is kept. The pipe's other end reads plain `recv`.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Post:
    """One direction of a pipe. `make` may turn an item into what is sent, in the thread (encoding of pictures)."""

    def __init__(self, pipe: Connection, most: int = 256, make: Callable[[Any], Any] = lambda item: item) -> None:
        self._pipe, self._most, self._make = pipe, most, make
        self._waiting: deque[tuple[Any, bool]] = deque()
        self._change = threading.Condition()
        self._open = True
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, daemon=True, name="post")
        self._thread.start()

    def send(self, item: Any, loses: bool = False) -> None:
        """Send `item` soon; `loses`: it may be dropped when too much waits."""
        with self._change:
            if len(self._waiting) >= self._most:
                self._drop()
            self._waiting.append((item, loses))
            self._change.notify()

    def _drop(self) -> None:
        for place, (_, loses) in enumerate(self._waiting):
            if loses:
                del self._waiting[place]
                self.dropped += 1
                return

    def close(self) -> None:
        """Send what waits, if somebody reads."""
        with self._change:
            self._open = False
            self._change.notify()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        with contextlib.suppress(BrokenPipeError, OSError):
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._waiting or not self._open)
                    if not self._waiting:
                        return
                    item, _ = self._waiting.popleft()
                self._pipe.send(self._make(item))
