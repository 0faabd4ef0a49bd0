"""Which frames of speech are settled: those that the ear saw together with what followed them.

    frames = Settled.of(WhisperEncoder.Config(behind_s=0.2, grain_s=0.04), grains=5)
    frames.span(0.0, 0.1)          (10, 5): of the frames of a session the tenth to the fourteenth

Needs: nothing. Does not know sounds.
"""

import math
from dataclasses import dataclass

from stretto.core.signals import HEARING_RATE
from stretto.listen.encoders.whisper import FRAME, WhisperEncoder

FRAME_S = FRAME / HEARING_RATE


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Which sound is read where: `each` frames of 20 ms from a state, the first `settled` of the `states` of a tick,
    whose sound is `behind` frames older than the tick's."""

    each: int
    states: int
    settled: int
    behind: int

    @classmethod
    def of(cls, ear: WhisperEncoder.Config, grains: int = 1) -> "Settled":
        """Those of an ear whose embeddings have so many states each."""
        states = ear.embeddings_per_tick * grains
        settled = states * ear.tick_frames // ear.given_frames
        behind = ear.given_frames - ear.tick_frames
        return cls(each=ear.tick_frames // settled, states=states, settled=settled, behind=behind)

    def span(self, start: float, end: float) -> tuple[int, int]:
        """First frame, and how many, of what sounds from `start` to `end` seconds."""
        first, last = math.floor(start / FRAME_S), math.ceil(round(end / FRAME_S, 6))
        return first + self.behind, last - first
