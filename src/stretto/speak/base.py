"""What all voices share: clean text, settings, running an engine as a process of its own, the finished Speech.

Engines differ in licence, so those under the GPL only ever run as separate programs. Every voice hands its raw samples
and word times to `finish`, which trims the silence around them and sets one level, so that voices are comparable.

Needs: numpy. Does not know any engine.
"""

import re
import subprocess
import unicodedata
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config
from stretto.core.errors import StrettoError
from stretto.core.signals import Sound, Speech, Word
from stretto.core.sound import level_dbfs

LONGEST_TEXT = 2_000
"""Characters that a voice accepts at once."""

_LEAD_S = 0.04
_TAIL_S = 0.12
_ENGINE_TIMEOUT_S = 60
_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": ", ", "—": ", ", "…": ".", "\u00a0": " "})


@dataclass(frozen=True, kw_only=True)
class VoiceConfig(Config):
    """Settings of every voice. `pace` 1 is the engine's own speed, 2 twice as fast; `level` in dBFS (RMS)."""

    pace: float = 1.0
    level: float = -22.0

    def __post_init__(self) -> None:
        if not 0.25 <= self.pace <= 4:
            raise StrettoError(f"Expected a pace of 0.25 to 4, got {self.pace}.")
        if not -60 <= self.level <= 0:
            raise StrettoError(f"Expected a level of -60 to 0 dBFS, got {self.level}.")


def clean(text: str, ascii_only: bool = False) -> str:
    """The text as engines may have it: one line, plain quotes and dashes, no control characters, no engine markup.

    Raises StrettoError when it is too long or nothing in it can be spoken.
    """
    if len(text) > LONGEST_TEXT:
        raise StrettoError(f"Expected at most {LONGEST_TEXT} characters to speak, got {len(text)}. Split the text.")
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN)
    plain = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in plain)
    plain = re.sub(r"[\[\]{}<>|\\^~`*_#]+", " ", plain)
    if ascii_only:
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    plain = " ".join(plain.split())
    if not re.search(r"\w", plain):
        raise StrettoError(f"Expected words to speak, got {text[:40]!r}.")
    return plain


def tokens(text: str) -> list[str]:
    """The words of a cleaned text without the punctuation around them.

    >>> tokens("Stop! Don't put it there, please.")
    ['Stop', "Don't", 'put', 'it', 'there', 'please']
    """
    stripped = (re.sub(r"^\W+|\W+$", "", word) for word in text.split())
    return [word for word in stripped if word]


def run_engine(command: list[str], package: str, text: str = "") -> str:
    """Runs an engine with `text` on its standard input and returns what it prints.

    Raises StrettoError when it is not installed (naming the Debian package), fails, or hangs.
    """
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_ENGINE_TIMEOUT_S, check=True)
    except FileNotFoundError as error:
        raise StrettoError(f"'{command[0]}' is not installed. Install it: apt-get install {package}") from error
    except subprocess.TimeoutExpired as error:
        raise StrettoError(f"'{command[0]}' gave no answer within {_ENGINE_TIMEOUT_S} s.") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip()[-300:]
        raise StrettoError(f"'{command[0]}' failed ({error.returncode}): {reason or 'no message'}.") from error
    return done.stdout.decode(errors="replace")


def finish(
    text: str, samples: Float32[np.ndarray, " samples"], rate: int, words: list[Word], level: float, speaker: str
) -> Speech:
    """A Speech with 40 ms before its first word, up to 120 ms after its last one, and the given level in dBFS (RMS).

    Raises StrettoError when the engine gave no sound.
    """
    if not len(samples) or not np.abs(samples).max() > 0:
        raise StrettoError(f"The voice '{speaker}' gave no sound for {text[:60]!r}.")
    first, last = (words[0].start, words[-1].end) if words else (0.0, len(samples) / rate)
    begin = max(0, round((first - _LEAD_S) * rate))
    kept = samples[begin : max(begin + 1, round((last + _TAIL_S) * rate))]
    gain = 10 ** ((level - level_dbfs(kept)) / 20) if np.abs(kept).max() > 0 else 1.0
    kept = kept * min(gain, 0.99 / max(float(np.abs(kept).max()), 1e-9))
    shift, length = begin / rate, len(kept) / rate
    moved = tuple(
        Word(word.text, max(0.0, word.start - shift), min(length, max(0.0, word.end - shift))) for word in words
    )
    return Speech(text=text, sound=Sound(samples=kept.astype(np.float32), rate=rate), words=moved, speaker=speaker)
