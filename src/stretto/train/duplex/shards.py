"""Sessions made by many processes: composed ones, scenes and spoken ones, a file each (session.py).

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
from stretto.data.speech_cache import SpeechCache
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.sessions.composer.compose import Composed, Composer
from stretto.train.acting.contexts import encode
from stretto.train.duplex.bed import bedded
from stretto.train.duplex.scenes import Scenes
from stretto.train.duplex.session import Session
from stretto.train.duplex.spoken import Spoken
from stretto.train.workers import done


@torch.no_grad()
def packed(composed: Composed, ear: WhisperEncoder) -> Session:
    """A composition as it is trained on, some with a bed of noise."""
    samples = bedded(composed.microphone.samples, composed.seed)
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

    `driver`: the checkpoint of an agent that drives; "" is the teacher. `kind`: one of MAKERS.
    """

    folder: Path
    voices: Path
    split: str
    count: int
    first: int = 0
    driver: str = ""
    kind: str = "composed"
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
    if _kept.get("made_by") != (job.split, job.driver, job.kind):
        torch.set_num_threads(1)
        close()
        _kept.update(made_by=(job.split, job.driver, job.kind), maker=MAKERS[job.kind](job))
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


def _spoken(job: Job) -> Spoken:
    spoken: Spoken = Spoken.Config(split=job.split).build(SpeechCache(job.voices), job.ear.build().eval())
    return spoken


def _scenes(job: Job) -> Scenes:
    scenes: Scenes = Scenes.Config(split=job.split, width=job.ear.features).build()
    return scenes


MAKERS: dict[str, Callable[[Job], Any]] = {"composed": _Played, "scenes": _scenes, "spoken": _spoken}
"""What makes sessions: the composer, scenes without sound (scenes.py), sound without a world (spoken.py)."""


def close() -> None:
    """End the world of this process, if it has one."""
    if "maker" in _kept:
        _kept.pop("maker").close()
    _kept.clear()
