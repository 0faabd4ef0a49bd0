"""The spotter at work, without torch: steps of 40 ms in, and out at once whenever a word of its list was said.

Each step goes through the network, and each 32 ms through voice activity; a word counts when its probability reaches
the threshold, a voice was there within the last half second, and no word was counted just before. The words and the
threshold stand in the file of weights. `stretto train spotter` makes another one, for other words too. Everything it
carries is in the caller's hands; samples may come in any number, and stepping in pieces equals one call on everything.

Needs: onnxruntime, listen/vad.py. Does not know what a halt is.
"""

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.protocols import Spotted
from stretto.listen.spotter.features import BANDS, BEFORE, FRAME, KEPT, PER_STEP, SILENCE, STEP_S, step
from stretto.listen.vad import FRAME_S, Silero, VadState
from stretto.nn.onnx import onnx_session

WEIGHTS = Path(__file__).with_name("weights.onnx")
VOICE_MEMORY_S = 0.5
"""How long after a voice a word may count."""
REST = 12
"""Steps after a word in which no other counts."""


@dataclass(frozen=True, kw_only=True)
class SpotterState:
    """What goes on from step to step: samples that fill no step yet, those that the next one looks back on, network,
    voice activity; steps and frames of voice activity so far, the time of the last voice, the step of the last word.
    """

    rest: Float32[np.ndarray, " rest"] = field(default_factory=lambda: np.zeros(0, np.float32))
    kept: Float32[np.ndarray, " kept"] = field(default_factory=lambda: np.zeros(KEPT, np.float32))
    network: tuple[np.ndarray, ...] = ()
    vad: VadState = field(default_factory=VadState)
    steps: int = 0
    frames: int = 0
    voiced: float = -1.0
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
        blank = tuple(np.zeros(each.shape, np.float32) for each in self._session.get_inputs()[1:])
        _, self._begin = self._run(np.full((BEFORE * PER_STEP, BANDS), SILENCE, np.float32), blank)

    def start(self) -> SpotterState:
        """The state before any sound: silence."""
        return SpotterState(network=self._begin)

    def step(
        self, samples: Float32[np.ndarray, " samples"], state: SpotterState
    ) -> tuple[tuple[Spotted, ...], SpotterState]:
        """The words that `samples` (16 kHz, any number) completed, and the next state.

        A word's time is the end of the step in which it counted, in seconds from the first sample of all.
        """
        heard = np.concatenate([state.rest, samples])
        count = len(heard) // FRAME
        if not count:
            return (), replace(state, rest=heard)
        whole = heard[: count * FRAME]
        values, kept = step(whole, state.kept)
        probabilities, network = self._run(values, state.network)
        vad, voices = state.vad, np.zeros(0, np.float32)
        if self._silero is not None:
            voices, vad = self._silero.step(whole, vad)
        found, voiced, counted = self._count(probabilities, voices, state)
        after = SpotterState(
            rest=heard[count * FRAME :].copy(),
            kept=kept,
            network=network,
            vad=vad,
            steps=state.steps + count,
            frames=state.frames + len(voices),
            voiced=voiced,
            counted=counted,
        )
        return found, after

    def probabilities(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "steps words"]:
        """The probability of each word at the end of each whole step, from a fresh state, without voice activity."""
        state = self.start()
        values, _ = step(samples[: len(samples) // FRAME * FRAME], state.kept)
        return self._run(values, state.network)[0]

    def _run(self, values: np.ndarray, network: tuple[np.ndarray, ...]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        feed = {"features": values[None]} | {f"past{index}": past for index, past in enumerate(network)}
        out, *after = self._session.run(None, feed)
        return out[:, 0], tuple(after)

    def _count(
        self, probabilities: np.ndarray, voices: np.ndarray, state: SpotterState
    ) -> tuple[tuple[Spotted, ...], float, int]:
        """The words that count, the time of the last voice, the last step with a word."""
        found, voiced, counted = [], state.voiced, state.counted
        times = (state.frames + 1 + np.flatnonzero(voices >= self.config.voice)) * FRAME_S
        for index, row in enumerate(probabilities):
            number = state.steps + index
            end = (number + 1) * STEP_S
            voiced = max(voiced, times[times <= end + 1e-9].max(initial=-1.0))
            best = int(row.argmax())
            silent = self._silero is not None and end - voiced >= VOICE_MEMORY_S
            if row[best] < self.threshold or silent or number - counted < REST:
                continue
            counted = number
            found.append(Spotted(word=self.words[best], t=end, probability=float(row[best])))
        return tuple(found), voiced, counted


@functools.lru_cache(maxsize=4)
def _load(weights: str) -> tuple[Any, dict[str, str]]:
    """The network on one thread and what its file says. Raises StrettoError when it is no spotter."""
    if not Path(weights).is_file():
        raise StrettoError(f"There is no spotter at '{weights}'. Make one with `stretto train spotter`.")
    try:
        session = onnx_session(weights)
    except Exception as error:  # onnxruntime raises classes of its own for every kind of broken file
        raise StrettoError(f"'{weights}' is not a spotter that can be read: {error}") from error
    told = dict(session.get_modelmeta().custom_metadata_map)
    if not {"words", "threshold"} <= set(told):
        raise StrettoError(f"'{weights}' is not a spotter: it names no words. Make one with `stretto train spotter`.")
    return session, told
