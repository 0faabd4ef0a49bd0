"""Composed sessions on disk: what the ear makes of the sound, pictures, and what was said, a file each.

A file follows from (split, seed) alone, is written whole or not at all, and is about a megabyte; many processes may
make them at once, and a run may end at any moment. Training then needs neither a simulator nor a voice.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16, Float32

from stretto.agents.duplex import Duplex
from stretto.core.clock import Stopwatch
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, Word
from stretto.core.sound import level_dbfs
from stretto.data import rooms
from stretto.data.hearing import BEDS
from stretto.data.speech_cache import SpeechCache
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.sessions.composer.compose import Composed, Composer, Line
from stretto.train.acting.contexts import decode, encode
from stretto.train.workers import done

BEDDED = 0.2
"""Share of sessions with a noise from end to end."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A composed session to train on. `pictured`: ticks with pictures; `jpegs`: those, front and wrist by turns."""

    features: Float16[np.ndarray, "ticks embeddings width"]
    playback: Float32[np.ndarray, "ticks 3"]
    pictured: tuple[int, ...]
    jpegs: tuple[bytes, ...]
    proprio: Float32[np.ndarray, "pictures proprio"]
    lines: tuple[Line, ...]
    finished: tuple[float, ...]
    tick_s: float
    terms: tuple[str, ...] = ()
    seed: int = 0

    @property
    def ticks(self) -> int:
        """Its length."""
        return len(self.features)

    def pictures(self, tick: int) -> np.ndarray:
        """Front and wrist of a tick in `pictured` (2, height, width, 3)."""
        at = 2 * self.pictured.index(tick)
        return np.stack([decode(self.jpegs[at]), decode(self.jpegs[at + 1])])

    def save(self, path: Path) -> Path:
        """Write it. Raises StrettoError when the disk refuses."""
        facts = {
            "lines": [asdict(line) for line in self.lines], "finished": self.finished, "tick_s": self.tick_s,
            "terms": self.terms, "seed": self.seed, "pictured": self.pictured,
        }  # fmt: skip
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(
                    file, features=self.features, playback=self.playback, proprio=self.proprio,
                    ends=np.cumsum([0, *map(len, self.jpegs)]), jpegs=np.frombuffer(b"".join(self.jpegs), np.uint8),
                    facts=np.array(json.dumps(facts)),
                )  # fmt: skip
            return part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StrettoError(f"Cannot write '{path}': {error.strerror}. Is the disk full?") from error

    @classmethod
    def load(cls, path: Path) -> "Session":
        """A session from disk. Raises StrettoError when it is none."""
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
            facts = json.loads(str(arrays["facts"]))
            ends, jpegs = arrays["ends"], arrays["jpegs"].tobytes()
            lines = [Line(**{**line, "words": tuple(_word(word) for word in line["words"])}) for line in facts["lines"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StrettoError(
                f"'{path}' is no composed session ({error}). Delete it to have it made again."
            ) from error
        return cls(
            features=arrays["features"], playback=arrays["playback"], proprio=arrays["proprio"],
            pictured=tuple(facts["pictured"]),
            jpegs=tuple(jpegs[a:b] for a, b in zip(ends, ends[1:], strict=False)),
            lines=tuple(lines), finished=tuple(facts["finished"]), tick_s=facts["tick_s"],
            terms=tuple(facts["terms"]), seed=facts["seed"],
        )  # fmt: skip


def _word(told: Any) -> Word:
    return Word(**told) if isinstance(told, dict) else Word(*told)


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
    from stretto.train.duplex.scenes import Scenes

    return Scenes.Config(split=job.split, width=job.ear.features).build() if job.still else _Played(job)


def close() -> None:
    """End the world of this process, if it has one."""
    if "maker" in _kept:
        _kept.pop("maker").close()
    _kept.clear()
