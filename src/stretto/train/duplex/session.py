"""A session to train on, and its file: what the ear makes of the sound, pictures, and what was said."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32

from stretto.core.errors import StrettoError
from stretto.core.signals import Word
from stretto.sessions.composer.compose import Line
from stretto.train.acting.contexts import decode


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

    @classmethod
    def unseen(
        cls, features: np.ndarray, lines: Sequence[Line], tick_s: float, terms: tuple[str, ...], seed: int
    ) -> "Session":
        """A session in which there is nothing to see and nothing is played."""
        return cls(
            features=features,
            playback=np.zeros((len(features), 3), np.float32),
            pictured=(),
            jpegs=(),
            proprio=np.zeros((0, 19), np.float32),
            lines=tuple(lines),
            finished=(),
            tick_s=tick_s,
            terms=terms,
            seed=seed,
        )

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
