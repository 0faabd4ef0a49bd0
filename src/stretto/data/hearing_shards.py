"""Shards: what the ear made of sessions, in a byte or half a byte a number, with the tokens that should be heard.

A shard is one `.npz` file that needs numpy and nothing else, so training runs where there is neither sound nor an
ear: 14 MB an hour in 8 bits, 7 in 4. Every channel of the ear has one scale for all shards of a folder, measured on its
first sessions; the rounding of 4 bits is a noise of a tenth of a channel's own spread.

    codes (sessions, ticks, embeddings, width) uint8 (4 bits: half the width, low half first)    scale, shift (width,)
    ids, due, session (n,): tokens, the tick from which each is due, and their session
    words: JSON, per session [[word, start, end], ...]; facts: JSON

Needs: numpy. Does not know which tokenizer made the ids (facts say).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from stretto.core.errors import StrettoError

SPAN = {8: 8.0, 4: 2.7}
"""How many standard deviations to either side the levels reach, by bits."""

Label = tuple[int, int]
"""The tick from which a token is due, and its number."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How numbers of a channel become levels: round((x - shift) / scale), half of all levels to either side."""

    scale: Float32[np.ndarray, " width"]
    shift: Float32[np.ndarray, " width"]
    bits: int

    @classmethod
    def of(cls, features: Float32[np.ndarray, "*rows width"], bits: int) -> "Scale":
        """Measured on some features. Raises StrettoError for a number of bits that is not 4 or 8."""
        if bits not in SPAN:
            raise StrettoError(f"Expected 4 or 8 bits a number, got {bits}.")
        flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
        spread = np.maximum(flat.std(0), 1e-6)
        return cls(
            scale=(2 * SPAN[bits] * spread / (2**bits - 1)).astype(np.float32),
            shift=flat.mean(0).astype(np.float32),
            bits=bits,
        )

    @property
    def spread(self) -> Float32[np.ndarray, " width"]:
        """The standard deviation of each channel."""
        return self.scale * np.float32((2**self.bits - 1) / (2 * SPAN[self.bits]))

    def pack(self, features: Float32[np.ndarray, "*rows width"]) -> UInt8[np.ndarray, "*rows packed"]:
        """Features as levels."""
        half = 2 ** (self.bits - 1)
        levels = np.clip(np.round((features - self.shift) / self.scale) + half, 0, 2 * half - 1).astype(np.uint8)
        return levels if self.bits == 8 else _paired(levels)

    def unpack(self, codes: UInt8[np.ndarray, "*rows packed"]) -> Float32[np.ndarray, "*rows width"]:
        """Levels as features."""
        levels = codes if self.bits == 8 else np.concatenate([codes & 15, codes >> 4], axis=-1)
        return (levels.astype(np.float32) - 2 ** (self.bits - 1)) * self.scale + self.shift

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        _save(path, scale=self.scale, shift=self.shift, bits=np.array(self.bits))

    @classmethod
    def load(cls, path: Path) -> "Scale":
        """What `save` wrote."""
        found = _load(path)
        return cls(scale=found["scale"], shift=found["shift"], bits=int(found["bits"]))


def _paired(levels: np.ndarray) -> np.ndarray:
    low, high = np.split(levels, 2, axis=-1)
    return low | (high << 4)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Some sessions: levels, and per session its labels and its words [word, start, end]."""

    codes: UInt8[np.ndarray, "sessions ticks embeddings packed"]
    scale: Scale
    labels: Sequence[Sequence[Label]]
    words: Sequence[Sequence[Any]]
    facts: Mapping[str, Any]

    def save(self, path: Path) -> Path:
        """Write it, whole or not at all. Raises StrettoError when the disk refuses."""
        flat = [(number, due, token) for number, some in enumerate(self.labels) for due, token in some]
        table = np.array(flat, np.int32).reshape(-1, 3)
        _save(
            path,
            codes=self.codes,
            scale=self.scale.scale,
            shift=self.scale.shift,
            bits=np.array(self.scale.bits),
            session=table[:, 0],
            due=table[:, 1],
            ids=table[:, 2],
            words=np.array(json.dumps([[list(word) for word in some] for some in self.words])),
            facts=np.array(json.dumps(dict(self.facts))),
        )
        return path

    @classmethod
    def load(cls, path: Path) -> "Shard":
        """A shard from disk. Raises StrettoError when it is none."""
        found = _load(path)
        try:
            scale = Scale(scale=found["scale"], shift=found["shift"], bits=int(found["bits"]))
            labels: list[list[Label]] = [[] for _ in found["codes"]]
            for number, due, token in zip(found["session"], found["due"], found["ids"], strict=True):
                labels[number].append((int(due), int(token)))
            words, facts = (json.loads(str(found[name])) for name in ("words", "facts"))
        except (KeyError, ValueError, IndexError) as error:
            raise StrettoError(
                f"'{path}' is no shard of heard sessions ({error}). Delete it to have it again."
            ) from error
        return cls(codes=found["codes"], scale=scale, labels=labels, words=words, facts=facts)


def _save(path: Path, **arrays: np.ndarray) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"Cannot write '{path}': {error.strerror}. Is the disk full?") from error


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise StrettoError(f"'{path}' cannot be read ({error}). Delete it, it is made anew.") from error
