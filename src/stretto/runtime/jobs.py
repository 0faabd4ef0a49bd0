"""Work beside the tick: recognising, synthesising.

On the wall clock a thread does it. On the virtual clock it is done at once and its result withheld until the delay that
was drawn for its parts has passed: the same agent code, the same order of things, and a result that reproduces.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from stretto.core.clock import Clock
from stretto.runtime import cores
from stretto.runtime.delays import Delays


class ThreadJob:
    """A job of a thread; an error in the work is raised by `result`."""

    def __init__(self, future: "Future[Any]") -> None:
        self._future = future

    def result(self) -> Any:
        """The work's result, or None until it is done."""
        return self._future.result() if self._future.done() else None


class ThreadJobs:
    """Jobs for the wall clock: one worker thread, so that parts do not crowd each other out on two cores.

    `aside`: on other cores than the agent's (runtime/cores.py).
    """

    def __init__(self, workers: int = 1, aside: bool = False) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="jobs", initializer=cores.aside if aside else None)

    def submit(self, parts: str | Sequence[str], work: Callable[..., Any], *args: Any) -> ThreadJob:
        """Start `work(*args)`; `parts` says what it is made of."""
        del parts
        return ThreadJob(self._pool.submit(work, *args))

    def close(self) -> None:
        """Drop what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class DrawnJob:
    """A job that was done at once and is shown from `ready` on."""

    clock: Clock
    ready: float
    value: Any

    def result(self) -> Any:
        """The result once its delay has passed."""
        return self.value if self.clock.now() >= self.ready else None


class DrawnJobs:
    """Jobs for the virtual clock. One worker: a job begins when the one before it is done."""

    def __init__(self, clock: Clock, delays: Delays) -> None:
        self._clock, self._delays, self._free = clock, delays, 0.0

    def submit(self, parts: str | Sequence[str], work: Callable[..., Any], *args: Any) -> DrawnJob:
        """Do `work(*args)` now, show its result after the delay drawn for `parts`."""
        self._free = max(self._free, self._clock.now()) + self._delays.draw(parts)
        return DrawnJob(self._clock, self._free, work(*args))

    def close(self) -> None:
        """Nothing is running."""
