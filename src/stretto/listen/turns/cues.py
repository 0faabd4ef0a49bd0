"""What every turn-taking strategy gets and gives: new sound with its speech probabilities; what became of the turn.

Needs: numpy. A strategy is `decide(cues, state) -> turn, state` and `start() -> state`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.core.signals import Sound


@dataclass(frozen=True, kw_only=True)
class Cues:
    """New samples (16 kHz), the probabilities of the frames they completed, and the session time of their end."""

    t: float
    samples: Float32[np.ndarray, " samples"]
    probabilities: Float32[np.ndarray, " frames"]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A finished utterance: its sound with pre-roll, and the session times of its first and last voiced frame."""

    sound: Sound
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What the new sound decided: whether the user speaks now, when they started, which utterances are finished."""

    speaking: bool
    started: tuple[float, ...] = ()
    ended: tuple[Heard, ...] = ()
