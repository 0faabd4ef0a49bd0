"""Card "record": 50 kills at random moments of a recording, and how many episodes a minute it makes.

Each kill trial starts `stretto record` (LIBERO-Goal, two processes, images at 5 Hz) in a process group of its own,
kills the whole group, or every third time the parent alone, at a moment drawn from the seed, and opens the folder
again: every episode that the recording had said was finished must be there and read back whole. The rate counts from
the first finished episode to the last.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stretto.bench.card import Trial
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.data.lerobot import LeRobotReader

KILLS, RATES = 50, 3
RATE_EPISODES = 24
FIRST_LINE_S = 120.0
"""A recording that has not begun after this long has failed."""


class Record:
    """50 kills and three rates; one at a time, because each uses both cores."""

    name = "record"
    clock = None
    parallel = False
    seconds_per_trial = 18.0

    def trials(self, n: int | None) -> list[Trial]:
        """`n` kills (default 50), then the rates."""
        kills = [Trial(f"kill{i}", {"kill": i}) for i in range(n or KILLS)]
        return kills + [Trial(f"rate{i}", {"rate": i}) for i in range(RATES)]

    def open(self) -> Path:
        """A folder for the recordings."""
        return Path(tempfile.mkdtemp(prefix="stretto-record-"))

    def run(self, trial: Trial, state: Path) -> list[dict[str, Any]]:
        """One kill, or one rate."""
        root = state / trial.key
        try:
            return _kill(trial.params["kill"], root) if "kill" in trial.params else _rate(trial.params["rate"], root)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def close(self, state: Path) -> None:
        """Remove the folder."""
        shutil.rmtree(state, ignore_errors=True)


def _start(root: Path, episodes: int, first: int) -> tuple["subprocess.Popen[bytes]", Path]:
    """A recording in a process group of its own, and the file that takes what it says."""
    command = [sys.executable, "-m", "stretto.cli.main", "record", "--task", "libero_goal", "--out", str(root)]
    command += ["--episodes", str(episodes), "--first", str(first), "--workers", "2"]
    said = root.with_suffix(".txt")
    with said.open("wb") as out:
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, env=env), said


def _finished(said: Path) -> list[int]:
    """The seeds of the episodes that the recording has said were finished."""
    return [int(seed) for seed in re.findall(r"\(seed (\d+) finished\)", said.read_text())]


def _kill(index: int, root: Path) -> list[dict[str, Any]]:
    """Kill at a moment drawn uniformly from about four episodes' time. Every third kill takes the parent alone."""
    moment, whole = float(generator(index, "kill").uniform(0.0, 12.0)), index % 3 != 2
    recording, said = _start(root, episodes=1000, first=1000 * index)
    begun, start = None, time.monotonic()
    while begun is None or time.monotonic() < begun + moment:
        if begun is None and (root / "meta").exists():
            begun = time.monotonic()
        if recording.poll() is not None or time.monotonic() > start + FIRST_LINE_S:
            raise StrettoError(f"The recording ended before it was killed: {said.read_text()[-400:]}")
        time.sleep(0.01)
    os.killpg(recording.pid, signal.SIGKILL) if whole else os.kill(recording.pid, signal.SIGKILL)
    recording.wait()
    time.sleep(0.0 if whole else 1.0)
    told = _finished(said)
    opens, there = _opened(root)
    shared = {"unit": index, "seed": index, "arm": "kill", "after_s": round(moment, 3), "group": whole}
    shared |= {"told": len(told), "there": len(there)}
    return [
        {**shared, "row": "finished_lost", "value": len(set(told) - set(there))},
        {**shared, "row": "opens", "value": opens},
    ]


def _opened(root: Path) -> tuple[bool, list[int]]:
    """Whether the folder opens and all its episodes read back whole, and the seeds of those that do."""
    whole: list[int] = []
    try:
        reader = LeRobotReader(root)
        for index in range(len(reader)):
            episode = reader.read(index)
            if len(episode.steps) and len(episode.images) == 2 and all(episode.images.values()):
                whole.append(episode.seed)
    except Exception:  # whatever a reader stumbles over, the folder did not open
        return False, whole
    return len(whole) == len(reader), whole


def _rate(index: int, root: Path) -> list[dict[str, Any]]:
    recording, said = _start(root, episodes=RATE_EPISODES, first=100_000 + 1000 * index)
    times: list[float] = []
    while recording.poll() is None:
        times += [time.monotonic()] * (len(_finished(said)) - len(times))
        time.sleep(0.05)
    if recording.returncode or len(times) < RATE_EPISODES:
        raise StrettoError(f"The recording made {len(times)} of {RATE_EPISODES}: {said.read_text()[-400:]}")
    rate = 60 * (len(times) - 1) / (times[-1] - times[0])
    return [{"row": "episodes_per_minute", "arm": "record", "unit": index, "seed": index, "value": round(rate, 2)}]
