"""Uniform bins: every number of a chunk becomes one of a few hundred levels of its dimension's range.

The plainest action tokens (Brohan et al., "RT-1", 2022; Kim et al., "OpenVLA", 2024), and the baseline of all others: K
actions of A numbers are K · A ids, action by action. Levels stand on both ends and, when their number is odd, in the
middle of the range [q01, q99], so a gripper's ±1 and the zero of a symmetric dimension come back exactly. Values beyond
the range become its ends.

Needs: numpy. Does not know time: neighbouring actions share nothing, so smooth chunks cost as many ids as wild ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from stretto.act.tokenizers import saved
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError


class Bins(Configurable):
    """One id per number; ids are levels 0 … bins - 1, and a place in the chunk says which dimension is meant."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`bins` levels; `quantile` is cut off on either side of a dimension's range."""

        bins: int = 255
        quantile: float = 0.01

        @classmethod
        def tiny(cls) -> "Bins.Config":
            """15 levels."""
            return cls(bins=15)

    def __init__(self, config: Config, fitted: saved.Fitted | None = None):
        if config.bins < 2:
            raise StrettoError(f"Expected at least 2 bins, got {config.bins}.")
        self.config = config
        self.fitted = fitted

    @property
    def size(self) -> int:
        """How many ids there are."""
        return self.config.bins

    @property
    def error_bound(self) -> Float[np.ndarray, " actions"]:
        """The largest error of decode(encode(chunk)) inside the range, per dimension in robot units."""
        return saved.require(self.fitted).normaliser.half / (self.config.bins - 1)

    def fit(self, chunks: Float[np.ndarray, "chunks horizon actions"]) -> "Bins":
        """A new tokenizer with the ranges of `chunks`. Raises StrettoError for no chunks or NaN."""
        return Bins(self.config, saved.Fitted.to(chunks, self.config.quantile))

    def encode(self, chunk: Float[np.ndarray, "horizon actions"]) -> list[int]:
        """K · A ids. Raises StrettoError before `fit`, for another shape, and for NaN."""
        unit = (saved.require(self.fitted).normalised(chunk).clip(-1, 1) + 1) / 2
        return np.rint(unit * (self.config.bins - 1)).astype(int).ravel().tolist()

    def decode(self, ids: Sequence[int], strict: bool = True) -> Float[np.ndarray, "horizon actions"]:
        """The chunk of `ids`, float32. Raises StrettoError for unknown ids, and for another number than K · A of them.

        Without `strict` too many ids are cut, and missing numbers are the middle of their range.
        """
        fitted = saved.require(self.fitted)
        levels = np.asarray(ids, dtype=np.int64)
        if levels.size and not 0 <= levels.min() <= levels.max() < self.config.bins:
            raise StrettoError(f"Expected ids from 0 to {self.config.bins - 1}, got {list(ids)}.")
        if strict and len(levels) != fitted.numbers:
            raise StrettoError(
                f"Expected {fitted.numbers} ids ({fitted.horizon} actions of {fitted.actions} numbers), got "
                f"{len(ids)}. decode(ids, strict=False) cuts or fills up."
            )
        normalised = np.zeros(fitted.numbers)
        kept = levels[: fitted.numbers]
        normalised[: len(kept)] = kept / (self.config.bins - 1) * 2 - 1
        return fitted.restored(normalised.reshape(fitted.horizon, fitted.actions))

    def save(self, path: str | Path) -> None:
        """Write configuration and ranges as one JSON file. Raises StrettoError before `fit`."""
        saved.write(path, "bins", self.config, saved.require(self.fitted), {})

    @classmethod
    def load(cls, path: str | Path) -> "Bins":
        """The tokenizer that was saved. Raises StrettoError for anything else."""
        config, fitted, _ = saved.read(path, "bins", cls.Config)
        return cls(config, fitted)
