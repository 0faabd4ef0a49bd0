"""FAST: a chunk's cosine coefficients, rounded and merged by byte-pair encoding: few tokens for smooth motion.

A chunk is normalised by quantiles; every dimension goes through an orthonormal cosine transform over time; coefficients
are scaled and rounded, so most high frequencies become 0; they are laid out low frequencies first, across dimensions;
byte-pair encoding, learned from the data, merges what recurs (Pertsch et al., "FAST: Efficient Action Tokenization for
Vision-Language-Action Models", 2025). With rounding by at most 1/2, no number of the decoded chunk is off by more than
√K / (2 · scale) normalised units; larger `scale`, finer motion, more tokens.

The alphabet of merging is one character per integer from -reach to reach, where reach covers 99.9 % of the fitted
coefficients. Larger integers are spelled as a sum: ±reach says "and more follows", 9 with reach 4 is +4 +4 +1. So every
chunk has ids, and they decode to exactly its coefficients, however rare the chunk.

Needs: scipy, tokenizers. Does not know: partial chunks; a model that writes ids which do not make K · A coefficients is
told so, or is cut and filled up by `decode(ids, strict=False)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import dct, idct
from tokenizers import Tokenizer, models, trainers

from stretto.act.tokenizers import saved
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError

FIRST = 0xF0000
"""The character of the integer -reach. A plane of private characters: no letter, no space, 65 534 in a row."""

FARTHEST = 64
"""A coefficient of more than this many times reach is no motion of this robot."""


@dataclass(frozen=True, kw_only=True)
class Merges:
    """The learned spelling: integers from -`reach` to `reach` are characters, which `bpe` merges."""

    reach: int
    bpe: Tokenizer


class Fast(Configurable):
    """Cosine transform, rounding, byte-pair encoding."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`scale`: levels per normalised unit of a coefficient; `vocabulary`: at most so many ids.

        `quantile` is cut off on either side of a dimension's range. ELLSA's fitted tokenizer has scale 50.
        """

        scale: float = 10.0
        vocabulary: int = 1024
        quantile: float = 0.01

        @classmethod
        def tiny(cls) -> "Fast.Config":
            """256 ids."""
            return cls(vocabulary=256)

    def __init__(self, config: Config, fitted: saved.Fitted | None = None, merges: Merges | None = None):
        if config.scale <= 0:
            raise StrettoError(f"Expected a scale above 0, got {config.scale}.")
        self.config = config
        self.fitted = fitted
        self.merges = merges

    @property
    def size(self) -> int:
        """How many ids there are: the vocabulary, or fewer when the data has nothing more to merge."""
        return self._ready()[1].bpe.get_vocab_size()

    @property
    def error_bound(self) -> Float[np.ndarray, " actions"]:
        """The largest error of decode(encode(chunk)), per dimension in robot units."""
        fitted = saved.require(self.fitted)
        return fitted.normaliser.half * (fitted.horizon**0.5 / 2 / self.config.scale)

    def fit(self, chunks: Float[np.ndarray, "chunks horizon actions"]) -> "Fast":
        """A new tokenizer with ranges and merges of `chunks`; the same chunks in the same order give the same one.

        Raises StrettoError for no chunks, NaN, or a vocabulary too small for the coefficients.
        """
        fitted = saved.Fitted.to(chunks, self.config.quantile)
        integers = self._integers(fitted.normaliser.normalise(chunks.astype(np.float64)))
        reach = int(np.quantile(np.abs(integers), 0.999)) + 1
        if 2 * reach + 1 > self.config.vocabulary:
            raise StrettoError(
                f"Coefficients from {-reach} to {reach} need a vocabulary of at least {2 * reach + 1}, got "
                f"{self.config.vocabulary}. Choose a larger vocabulary or a smaller scale than {self.config.scale:g}."
            )
        bpe = Tokenizer(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=self.config.vocabulary,
            initial_alphabet=[chr(FIRST + i) for i in range(2 * reach + 1)],
            show_progress=False,
        )
        bpe.train_from_iterator((_spell(chunk, reach) for chunk in integers.reshape(len(chunks), -1).tolist()), trainer)
        return Fast(self.config, fitted, Merges(reach=reach, bpe=bpe))

    def encode(self, chunk: Float[np.ndarray, "horizon actions"]) -> list[int]:
        """The chunk's ids. Raises StrettoError before `fit`, for another shape, NaN, and values far out of range."""
        fitted, merges = self._ready()
        integers = self._integers(fitted.normalised(chunk))
        if np.abs(integers).max() > FARTHEST * merges.reach:
            raise StrettoError(
                f"The chunk lies far outside what this tokenizer was fitted to: its values go from {chunk.min():g} to "
                f"{chunk.max():g}. Expected robot units, as in fit."
            )
        return merges.bpe.encode(_spell(integers.ravel().tolist(), merges.reach)).ids

    def decode(self, ids: Sequence[int], strict: bool = True) -> Float[np.ndarray, "horizon actions"]:
        """The chunk of `ids`, float32. Raises StrettoError for unknown ids, and for ids that do not make K · A numbers.

        Without `strict` too many coefficients are cut and missing ones (the higher frequencies) are 0.
        """
        fitted, merges = self._ready()
        if not all(0 <= i < self.size for i in ids):
            raise StrettoError(f"Expected ids from 0 to {self.size - 1}, got {list(ids)}.")
        integers, open_sum = _read("".join(merges.bpe.id_to_token(int(i)) or "" for i in ids), merges.reach)
        if strict and (open_sum or len(integers) != fitted.numbers):
            raise StrettoError(
                f"Expected ids of {fitted.numbers} coefficients ({fitted.horizon} actions of {fitted.actions} numbers),"
                f" got {len(integers)}{' and one that does not end' if open_sum else ''}. decode(ids, strict=False) "
                "cuts or fills up."
            )
        kept = np.zeros(fitted.numbers)
        kept[: len(integers)] = integers[: fitted.numbers]
        coefficients = kept.reshape(fitted.horizon, fitted.actions) / self.config.scale
        return fitted.restored(idct(coefficients, axis=0, norm="ortho"))

    def save(self, path: str | Path) -> None:
        """Write configuration, ranges and merges as one JSON file. Raises StrettoError before `fit`."""
        fitted, merges = self._ready()
        saved.write(path, "fast", self.config, fitted, {"reach": merges.reach, "bpe": merges.bpe.to_str()})

    @classmethod
    def load(cls, path: str | Path) -> "Fast":
        """The tokenizer that was saved. Raises StrettoError for anything else."""
        config, fitted, more = saved.read(path, "fast", cls.Config)
        return cls(config, fitted, Merges(reach=more["reach"], bpe=Tokenizer.from_str(more["bpe"])))

    def _integers(self, normalised: Float[np.ndarray, "*chunks horizon actions"]) -> Int[np.ndarray, "..."]:
        """Scaled and rounded cosine coefficients over time, of one chunk or many."""
        return np.rint(dct(normalised, axis=-2, norm="ortho") * self.config.scale).astype(np.int64)

    def _ready(self) -> tuple[saved.Fitted, Merges]:
        fitted = saved.require(self.fitted)
        assert self.merges is not None
        return fitted, self.merges


def _spell(integers: Sequence[int], reach: int) -> str:
    """Integers as characters; with reach 4: 3 → "+3", 4 → "+4 0", -9 → "-4 -4 -1"."""
    letters = []
    for integer in integers:
        left = integer
        while abs(left) >= reach:
            step = reach if left > 0 else -reach
            letters.append(step)
            left -= step
        letters.append(left)
    return "".join(chr(FIRST + reach + letter) for letter in letters)


def _read(text: str, reach: int) -> tuple[list[int], bool]:
    """The integers that `_spell` spelled, and whether a sum is left that does not end (it is not among them)."""
    integers, total, letter = [], 0, 0
    for character in text:
        letter = ord(character) - FIRST - reach
        total += letter
        if abs(letter) < reach:
            integers.append(total)
            total = 0
    return integers, abs(letter) == reach
