"""Voice activity: Silero's network on frames of 32 ms, with its state in the caller's hands.

The network takes 512 samples at 16 kHz and the 64 samples before them, and carries an LSTM state. Samples may come in
any number; what does not fill a frame waits in the state. Stepping in pieces equals one call on everything.

Source: snakers4/silero-vad, version 5 and later (MIT). Needs: the package silero-vad for its ONNX file (its Python code
is not imported, because it needs torch), onnxruntime. Does not know turns.
"""

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.packages import packaged
from stretto.core.signals import HEARING_RATE
from stretto.nn.onnx import onnx_session

FRAME = 512
"""Samples that one probability judges."""

FRAME_S = FRAME / HEARING_RATE
"""Seconds of a frame."""

_CONTEXT = 64


@dataclass(frozen=True, kw_only=True)
class VadState:
    """What the network carries from frame to frame, and the samples that do not fill a frame yet."""

    hidden: Float32[np.ndarray, "2 1 128"] = field(default_factory=lambda: np.zeros((2, 1, 128), np.float32))
    context: Float32[np.ndarray, " 64"] = field(default_factory=lambda: np.zeros(_CONTEXT, np.float32))
    rest: Float32[np.ndarray, " rest"] = field(default_factory=lambda: np.zeros(0, np.float32))


class Silero(Configurable):
    """Speech probability of each frame of 32 ms."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`threads` of onnxruntime; one is fastest for frames this small."""

        threads: int = 1

    def __init__(self, config: Config):
        self.config = config
        self._session = _load(config.threads)

    def start(self) -> VadState:
        """The state before any sound."""
        return VadState()

    def step(
        self, samples: Float32[np.ndarray, " samples"], state: VadState
    ) -> tuple[Float32[np.ndarray, " frames"], VadState]:
        """Probabilities of speech, one per frame that `samples` (16 kHz, any number) completed, and the next state."""
        heard = np.concatenate([state.rest, samples])
        hidden, context = state.hidden, state.context
        count = len(heard) // FRAME
        probabilities = np.empty(count, np.float32)
        for index in range(count):
            frame = heard[index * FRAME : (index + 1) * FRAME]
            feed = {
                "input": np.concatenate([context, frame])[None],
                "state": hidden,
                "sr": np.array(HEARING_RATE, np.int64),
            }
            out, hidden = self._session.run(None, feed)
            probabilities[index] = out[0, 0]
            context = frame[-_CONTEXT:]
        rest = heard[count * FRAME :].copy()
        return probabilities, VadState(hidden=hidden, context=context.copy(), rest=rest)


@functools.lru_cache(maxsize=2)
def _load(threads: int) -> Any:
    missing = "Silero VAD is not installed. Install it: pip install --no-deps silero-vad==6.2.3"
    file = packaged("silero_vad", "data", "silero_vad.onnx", missing=missing)
    return onnx_session(file, threads)
