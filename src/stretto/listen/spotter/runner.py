"""The spotter at work, without torch: frames of 32 ms in, and out at once whenever a word of its list was said.

Each frame goes through voice activity and the network; a word counts when its probability reaches the threshold, a
voice was there within the last half second, and no word was counted just before. The words and the threshold stand in
the file of weights. `stretto train spotter` makes another one, for other words too. Everything it carries is in the
caller's hands; samples may come in any number, and stepping in pieces equals one call on everything.

Needs: onnxruntime, listen/vad.py. Does not know what a halt is.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.protocols import Spotted
from stretto.listen.spotter.features import FRAME, FeatureState, step
from stretto.listen.vad import FRAME_S, Silero, VadState

WEIGHTS = Path(__file__).with_name("weights.onnx")
VOICE_MEMORY = 16
"""Frames after a voice within which a word may count."""
REST = 16
"""Frames after a word in which no other counts."""


@dataclass(frozen=True, kw_only=True)
class SpotterState:
    """What goes on from frame to frame: samples that fill no frame yet, features, network, voice activity, counters."""

    rest: Float32[np.ndarray, " rest"] = field(default_factory=lambda: np.zeros(0, np.float32))
    features: FeatureState = field(default_factory=FeatureState)
    network: tuple[np.ndarray, ...] = ()
    vad: VadState = field(default_factory=VadState)
    frames: int = 0
    voiced: int = -VOICE_MEMORY
    counted: int = -REST


class Spotter(Configurable):
    """Words of a short list, as soon as they have been said."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`weights`: a file of `stretto train spotter` (default: the one of the package). `threshold`: the probability
        from which a word counts, 0 for the file's own. `voice`: the least speech probability, 0 for no voice activity.
        """

        weights: str = ""
        threshold: float = 0.0
        voice: float = 0.15

    def __init__(self, config: Config) -> None:
        self.config = config
        self._session, self._told = _load(config.weights or str(WEIGHTS))
        self.words = tuple(self._told["words"].split(","))
        self.threshold = config.threshold or float(self._told["threshold"])
        self._silero = Silero.Config().build() if config.voice else None
        self._shapes = [each.shape for each in self._session.get_inputs()[1:]]

    def start(self) -> SpotterState:
        """The state before any sound."""
        return SpotterState(network=tuple(np.zeros(shape, np.float32) for shape in self._shapes))

    def step(
        self, samples: Float32[np.ndarray, " samples"], state: SpotterState
    ) -> tuple[tuple[Spotted, ...], SpotterState]:
        """The words that `samples` (16 kHz, any number) completed, and the next state.

        A word's time is the end of the frame in which it counted, in seconds from the first sample of all.
        """
        heard = np.concatenate([state.rest, samples])
        count = len(heard) // FRAME
        if not count:
            return (), _with_rest(state, heard)
        whole = heard[: count * FRAME]
        values, features = step(whole, state.features)
        probabilities, network = self._run(values, state.network)
        vad, voices = state.vad, np.ones(count, np.float32)
        if self._silero is not None:
            voices, vad = self._silero.step(whole, vad)
        found, voiced, counted = self._count(probabilities, voices, state)
        after = SpotterState(
            rest=heard[count * FRAME :].copy(),
            features=features,
            network=network,
            vad=vad,
            frames=state.frames + count,
            voiced=voiced,
            counted=counted,
        )
        return found, after

    def probabilities(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames words"]:
        """The probability of each word at the end of each whole frame, from a fresh state, without voice activity."""
        values, _ = step(samples[: len(samples) // FRAME * FRAME], FeatureState())
        return self._run(values, self.start().network)[0]

    def _run(self, values: np.ndarray, network: tuple[np.ndarray, ...]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        feed = {"features": values[None]} | {f"past{index}": past for index, past in enumerate(network)}
        out, *after = self._session.run(None, feed)
        return out[:, 0], tuple(after)

    def _count(
        self, probabilities: np.ndarray, voices: np.ndarray, state: SpotterState
    ) -> tuple[tuple[Spotted, ...], int, int]:
        """The words that count, the last frame with a voice, the last frame with a word."""
        found, voiced, counted = [], state.voiced, state.counted
        for index, (row, voice) in enumerate(zip(probabilities, voices, strict=True)):
            frame = state.frames + index
            voiced = frame if voice >= self.config.voice else voiced
            best = int(row.argmax())
            if row[best] < self.threshold or frame - voiced >= VOICE_MEMORY or frame - counted < REST:
                continue
            counted = frame
            found.append(Spotted(word=self.words[best], t=(frame + 1) * FRAME_S, probability=float(row[best])))
        return tuple(found), voiced, counted


def _with_rest(state: SpotterState, rest: np.ndarray) -> SpotterState:
    return SpotterState(
        rest=rest,
        features=state.features,
        network=state.network,
        vad=state.vad,
        frames=state.frames,
        voiced=state.voiced,
        counted=state.counted,
    )


@functools.lru_cache(maxsize=4)
def _load(weights: str) -> tuple[Any, dict[str, str]]:
    """The network on one thread and what its file says. Raises StrettoError when it is no spotter."""
    if not Path(weights).is_file():
        raise StrettoError(f"There is no spotter at '{weights}'. Make one with `stretto train spotter`.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own for every kind of broken file
        raise StrettoError(f"'{weights}' is not a spotter that can be read: {error}") from error
    told = dict(session.get_modelmeta().custom_metadata_map)
    if not {"words", "threshold"} <= set(told):
        raise StrettoError(f"'{weights}' is not a spotter: it names no words. Make one with `stretto train spotter`.")
    return session, told
