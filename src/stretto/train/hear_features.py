"""What the ear makes of sessions, once and for all: shards of levels and labels (data/hearing_shards.py).

The ear is frozen, so its features are computed once, many windows of a session at a time: what stepping through it
gives. Shard k holds sessions 64 k to 64 k + 63 and follows from the corpora and the settings alone, so making can be
cut at any moment, goes on where it stood, and may run in several processes.

Needs: a corpus with its speech, the ear's weights, a tokenizer. Training needs none of them (train/hear_batches.py).
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stretto.core.begun import same_settings
from stretto.core.clock import Stopwatch
from stretto.core.rng import derive
from stretto.data.corpus import Corpus
from stretto.data.hearing import Heard, Sessions
from stretto.data.hearing_shards import Label, Scale, Shard
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.think.text import Text, load_text
from stretto.train.device import choose
from stretto.train.workers import done

SESSIONS = 64
"""Sessions of a shard."""

CALIBRATED = 8
"""Sessions on which the scale of each channel is measured."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a process must know to make a shard. `corpora`: (folder, name). `language` "": a number for each word
    below `size`; `close`: the number of the token that ends a turn. `delay`: ticks from the tick of a word's end to
    the one from which it is due.
    """

    corpora: tuple[tuple[str, str], ...]
    sessions: Sessions.Config
    ear: WhisperEncoder.Config
    language: str
    size: int
    close: int
    delay: int
    bits: int
    folder: Path


def make_shards(job: Job, sessions: Sessions, workers: int, say: Callable[[str], None]) -> list[Path]:
    """The shards of all sessions, those that are there left as they are. Raises StrettoError for a folder of others."""
    job.folder.mkdir(parents=True, exist_ok=True)
    told = {**facts(job), "sessions": len(sessions)}
    same_settings(job.folder / "shards.json", told, f"The folder of shards '{job.folder}'")
    if not (job.folder / "scale.npz").exists():
        _calibrate(job, sessions)
    files = [job.folder / f"{number:04}.npz" for number in range(-(-len(sessions) // SESSIONS))]
    left = [number for number, file in enumerate(files) if not file.exists()]
    watch = Stopwatch()
    for count, _ in enumerate(done(_shard, [(job, number) for number in left], workers), start=1):
        hours = min(len(sessions), SESSIONS * count) * job.sessions.seconds / 3_600
        rest = watch.seconds() / count * (len(left) - count) / 60
        say(f"heard {count} of {len(left)} shards, {hours:.2f} h; {rest:.0f} min left")
    return files


def _shard(what: tuple[Job, int]) -> Path:
    """One shard, in a worker, which keeps its maker."""
    job, number = what
    return _maker(job).shard(number)


@functools.lru_cache(maxsize=1)
def _maker(job: Job) -> "Maker":
    return Maker(job)


class Maker:
    """One process's ear, tokenizer and corpora."""

    def __init__(self, job: Job, sessions: Sessions | None = None) -> None:
        torch.set_num_threads(1)
        self.job = job
        self.sessions = sessions or job.sessions.build([Corpus(Path(root), name) for root, name in job.corpora])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.ear: WhisperEncoder = job.ear.build()
        self.text: Text | None = load_text(job.language) if job.language else None
        self.device = choose()

    def shard(self, number: int) -> Path:
        """Make shard `number`."""
        scale = Scale.load(self.job.folder / "scale.npz")
        numbers = range(number * SESSIONS, min((number + 1) * SESSIONS, len(self.sessions)))
        heard = [self.sessions.session(each) for each in numbers]
        shard = Shard(
            codes=np.stack([scale.pack(self.features(one)) for one in heard]),
            scale=scale,
            labels=[self.labels(one) for one in heard],
            words=[[(word.text, round(word.start, 3), round(word.end, 3)) for word in one.words] for one in heard],
            facts=facts(self.job),
        )
        return shard.save(self.job.folder / f"{number:04}.npz")

    @torch.no_grad()
    def features(self, heard: Heard) -> np.ndarray:
        """(ticks, embeddings, width) of a session."""
        with self.device.products():
            return self.ear.windows(heard.samples, batch=25).float().numpy()

    def labels(self, heard: Heard) -> list[Label]:
        """The session's tokens and the ticks from which they are due."""
        tick = self.job.ear.tick_s
        return [
            (int(when / tick) + self.job.delay, token)
            for what, when in heard.pieces
            for token in (self.encode(what) if what else [self.job.close])
        ]

    def encode(self, what: str) -> list[int]:
        """The tokens of a piece of text; without a tokenizer a number for each."""
        if self.text is not None:
            return self.text.heard(what)
        return [5 + derive(0, what.strip().lower()) % (self.job.size - 5)]


def facts(job: Job) -> dict[str, Any]:
    """What a folder of shards was made of: plain data."""
    clear = {"clear": job.sessions.clear} if job.sessions.clear else {}
    return clear | {
        "corpora": [name for _, name in job.corpora],
        "ear": asdict(job.ear),
        "language": job.language,
        "close": job.close,
        "delay": job.delay,
        "bits": job.bits,
        "seconds": job.sessions.seconds,
        "passes": job.sessions.passes,
        "seed": job.sessions.seed,
    }


def _calibrate(job: Job, sessions: Sessions) -> None:
    maker = Maker(job, sessions)
    spoken = [number for number, items in enumerate(sessions.packed) if items][:CALIBRATED]
    features = np.concatenate([maker.features(sessions.session(number)) for number in spoken])
    Scale.of(features, job.bits).save(job.folder / "scale.npz")
