"""Flite's speakers kal, awb, rms and slt, with exact phone times.

`-psdur` prints every phone with its end. Which phones make a word follows from the same call on each word alone,
aligned with what was really said.

Source: CMU Flite 2.2. Needs: the Debian package flite. kal speaks at 16 kHz here (voice kal16).
"""

import functools
from dataclasses import dataclass

from stretto.core.config import Configurable
from stretto.core.errors import unknown
from stretto.core.signals import Speech, Word
from stretto.speak import align
from stretto.speak.base import VoiceConfig, clean, finish, run_engine, tokens
from stretto.speak.wav import spoken

_VOICES = {"kal": "kal16", "awb": "awb", "rms": "rms", "slt": "slt"}
_KAL_HERTZ = 95.0


class Flite(Configurable):
    """One speaker of flite, 16 kHz."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VoiceConfig):
        """`voice` is kal, awb, rms or slt; `pitch` in semitones."""

        voice: str = "rms"
        pitch: float = 0.0

    def __init__(self, config: Config):
        if config.voice not in _VOICES:
            raise unknown("voice of flite", config.voice, _VOICES)
        self.config = config

    def speak(self, text: str, seed: int = 0) -> Speech:
        """The spoken text, the same for every `seed`. Raises StrettoError when flite is missing."""
        plain = clean(text, ascii_only=True)
        voice, factor = _VOICES[self.config.voice], 2 ** (self.config.pitch / 12)
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={1 / self.config.pace:.4f}"]
        if self.config.pitch:
            shift = f"int_f0_target_mean={_KAL_HERTZ * factor:.2f}" if voice == "kal16" else f"f0_shift={factor:.4f}"
            command += ["--setf", shift]
        printed, samples, rate = spoken(
            lambda folder: run_engine([*command, "-psdur", "-t", plain, "-o", str(folder / "out.wav")], "flite")
        )
        phones = [(name, float(end)) for name, _, end in (item.rpartition(":") for item in printed.split())]
        words = _words(tokens(plain), phones, len(samples) / rate)
        return finish(text, samples, rate, words, self.config.level, f"flite-{self.config.voice}")


def _words(texts: list[str], phones: list[tuple[str, float]], seconds: float) -> list[Word]:
    """Words from phones with their ends. The ends start again at 0 with each sentence."""
    timed: list[tuple[str, float, float]] = []
    base, last = 0.0, 0.0
    for name, end in phones:
        if end < last:
            base, last = base + last, 0.0
        timed.append((name, base + last, base + end))
        last = end
    kept = [phone for phone in timed if phone[0] != "pau"]
    ranges = align.spans([_phones(text) for text in texts], [name for name, _, _ in kept])
    return [
        Word(text, kept[first][1], min(seconds, kept[last - 1][2]))
        for text, (first, last) in zip(texts, ranges, strict=True)
        if last > first
    ]


@functools.lru_cache(maxsize=4_096)
def _phones(word: str) -> list[str]:
    """The phones of a word on its own."""
    printed = run_engine(["flite", "-voice", "kal", "-ps", "-t", word, "-o", "none"], "flite")
    return [phone for phone in printed.split() if phone != "pau"]
