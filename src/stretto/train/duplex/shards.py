"""Sessions made by many processes: what the ear makes of composed ones, and scenes, a file each (session.py).

A file follows from (split, seed) alone, is written whole or not at all, and is about a megabyte; many processes may
make them at once, and a run may end at any moment. Training then needs neither a simulator nor a voice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stretto.agents.duplex import Duplex
from stretto.core.clock import Stopwatch
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE
from stretto.core.sound import level_dbfs
from stretto.data import rooms
from stretto.data.hearing import BEDS
from stretto.data.speech_cache import SpeechCache
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.sessions.composer.compose import Composed, Composer
from stretto.train.acting.contexts import encode
from stretto.train.duplex.scenes import Scenes
from stretto.train.duplex.session import Session
from stretto.train.workers import done

BEDDED = 0.2
"""Share of sessions with a noise from end to end."""


@torch.no_grad()
def packed(composed: Composed, ear: WhisperEncoder) -> Session:
    """A composition as it is trained on, some with a bed of noise."""
    samples = composed.microphone.samples
    rng = generator(composed.seed, "bed")
    if rng.random() < BEDDED:
        bed = rooms.bed(BEDS[int(rng.integers(len(BEDS)))], len(samples), HEARING_RATE, int(rng.integers(2**31)))
        bed = bed * 10 ** ((rng.uniform(-65, -40) - level_dbfs(bed.astype(np.float32))) / 20)
        samples = np.clip(samples + bed, -1, 1).astype(np.float32)
    pictured = [tick for tick, seen in enumerate(composed.seen) if seen.pictures is not None]
    shown = [composed.seen[tick] for tick in pictured]
    return Session(
        features=ear.windows(samples, batch=25).numpy().astype(np.float16),
        playback=np.stack([seen.playback for seen in composed.seen]),
        pictured=tuple(pictured),
        jpegs=tuple(encode(view) for seen in shown if seen.pictures is not None for view in seen.pictures),
        proprio=np.stack([seen.proprio for seen in shown if seen.proprio is not None]),
        lines=tuple(composed.lines),
        finished=tuple(composed.finished),
        tick_s=composed.tick_s,
        terms=composed.plot.terms,
        seed=composed.seed,
    )


@dataclass(frozen=True, kw_only=True)
class Job:
    """Sessions `first` to `first + count` of a split, into a folder; `voices`: the folder of spoken sentences.

    `driver`: the checkpoint of an agent that drives; "" is the teacher. `still`: scenes and words without sound
    (scenes.py) instead of composed sessions.
    """

    folder: Path
    voices: Path
    split: str
    count: int
    first: int = 0
    driver: str = ""
    still: bool = False
    ear: WhisperEncoder.Config = field(default_factory=WhisperEncoder.Config)

    def path(self, number: int) -> Path:
        """The file of a session."""
        return self.folder / f"{number:06d}.npz"


def make_sessions(job: Job, workers: int, say: Callable[[str], None], minutes: float | None = None) -> list[Path]:
    """The files of all sessions; those that are missing are made, as many as there are minutes for."""
    numbers = range(job.first, job.first + job.count)
    left = [number for number in numbers if not job.path(number).exists()]
    watch = Stopwatch()
    jobs = [replace(job, first=number, count=1) for number in left]
    made = done(make, jobs, workers, lambda: not minutes or watch.seconds() < 60 * minutes)
    try:
        for count, number in enumerate(made, 1):
            rest = watch.seconds() / count * (len(left) - count) / 60
            if count % 10 == 0 or count == len(left):
                say(f"{job.folder.name} session {number}: {count} of {len(left)}, {rest:.0f} min left")
    finally:
        close()
    return [path for number in numbers if (path := job.path(number)).exists()]


_kept: dict[str, Any] = {}
"""What this process keeps from session to session."""


def make(job: Job) -> int:
    """Make the first file of a job; its number."""
    if _kept.get("made_by") != (job.split, job.driver, job.still):
        torch.set_num_threads(1)
        close()
        _kept.update(made_by=(job.split, job.driver, job.still), maker=_maker(job))
    _kept["maker"].session(job.first).save(job.path(job.first))
    return job.first


class _Played:
    """Composed sessions, played by the teacher or driven."""

    def __init__(self, job: Job) -> None:
        self.composer = Composer.Config(split=job.split).build(SpeechCache(job.voices))
        self.driver = Duplex.Config(weights=job.driver).build() if job.driver else None
        self.ear = job.ear.build().eval()

    def session(self, seed: int) -> Session:
        """The session of a seed."""
        return packed(self.composer.play(seed, self.driver), self.ear)

    def close(self) -> None:
        """End the world."""
        self.composer.close()


def _maker(job: Job) -> Any:
    return Scenes.Config(split=job.split, width=job.ear.features).build() if job.still else _Played(job)


def close() -> None:
    """End the world of this process, if it has one."""
    if "maker" in _kept:
        _kept.pop("maker").close()
    _kept.clear()
