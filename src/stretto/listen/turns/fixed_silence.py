"""End of turn by fixed silence: the user has finished when nothing was voiced for a while.

A turn opens when enough frames are voiced, and closes after `silence_s` without a voiced frame; after an utterance
shorter than `short_speech_s` already after `short_silence_s`, because "stop" must not wait. A frame is voiced above
`threshold`, and stays so above `release` while the one before was. The utterance's sound begins `pre_roll_s` before
its first voiced frame, since voice activity sets in late on soft consonants.

Source: common practice (WebRTC, pipecat). Needs: speech probabilities per frame (listen/vad.py). Does not know words:
a long hesitation ends the turn.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE, Sound
from stretto.listen.turns.cues import Cues, Heard, Turn
from stretto.listen.vad import FRAME, FRAME_S


@dataclass(frozen=True, kw_only=True)
class SilenceState:
    """Kept sound and counters. Frames are numbered from the first sample heard.

    `kept` begins at sample `offset`; `frames` were judged; the (possible) utterance began with frame `first`, its last
    voiced frame is `last`, `voiced` of its frames were voiced; `open` once that was enough to call it a turn.
    """

    kept: Float32[np.ndarray, " kept"] = field(default_factory=lambda: np.zeros(0, np.float32))
    offset: int = 0
    frames: int = 0
    first: int | None = None
    last: int = -1
    voiced: int = 0
    open: bool = False


class FixedSilence(Configurable):
    """Turns by voice activity and a fixed silence."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Times in seconds; `threshold` and `release` are speech probabilities; `longest_s` ends a turn in any case."""

        silence_s: float = 0.5
        short_silence_s: float = 0.32
        short_speech_s: float = 1.0
        threshold: float = 0.5
        release: float = 0.3
        min_speech_s: float = 0.096
        pre_roll_s: float = 0.3
        longest_s: float = 30.0

    def __init__(self, config: Config):
        if not 0 < config.release <= config.threshold < 1:
            raise StrettoError(
                f"Expected 0 < release <= threshold < 1, got release {config.release}, threshold {config.threshold}."
            )
        if min(config.silence_s, config.short_silence_s, config.min_speech_s) < FRAME_S:
            raise StrettoError(f"Expected silences and min_speech_s of at least one frame ({FRAME_S} s).")
        self.config = config

    def start(self) -> SilenceState:
        """The state before any sound."""
        return SilenceState()

    def decide(self, cues: Cues, state: SilenceState) -> tuple[Turn, SilenceState]:
        """What the new sound means for the turn, and the next state. Several utterances may end in one call."""
        kept = np.concatenate([state.kept, cues.samples])
        walk = Walk(state, kept, cues.t - (state.offset + len(kept)) / HEARING_RATE)
        for probability in cues.probabilities:
            self._frame(float(probability), walk)
        begin = walk.frames if walk.first is None else walk.first
        drop = max(0, begin * FRAME - round(self.config.pre_roll_s * HEARING_RATE) - state.offset)
        turn = Turn(speaking=walk.open, started=tuple(walk.started), ended=tuple(walk.ended))
        return turn, SilenceState(
            kept=kept[drop:].copy(),
            offset=state.offset + drop,
            frames=walk.frames,
            first=walk.first,
            last=walk.last,
            voiced=walk.voiced,
            open=walk.open,
        )

    def so_far(self, state: SilenceState) -> Sound | None:
        """The sound of the turn that is open, from its pre-roll to now; None when nobody speaks."""
        if not state.open or state.first is None:
            return None
        begin = max(0, state.first * FRAME - round(self.config.pre_roll_s * HEARING_RATE) - state.offset)
        return Sound(samples=state.kept[begin:].copy(), rate=HEARING_RATE)

    def _frame(self, probability: float, walk: "Walk") -> None:
        """One frame: voiced or not, turn opened or closed."""
        config = self.config
        going = walk.first is not None and walk.last == walk.frames - 1
        if probability >= (config.release if going else config.threshold):
            if walk.first is None:
                walk.first, walk.voiced = walk.frames, 0
            walk.last, walk.voiced = walk.frames, walk.voiced + 1
        walk.frames += 1
        if walk.first is None:
            return
        if not walk.open and walk.voiced * FRAME_S >= config.min_speech_s - 1e-9:
            walk.open = True
            walk.started.append(walk.time(walk.first))
        if self._over(walk):
            if walk.open:
                walk.ended.append(walk.heard(config.pre_roll_s))
            walk.first, walk.open, walk.voiced = None, False, 0

    def _over(self, walk: "Walk") -> bool:
        assert walk.first is not None
        spoken = (walk.last + 1 - walk.first) * FRAME_S
        silent = (walk.frames - 1 - walk.last) * FRAME_S
        limit = self.config.short_silence_s if spoken <= self.config.short_speech_s else self.config.silence_s
        return silent >= limit - 1e-9 or (walk.frames - walk.first) * FRAME_S >= self.config.longest_s


class Walk:
    """The running values of one call of `decide`; `zero` is the session time of sample 0."""

    def __init__(self, state: SilenceState, kept: np.ndarray, zero: float):
        self.kept, self.offset, self.zero = kept, state.offset, zero
        self.frames, self.first, self.last = state.frames, state.first, state.last
        self.voiced, self.open = state.voiced, state.open
        self.started: list[float] = []
        self.ended: list[Heard] = []

    def time(self, frame: int) -> float:
        """Session time at which a frame begins."""
        return self.zero + frame * FRAME_S

    def heard(self, pre_roll_s: float) -> Heard:
        """The utterance from its pre-roll to the frame judged last."""
        assert self.first is not None
        begin = max(0, self.first * FRAME - round(pre_roll_s * HEARING_RATE) - self.offset)
        samples = self.kept[begin : self.frames * FRAME - self.offset].copy()
        sound = Sound(samples=samples, rate=HEARING_RATE)
        return Heard(sound=sound, start=self.time(self.first), end=self.time(self.last + 1))
