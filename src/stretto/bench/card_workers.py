"""Processes that run trials: each opens its state once, takes one trial at a time, and may die without harm.

Every worker has a pipe of its own, so a worker that is killed in the middle of a message spoils nobody else's. A trial
that raises is reported under its key; a worker that dies takes its trial with it and is replaced. Workers are spawned,
never forked: graphics and model libraries do not survive a fork.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from stretto.core.errors import StrettoError

CONTEXT = multiprocessing.get_context("spawn")
PATIENCE_S = 10.0
"""How long a worker that was told to end may take before it is killed."""
LOOK_S = 2.0
"""How often the workers' time is looked at."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one trial: `rows` as the benchmark returned them, or `failure`, one line, and `trace`.

    `ended`: its process died, or was ended because it took too long.
    """

    key: str
    rows: Any = None
    failure: str = ""
    trace: str = ""
    ended: bool = False


class Worker:
    """One process, and the key of the trial it has in hand."""

    def __init__(self, benchmark: Any) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.key: str | None = None
        self._begin()
        self.opened = False
        self.process = CONTEXT.Process(target=_work, args=(theirs, benchmark))
        self.process.start()
        theirs.close()

    def give(self, trial: Any) -> None:
        """Hands the next trial out; a worker that is dead already is noticed by its end of the pipe."""
        self.key = trial.key
        self._begin()
        try:
            self.pipe.send(trial)
        except OSError:
            return

    def take(self) -> Outcome | None:
        """The outcome that waits in the pipe; None when the worker only says that it is open.

        Raises StrettoError when the benchmark could not be opened.
        """
        try:
            kind, value, trace = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(PATIENCE_S)
            if not self.opened:
                raise StrettoError(
                    f"A worker ended while it was starting (exit code {self.process.exitcode})."
                ) from None
            failure = f"its worker process ended (exit code {self.process.exitcode}) and was replaced"
            return Outcome(key=self.key or "", failure=failure, ended=True)
        if kind == "open failed":
            raise StrettoError(f"The benchmark could not be opened: {value}\n{trace}")
        self.opened = True
        if kind == "open":
            self._begin()
            return None
        key, self.key = self.key or "", None
        return Outcome(key=key, failure=value, trace=trace) if kind == "failed" else Outcome(key=key, rows=value)

    def _begin(self) -> None:
        self.spent, self.looked = 0.0, time.perf_counter()

    def look(self) -> float:
        """Seconds that the trial in hand has taken. A time in which nobody looked (the machine slept) counts little."""
        now = time.perf_counter()
        self.spent += min(now - self.looked, 3 * LOOK_S)
        self.looked = now
        return self.spent

    def stop(self, at_once: bool = False) -> None:
        """Ends the process: after its trial, or `at_once`."""
        self.pipe.close()
        if at_once:
            self.process.terminate()
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def outcomes(benchmark: Any, trials: Sequence[Any], workers: int) -> Generator[Outcome, None, None]:
    """Runs `trials` in `workers` processes and yields each outcome as it comes, in no fixed order.

    Raises StrettoError when the benchmark cannot be opened. Closing the iterator, or Ctrl-C, ends all workers.
    """
    todo, done = deque(trials), 0
    with _threads_each(workers):
        crew = [Worker(benchmark) for _ in range(min(workers, len(trials)))]
    finished = False
    try:
        for worker in crew:
            worker.give(todo.popleft())
        while done < len(trials):
            for place, overdue in _overdue(crew, benchmark):
                done += 1
                yield overdue
                crew[place] = _next(crew[place], benchmark, todo, workers)
            for pipe in wait([worker.pipe for worker in crew if worker.key is not None], LOOK_S):
                place = next(i for i, worker in enumerate(crew) if worker.pipe is pipe)
                outcome = crew[place].take()
                if outcome is None:
                    continue
                done += 1
                yield outcome
                crew[place] = _next(crew[place], benchmark, todo, workers)
        finished = True
    finally:
        for worker in crew:
            worker.stop(at_once=not finished)


def _overdue(crew: list[Worker], benchmark: Any) -> Iterator[tuple[int, Outcome]]:
    """Ends the workers whose trial has taken longer than the benchmark's patience."""
    patience = getattr(benchmark, "patience_s", None)
    for place, worker in enumerate(crew):
        if patience is None or worker.key is None or not worker.opened:
            continue
        if worker.look() > patience:
            worker.process.kill()
            failure = f"it took longer than {patience:g} s, and its worker process was ended and replaced"
            yield place, Outcome(key=worker.key, failure=failure, ended=True)


def _next(worker: Worker, benchmark: Any, todo: deque[Any], workers: int) -> Worker:
    """The worker that goes on in this place, with its next trial if there is one."""
    if worker.key is not None:
        worker.key = None
        worker.stop()
        if not todo:
            return worker
        with _threads_each(workers):
            worker = Worker(benchmark)
    if todo:
        worker.give(todo.popleft())
    return worker


def _work(pipe: Connection, benchmark: Any) -> None:
    """The life of a worker: open, one trial after the other, close."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    try:
        state = benchmark.open()
    except Exception as error:  # the edge of a worker: whatever a benchmark raises is reported, never swallowed
        pipe.send(("open failed", _line(error), traceback.format_exc()))
        return
    try:
        pipe.send(("open", None, ""))
        while True:
            trial = pipe.recv()
            try:
                message = ("rows", benchmark.run(trial, state), "")
            except Exception as error:  # one bad trial must not take the card with it; reported with its key
                message = ("failed", _line(error), traceback.format_exc())
            pipe.send(message)
    except (EOFError, OSError):
        return
    finally:
        benchmark.close(state)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip()


@contextmanager
def _threads_each(workers: int) -> Iterator[None]:
    """With several workers, each one's number libraries start with one thread: more only get in each other's way."""
    if workers < 2 or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
