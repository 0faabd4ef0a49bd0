import os
import sys

import numpy as np
import pytest

from stretto.core.signals import Sound, Speech, Word

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def one_thread():
    """Networks compute on one thread, where a test has imported torch at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def tone():
    """A spoken sentence without a synthesizer: `tone("one two three")` says a word every 0.4 s as a 220 Hz tone."""

    def make(text: str, rate: int = 16_000) -> Speech:
        words = text.split()
        n = round(0.4 * rate)
        wave = (0.3 * np.sin(2 * np.pi * 220 * np.arange(n * len(words)) / rate)).astype(np.float32)
        spoken = tuple(Word(word, 0.4 * i, 0.4 * i + 0.3) for i, word in enumerate(words))
        return Speech(text=text, sound=Sound(samples=wave, rate=rate), words=spoken, speaker="tone")

    return make
