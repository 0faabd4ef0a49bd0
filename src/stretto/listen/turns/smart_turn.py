"""End of turn by Smart-Turn v3.2: a small network listens to how the sentence sounds, not only to how long it is quiet.

When voice activity has paused for `pause_s`, the network hears the last 8 s of the turn and says how complete it is. A
complete turn ends there; an incomplete one goes on, is asked about again after each further `again_s` of silence, and
ends in any case after `silence_s`. So a hesitation inside a sentence is bridged, and a finished sentence ends sooner.

Its own time (one run a pause, tens of milliseconds) is part of the agent's step; no line of the latency card holds it.

Source: pipecat-ai/smart-turn, version 3.2 (BSD-2-Clause). Needs: pipecat-ai for its ONNX file (its Python is
not imported), onnxruntime, speech probabilities per frame (listen/vad.py). Does not know words.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.lib.stride_tricks import sliding_window_view

from stretto.core.errors import StrettoError
from stretto.core.packages import packaged
from stretto.core.signals import HEARING_RATE
from stretto.listen import slaney
from stretto.listen.turns.fixed_silence import FixedSilence, Walk
from stretto.listen.vad import FRAME, FRAME_S
from stretto.nn.onnx import onnx_session

SECONDS = 8
"""Length of sound that the network takes."""
_WINDOW, _HOP, _BANDS, _LEAST = 400, 160, 80, 1e-10
_FILE = ("audio", "turn", "smart_turn", "data", "smart-turn-v3.2-cpu.onnx")


class SmartTurn(FixedSilence):
    """Turns by voice activity and a network that judges whether the sentence is complete."""

    @dataclass(frozen=True, kw_only=True)
    class Config(FixedSilence.Config):
        """`complete`: the probability from which a turn counts as complete; `silence_s` ends an incomplete one."""

        pause_s: float = 0.2
        again_s: float = 0.4
        silence_s: float = 2.0
        complete: float = 0.5
        threads: int = 1

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._network = _load(config.threads)

    def completeness(self, samples: Float32[np.ndarray, " samples"]) -> float:
        """The probability that the turn whose sound this is (16 kHz, its end last) is complete."""
        return float(self._network.run(None, {"input_features": features(samples)[None]})[0].reshape(-1)[0])

    def _over(self, walk: Walk) -> bool:
        """Complete at a pause, or silent for too long, or too long altogether."""
        assert walk.first is not None
        silent = walk.frames - 1 - walk.last
        pause, again = (max(1, round(s / FRAME_S)) for s in (self.config.pause_s, self.config.again_s))
        if silent * FRAME_S >= self.config.silence_s - 1e-9:
            return True
        if (walk.frames - walk.first) * FRAME_S >= self.config.longest_s:
            return True
        if not walk.open:
            return silent >= pause
        if silent < pause or (silent - pause) % again:
            return False
        begin = max(0, walk.first * FRAME - round(self.config.pre_roll_s * HEARING_RATE) - walk.offset)
        return self.completeness(walk.kept[begin : walk.frames * FRAME - walk.offset]) >= self.config.complete


def features(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "80 800"]:
    """Whisper's log-mel features of the last 8 s, zeros before them where there are fewer, at unit variance."""
    count = SECONDS * HEARING_RATE
    heard = np.pad(samples[-count:], (max(0, count - len(samples)), 0)).astype(np.float32)
    heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
    padded = np.pad(heard.astype(np.float64), _WINDOW // 2, mode="reflect")
    frames = sliding_window_view(padded, _WINDOW)[::_HOP][:-1]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW + 1)[:-1])) ** 2
    scaled = np.log10(np.maximum(_LEAST, _filters().T @ power.T))
    return ((np.maximum(scaled, scaled.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Weights of the bands over the bins of the spectrum, (201, 80)."""
    return slaney.bank(_BANDS, 0.0, HEARING_RATE / 2, _WINDOW)


@functools.lru_cache(maxsize=2)
def _load(threads: int) -> Any:
    missing = "Smart-Turn is not installed. Install it: pip install --no-deps pipecat-ai==1.14.0"
    file = packaged("pipecat", *_FILE, missing=missing)
    if not file.is_file():
        raise StrettoError(f"The installed pipecat-ai lacks {file.name}. Install it: pip install pipecat-ai==1.14.0")
    return onnx_session(file, threads)
