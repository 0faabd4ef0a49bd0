"""Festival's speakers slt (statistical) and ked (diphones), kept for testing: a whole engine that training never hears.

A Scheme script speaks the text and saves the sound, the phones and the words with their end times.

Source: Festival 2.5. Needs: the Debian packages festival and festvox-us-slt-hts (slt) or festvox-kdlpc16k (ked).
"""

from dataclasses import dataclass
from pathlib import Path

from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.core.signals import Speech, Word
from stretto.speak.base import VoiceConfig, clean, finish, run_engine, tokens
from stretto.speak.wav import spoken

_VOICES = {"slt": ("cmu_us_slt_arctic_hts", "festvox-us-slt-hts"), "ked": ("ked_diphone", "festvox-kdlpc16k")}
_KED_HERTZ = 105.0
_SCRIPT = """
(voice_{voice})
{settings}
(set! spoken (SynthText "{text}"))
(utt.save.wave spoken "{folder}/out.wav" 'riff)
(utt.save.segs spoken "{folder}/out.segs")
(utt.save.words spoken "{folder}/out.words")
"""


class Festival(Configurable):
    """One speaker of festival: slt at 32 kHz, ked at 16 kHz."""

    @dataclass(frozen=True, kw_only=True)
    class Config(VoiceConfig):
        """`voice` is slt or ked; `pitch` in semitones (ked only: the statistical voice has none)."""

        voice: str = "slt"
        pitch: float = 0.0

    def __init__(self, config: Config):
        if config.voice not in _VOICES:
            raise unknown("voice of festival", config.voice, _VOICES)
        if config.voice == "slt" and config.pitch:
            raise StrettoError(
                "Festival's slt has no pitch setting. Change the finished sound: data/rooms.py, `speed`."
            )
        self.config = config

    def speak(self, text: str, seed: int = 0) -> Speech:
        """The spoken text, the same for every `seed`. Raises StrettoError when festival or the voice is missing."""
        plain = clean(text, ascii_only=True)
        (segments, ends), samples, rate = spoken(lambda folder: self._run(plain, folder))
        words = _words(tokens(plain), segments, ends)
        return finish(text, samples, rate, words, self.config.level, f"festival-{self.config.voice}")

    def _run(self, plain: str, folder: Path) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
        """Phones and words, each with its end, as (end, name)."""
        voice, package = _VOICES[self.config.voice]
        quoted = plain.replace("\\", " ").replace('"', " ")
        script = folder / "say.scm"
        script.write_text(
            _SCRIPT.format(voice=voice, settings=self._settings(), text=quoted, folder=folder), encoding="ascii"
        )
        try:
            run_engine(["festival", "-b", str(script)], "festival")
        except StrettoError as error:
            if "unbound variable" in str(error) and voice in str(error):
                raise StrettoError(
                    f"The voice '{self.config.voice}' is not installed. Install it: apt-get install {package}"
                ) from error
            raise
        return _labels(folder / "out.segs"), _labels(folder / "out.words")

    def _settings(self) -> str:
        """Scheme that sets pace and pitch of the chosen voice."""
        if self.config.voice == "slt":
            return f'(set! hts_engine_params (append (list (list "-r" {self.config.pace})) hts_engine_params))'
        hertz = _KED_HERTZ * 2 ** (self.config.pitch / 12)
        return (
            f"(Parameter.set 'Duration_Stretch {1 / self.config.pace:.4f})\n"
            f"(set! int_lr_params '((target_f0_mean {hertz:.1f}) (target_f0_std 15)"
            " (model_f0_mean 170) (model_f0_std 34)))"
        )


def _labels(file: Path) -> list[tuple[float, str]]:
    """(end, name) of each line of a label file after its header."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    fields = [line.split() for line in lines if len(line.split()) == 3]
    return [(float(end), name) for end, _, name in fields]


def _words(texts: list[str], segments: list[tuple[float, str]], ends: list[tuple[float, str]]) -> list[Word]:
    """Words with starts and ends; the written words where festival spoke as many as were written, else its own."""
    names = texts if len(texts) == len(ends) else [name for _, name in ends]
    starts = [0.0, *(end for end, _ in segments)]
    words, before = [], 0.0
    for name, (end, _) in zip(names, ends, strict=True):
        own = [
            start
            for start, (_, phone) in zip(starts, segments, strict=False)
            if phone not in ("pau", "#", "h#") and before - 1e-6 <= start < end - 1e-6
        ]
        words.append(Word(name, min(own, default=before), end))
        before = end
    return words
