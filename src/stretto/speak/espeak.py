"""espeak-ng: a formant synthesizer with many variants, for variety in training.

It tells no times. Words are placed by their phonemes: each phoneme gets a share of its clause by its kind (a long
vowel counts twice a consonant), and clauses are found as the stretches of sound between pauses. Errors of 50 to 100 ms
are usual, so it is no voice for measuring latencies.

Source: espeak-ng (GPL-3.0, run as a process of its own). Needs: the Debian package espeak-ng.
"""

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from stretto.core.config import Configurable
from stretto.core.errors import unknown
from stretto.core.signals import Speech, Word
from stretto.speak import align, phonemes
from stretto.speak.base import VoiceConfig, clean, finish, run_engine, tokens
from stretto.speak.wav import spoken

_WORDS_PER_MINUTE = 165
_MARKS = "ˈˌ"
_WEIGHTS = {"ː": 0.8, **dict.fromkeys("aeiouæɐɑɒɔəɚɛɜɪʊʌᵻ", 1.2)}
_FRAME_S = 0.01


class Espeak(Configurable):
    """One variant of espeak-ng's American English, 22 050 Hz. Word times are estimates."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VoiceConfig):
        """`variant` as in `espeak-ng --voices=variant`: m1 … m8, f1 … f5, klatt …; `pitch` in semitones."""

        variant: str = "m3"
        pitch: float = 0.0

    def __init__(self, config: Config):
        self.config = config

    def speak(self, text: str, seed: int = 0) -> Speech:
        """The spoken text, the same for every `seed`. Raises StrettoError when espeak-ng or the variant is missing."""
        plain = clean(text)
        if self.config.variant.lower() not in _variants():
            raise unknown("variant of espeak-ng", self.config.variant, _variants())
        pitch = min(99, max(0, round(50 + self.config.pitch * 50 / 12)))
        voice, speed = f"en-us+{self.config.variant}", str(round(_WORDS_PER_MINUTE * self.config.pace))
        command = ["espeak-ng", "-v", voice, "-s", speed, "-p", str(pitch), "--stdin", "-w"]
        _, samples, rate = spoken(lambda folder: run_engine([*command, str(folder / "out.wav")], "espeak-ng", plain))
        words = _place(plain, samples, rate)
        return finish(text, samples, rate, words, self.config.level, f"espeak-{self.config.variant}")


@functools.lru_cache(maxsize=1)
def _variants() -> frozenset[str]:
    """What is installed, in lower case. espeak-ng itself takes an unknown variant without a word."""
    lines = run_engine(["espeak-ng", "--voices=variant"], "espeak-ng").splitlines()[1:]
    return frozenset(line.split("!v/")[1].split("  ")[0].strip().lower() for line in lines if "!v/" in line)


def _place(plain: str, samples: np.ndarray, rate: int) -> list[Word]:
    """Word times by weight of phonemes inside the stretches of sound, one per clause when they can be told apart."""
    parts = [(tokens(words), ipa) for words, ipa, _ in phonemes.clauses(plain)]
    loud = _stretches(samples, rate, len(parts))
    if len(loud) != len(parts):
        parts = [([word for words, _ in parts for word in words], " ".join(ipa for _, ipa in parts))]
        loud = [(loud[0][0], loud[-1][1])]
    placed: list[Word] = []
    for (words, ipa), (start, end) in zip(parts, loud, strict=True):
        symbols = phonemes.units(ipa)
        alone = [phonemes.units(each) for each in phonemes.word_phonemes(tuple(words))]
        weights = [0.0 if symbol in _MARKS else _WEIGHTS.get(symbol, 1.0) for symbol in symbols]
        edges = [0.0, *itertools.accumulate(weights)]
        scale = (end - start) / max(edges[-1], 1.0)
        for word, (first, last) in zip(words, align.spans(alone, symbols), strict=True):
            placed.append(Word(word, start + edges[first] * scale, start + edges[last] * scale))
    return placed


def _stretches(samples: np.ndarray, rate: int, count: int) -> list[tuple[float, float]]:
    """Where there is sound, in seconds, cut at its `count` - 1 longest pauses."""
    hop = round(_FRAME_S * rate)
    frames = np.abs(samples[: len(samples) // hop * hop]).reshape(-1, hop).max(axis=1)
    loud = np.flatnonzero(frames > 0.02 * max(float(frames.max(initial=0)), 1e-6))
    if not len(loud):
        return [(0.0, len(samples) / rate)]
    gaps = np.diff(loud)
    cuts = sorted(np.argsort(-gaps, kind="stable")[: max(0, count - 1)])
    cuts = [cut for cut in cuts if gaps[cut] > 5]
    groups = np.split(loud, [cut + 1 for cut in cuts])
    return [(float(group[0] * _FRAME_S), float((group[-1] + 1) * _FRAME_S)) for group in groups]
