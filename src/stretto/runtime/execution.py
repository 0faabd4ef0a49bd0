"""How time-stamped action chunks become one action a control period.

`Latest` plays the newest chunk that covers the moment. Where a new chunk takes over from one that still had actions,
the two are cross-faded for `blend_s`, so the command does not jump at the seam. What is past is never played late. When
nothing covers the moment the arm stands still: the zero command (six deltas zero, the gripper as last commanded).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.signals import ActionChunk

EPSILON = 1e-9


def at(chunk: ActionChunk | None, t: float) -> Float[np.ndarray, " actions"] | None:
    """The chunk's value for session time `t`, or None outside of it."""
    if chunk is None:
        return None
    index = int(np.floor((t - chunk.start) * chunk.rate + 1e-6))
    return chunk.values[index] if 0 <= index < len(chunk.values) else None


class Latest(Configurable):
    """The newest chunk wins; seams are blended; a chunk that has run out halts the arm."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`blend_s`: length of the cross-fade where a chunk replaces one that still had actions."""

        actions: int = 7
        blend_s: float = 0.2

    def __init__(self, config: Config) -> None:
        self.config = config
        self._old: ActionChunk | None = None
        self._new: ActionChunk | None = None
        self._seam = 0.0
        self._gripper = 0.0

    def accept(self, chunk: ActionChunk, t: float) -> None:
        """Take a chunk that arrived at `t`. One that is already over is dropped.

        Raises StrettoError when a value is not finite or the width is wrong; the arm then plays on what it had.
        """
        if chunk.values.shape[1] != self.config.actions or not np.isfinite(chunk.values).all():
            raise StrettoError(
                f"Expected a chunk of {self.config.actions} finite numbers a step, got shape {chunk.values.shape}"
                f"{'' if np.isfinite(chunk.values).all() else ' with NaN or infinity'}. It was not played."
            )
        if chunk.end <= t + EPSILON:
            return
        self._old, self._new, self._seam = self._new, chunk, max(t, chunk.start)

    def action(self, t: float) -> Float[np.ndarray, " actions"]:
        """The command for the control period that starts at `t`."""
        old, new = at(self._old, t), at(self._new, t)
        if new is None or t < self._seam - EPSILON:
            command = new if old is None else old
        elif old is None or self.config.blend_s <= 0:
            command = new
        else:
            weight = min(1.0, (t - self._seam) / self.config.blend_s)
            command = weight * new + (1 - weight) * old
            command[6:] = new[6:]
        return self._finish(command)

    def _finish(self, command: np.ndarray | None) -> np.ndarray:
        if command is None:
            command = np.zeros(self.config.actions)
            command[6:] = self._gripper
        elif len(command) > 6:
            self._gripper = float(command[6])
        return np.array(command, dtype=np.float64)

    def halt(self) -> None:
        """Void every action not yet applied."""
        self._old = self._new = None
