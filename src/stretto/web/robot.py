"""The server's end of the session process: start it, tell it things, hear from it; halt the arm without its help.

The latch lies in memory shared by server, session and world, and the executor reads it before every control period. So
`halt` works while the agent computes, while the session process hangs, and before any message has been read.
"""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from stretto.core.clock import WallClock
from stretto.runtime.process import make_latch
from stretto.sessions.live import Live
from stretto.web import host
from stretto.web.post import Post

MACHINE = WallClock(epoch=0.0)
"""The machine's own time, which all its processes share."""


class Robot:
    """One robot with one session process. `hear(verb, content)` is called from a thread of its own."""

    def __init__(self, hear: Callable[[str, Any], None]) -> None:
        self._hear = hear
        self._latch = make_latch()
        self._post: Post | None = None
        self._process: Any = None
        self._pipe: Connection | None = None
        self._closed = False

    def start(self, live: Live) -> None:
        """Run a session; one that runs is ended first. A process that has died is replaced."""
        if self._pipe is None:
            self._spawn()
        self.tell("start", live)

    def tell(self, verb: str, *args: Any, loses: bool = False) -> None:
        """Send an order to the session process; nothing happens when there is none."""
        post = self._post
        if post is not None:
            post.send((verb, *args), loses=loses)

    def halt(self, by: str) -> None:
        """Halt the arm within its control period, and keep it halted until `release`."""
        self._latch.value = 1
        self.tell("halt", by, MACHINE.now())

    def release(self) -> None:
        """Let the latch go. The arm stays halted until the agent moves it."""
        self.tell("release")

    @property
    def latched(self) -> bool:
        """The stop button is down."""
        return bool(self._latch.value)

    @property
    def pid(self) -> int | None:
        """Process number of the session process."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the session process; the arm is halted first."""
        self._closed = True
        self._latch.value = 1
        if self._process is None:
            return
        self.tell("quit")
        self._process.join(timeout=15)
        if self._process.is_alive():
            self._process.kill()

    def _spawn(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        pipe, child = spawn.Pipe()
        self._process = spawn.Process(target=host.main, args=(child, self._latch), name="stretto-session")
        with _interrupts_blocked():
            self._process.start()
        child.close()
        self._pipe, self._post = pipe, Post(pipe)
        threading.Thread(target=self._listen, args=(pipe, self._post), daemon=True, name="robot").start()

    def _listen(self, pipe: Connection, post: Post) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._hear(*pipe.recv())
        self._pipe = self._post = None
        post.close()
        pipe.close()
        if not self._closed:
            why = "the session process ended; its own message stands in the server's output. Reset starts another."
            self._hear("state", {"state": "fault", "message": why})


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A child that is started inside begins with Ctrl-C blocked: that is for the server."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
