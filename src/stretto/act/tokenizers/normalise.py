"""Quantile normalisation: the 1 % and 99 % quantiles of every action dimension go to -1 and 1.

Mean and spread are ruled by rest and by rare jerks; quantiles are not. A value beyond them is kept and lies beyond ±1.
Two corners matter to robots. A dimension whose quantiles coincide although it moves (a gripper that is opened in one
step of two hundred) is scaled by its smallest and largest value instead. A dimension that never moves keeps its unit:
its constant becomes 0, and 0 becomes its constant.

Source: π0-FAST (Pertsch et al., "FAST", 2025) and ELLSA normalise so. Needs: numpy. The tokenizers save it with them;
an action head is trained on its output.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stretto.core.errors import StrettoError

STILL = 1e-6
"""A dimension counts as constant when it moves by less than this, in its own unit or relative to its value."""


@dataclass(frozen=True, kw_only=True)
class QuantileNormaliser:
    """`low` and `high` of every dimension, in the robot's units, are -1 and 1; equal where a dimension is constant."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(cls, values: Float[np.ndarray, "*steps actions"], quantile: float = 0.01) -> "QuantileNormaliser":
        """The normaliser of `values`; `quantile` is cut off on either side.

        Raises StrettoError for no values, values that are not finite, or a quantile outside [0, 0.5).
        """
        if not 0 <= quantile < 0.5:
            raise StrettoError(f"Expected a quantile from 0 to below 0.5, got {quantile}.")
        flat = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
        if flat.size == 0 or not np.isfinite(flat).all():
            raise StrettoError(f"Expected finite actions to fit to, got shape {values.shape} with NaN, inf or nothing.")
        low, high = np.quantile(flat, (quantile, 1 - quantile), axis=0)
        least, most = flat.min(0), flat.max(0)
        still = STILL * np.maximum(1, np.abs(least + most) / 2)
        low, high = np.where(high - low > still, (low, high), (least, most))
        middle = (low + high) / 2
        low, high = np.where(high - low > still, (low, high), (middle, middle))
        return cls(low=tuple(low.tolist()), high=tuple(high.tolist()))

    @property
    def middle(self) -> Float[np.ndarray, " actions"]:
        """What becomes 0."""
        return (np.array(self.low) + np.array(self.high)) / 2

    @property
    def half(self) -> Float[np.ndarray, " actions"]:
        """The robot's units in one normalised unit; 1 where a dimension is constant."""
        half = (np.array(self.high) - np.array(self.low)) / 2
        return np.where(half > 0, half, 1.0)

    def normalise(self, values: Float[np.ndarray, "*steps actions"]) -> Float[np.ndarray, "*steps actions"]:
        """Robot units to normalised units, in the same dtype. Raises StrettoError for another number of dimensions."""
        return ((self._checked(values) - self.middle) / self.half).astype(values.dtype)

    def denormalise(self, values: Float[np.ndarray, "*steps actions"]) -> Float[np.ndarray, "*steps actions"]:
        """Normalised units to robot units, in the same dtype. Raises StrettoError for another number of dimensions."""
        return (self._checked(values) * self.half + self.middle).astype(values.dtype)

    def _checked(self, values: np.ndarray) -> np.ndarray:
        if values.shape[-1] != len(self.low):
            raise StrettoError(f"Expected actions of {len(self.low)} numbers, got shape {values.shape}.")
        return values.astype(np.float64)
