"""Jobs in worker processes: as many at once as there are workers, none begun when time is over, each told when done.

With one worker everything happens in this process. A process that waits dies with its parent, and Ctrl-C is the
parent's to handle. Job and work cross a process border, so both must be picklable (module-level functions).
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from stretto.core.errors import StrettoError
from stretto.runtime.process import die_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


def done(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int, more: Callable[[], bool] = lambda: True
) -> Iterator[Result]:
    """What `work` returns of each job, in the order in which they end; no job is begun when `more()` is false.

    Raises StrettoError when a process dies: what was finished before was told before.
    """
    if workers < 2:
        for job in jobs:
            if not more():
                return
            yield work(job)
        return
    todo, made = iter(jobs), 0
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        running = {pool.submit(work, job) for job in islice(todo, workers)}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                yield _result(future.result, made)
                made += 1
            if more():
                running |= {pool.submit(work, job) for job in islice(todo, len(ready))}


def _result(result: Callable[[], Result], made: int) -> Result:
    try:
        return result()
    except BrokenProcessPool as error:
        raise StrettoError(
            f"A worker process ended after {made} jobs of this run, which are kept. The same command goes on."
        ) from error


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
