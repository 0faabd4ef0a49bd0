"""Many episodes at once: worker processes record and write, the parent tells how long it will take.

Each worker keeps one world and one writer. What a folder already holds is known by (task, seed, split), so a second
call goes on where the first one ended.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from stretto.core import registry
from stretto.core.clock import Stopwatch
from stretto.core.errors import StrettoError
from stretto.data.lerobot import LeRobotReader, LeRobotWriter
from stretto.runtime.process import die_with_parent
from stretto.sessions.recording import Recording

Job = tuple[int, int, str]
"""Task number, seed, split."""


def record_all(
    config: Recording.Config, root: Path, jobs: Sequence[Job], workers: int, say: Callable[[str], None]
) -> tuple[int, int]:
    """Record what is missing of `jobs` into `root`. Returns (made now, there in all).

    Raises StrettoError when a worker cannot go on (a full disk, say); finished episodes stay.
    """
    done = finished(root)
    goals = suite_goals(config)
    left = [job for job in jobs if (goals[job[0]], job[1], job[2]) not in done]
    say(f"{len(jobs)} episodes, {len(jobs) - len(left)} of them there; about {_minutes(len(left) * 4.0 / workers)}")
    if not left:
        return 0, len(done)
    watch, made, succeeded = Stopwatch(), 0, 0
    pool = ProcessPoolExecutor(
        min(workers, len(left)), multiprocessing.get_context("spawn"), initializer=_open, initargs=(config, root)
    )
    try:
        for future in as_completed([pool.submit(_make, job) for job in left]):
            seed, success = future.result()
            succeeded += success
            made += 1
            rest = watch.seconds() / made * (len(left) - made)
            say(f"{made} of {len(left)} episodes, {_minutes(rest)} left (seed {seed} finished)")
    except BrokenProcessPool as error:
        raise StrettoError(
            f"A recording process died after {made} episodes (its own message stands above, if it had time for one). "
            "What was finished is kept; the same command goes on."
        ) from error
    except StrettoError as error:
        raise StrettoError(f"Recording stopped after {made} episodes, which are kept: {error}") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    say(f"{succeeded} of {made} reached their goal; the others are kept too, their `success` says so")
    return made, len(LeRobotReader(root))


def finished(root: Path) -> set[tuple[str, int, str]]:
    """(task sentence, seed, split) of the episodes a folder holds."""
    if not (root / "meta").exists():
        return set()
    reader = LeRobotReader(root)
    rows = [reader.row(index) for index in range(len(reader))]
    return {(str(row["tasks"][0]), int(row["stretto/seed"]), str(row["stretto/split"])) for row in rows}


def suite_goals(config: Recording.Config) -> tuple[str, ...]:
    """The sentences of the suite's tasks."""
    return tuple(registry.build("env", config.env, suite=config.suite).tasks)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


_worker: tuple[Recording, LeRobotWriter]


def _open(config: Recording.Config, root: Path) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _worker = config.build(), LeRobotWriter(root)


def _make(job: Job) -> tuple[int, bool]:
    recording, writer = _worker
    episode = recording.record(*job)
    writer.write(episode)
    return job[1], bool(episode.steps.success.any())
