"""Card "record": 50 kills at random moments of a recording, and how many episodes a minute it makes.

Each kill trial starts `stretto record` (LIBERO-Goal, two processes, images at 5 Hz) in a process group of its own,
kills the whole group at a moment drawn from the seed, and opens the folder again: every episode that the recording had
said was finished must be there and read back whole. The rate counts from the first finished episode to the last.
"""

import os
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


def _start(root: Path, episodes: int, first: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "stretto.cli.main", "record", "--task", "libero_goal", "--out", str(root)]
    command += ["--episodes", str(episodes), "--first", str(first), "--workers", "2"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=env)


def _kill(index: int, root: Path) -> list[dict[str, Any]]:
    """Kill after the recording has begun, at a moment drawn uniformly from about four episodes' time."""
    moment = float(generator(index, "kill").uniform(0.0, 12.0))
    recording = _start(root, episodes=1000, first=1000 * index)
    assert recording.stdout is not None
    os.set_blocking(recording.stdout.fileno(), False)
    said, begun, start = "", None, time.monotonic()
    while begun is None or time.monotonic() < begun + moment:
        said += recording.stdout.read() or ""
        if begun is None and (root / "meta").exists():
            begun = time.monotonic()
        if recording.poll() is not None or time.monotonic() > start + FIRST_LINE_S:
            raise StrettoError(f"The recording ended before it was killed: {said[-400:]}")
        time.sleep(0.01)
    os.killpg(recording.pid, signal.SIGKILL)
    recording.wait()
    said += recording.stdout.read() or ""
    recording.stdout.close()
    told = sum(" left" in line and line[:1].isdigit() for line in said.splitlines())
    opens, there = _opened(root)
    shared = {"unit": index, "seed": index, "arm": "kill", "told": told, "there": there, "after_s": round(moment, 3)}
    return [
        {**shared, "row": "finished_lost", "value": max(0, told - there)},
        {**shared, "row": "opens", "value": opens},
    ]


def _opened(root: Path) -> tuple[bool, int]:
    """Whether the folder opens and all its episodes read back whole, and how many there are."""
    try:
        reader = LeRobotReader(root)
        whole = [episode for episode in reader.episodes() if len(episode.steps) and all(episode.images.values())]
    except (StrettoError, OSError):
        return False, 0
    return len(whole) == len(reader), len(whole)


def _rate(index: int, root: Path) -> list[dict[str, Any]]:
    recording = _start(root, episodes=RATE_EPISODES, first=100_000 + 1000 * index)
    assert recording.stdout is not None
    times = [time.monotonic() for line in recording.stdout if " left" in line and line[:1].isdigit()]
    if recording.wait() or len(times) < RATE_EPISODES:
        raise StrettoError(f"The recording made {len(times)} of {RATE_EPISODES} episodes.")
    recording.stdout.close()
    rate = 60 * (len(times) - 1) / (times[-1] - times[0])
    return [{"row": "episodes_per_minute", "arm": "record", "unit": index, "seed": index, "value": round(rate, 2)}]
