"""Sound of an engine that writes a WAV file: a temporary folder, the engine, the samples.

Needs: soundfile. Does not judge the file: engines write honest headers, users may not (core/sound.py).
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from stretto.core.errors import StrettoError

T = TypeVar("T")


def spoken(run: Callable[[Path], T]) -> tuple[T, np.ndarray, int]:
    """Calls `run(folder)`, which must leave `out.wav` there: (what it returned, mono float32 samples, rate).

    Raises StrettoError when it left no sound.
    """
    with tempfile.TemporaryDirectory(prefix="stretto-voice-") as name:
        result = run(Path(name))
        file = Path(name) / "out.wav"
        if not file.exists():
            raise StrettoError("The speech engine wrote no sound. Is its voice installed?")
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        return result, samples[:, 0], rate
