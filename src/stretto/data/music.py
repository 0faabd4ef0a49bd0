"""Music made up by us, as something that plays in the room while people talk: chords, a bass, a melody, a beat.

A seed draws key, tempo, a walk over four chords, and how the notes sound (partials, attack, decay); each bar is a chord
with a bass note, a few notes of its scale and a noise beat. It is no pleasure to listen to, but it has what music has
and noise has not: pitch, harmony, rhythm and repetition.

Needs: numpy. Does not know rooms or levels.
"""

import numpy as np
from jaxtyping import Float

_SCALE = (0, 2, 4, 5, 7, 9, 11)
_CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16), (2, 5, 9))
_BEATS = 4
_LONGEST_S = 8.0
"""After this the piece repeats."""


def music(count: int, rate: int, source: np.random.Generator) -> Float[np.ndarray, " count"]:
    """`count` samples of a piece that the source draws; it repeats after two bars or 8 s at most."""
    beat = 60 / source.uniform(70, 150)
    length = round(min(_LONGEST_S, 2 * _BEATS * beat) * rate)
    total = np.zeros(length)
    key = source.uniform(100, 200)
    partials = source.uniform(0.2, 1.0, 5) / np.arange(1, 6)
    decay = source.uniform(1.5, 8.0)
    drums, lead = source.random() < 0.7, source.random() < 0.8
    for at in range(2 * _BEATS):
        start = round(at * beat * rate)
        if at % 2 == 0:
            chord = _CHORDS[int(source.integers(len(_CHORDS)))]
            for step in (*chord, chord[0] - 12):
                _add(total, start, _note(key, step, 2 * beat, rate, partials, decay))
        for half in range(2 if lead else 0):
            if source.random() < 0.6:
                step = 12 + _SCALE[int(source.integers(len(_SCALE)))]
                begin = start + round(half * beat / 2 * rate)
                _add(total, begin, 0.8 * _note(key, step, beat / 2, rate, partials, decay))
        if drums:
            _add(total, start, _hit(source, rate, 0.12 if at % 2 else 0.05))
    return np.resize(np.roll(total, -int(source.integers(length))), count)


def _note(
    key: float, step: int, seconds: float, rate: int, partials: np.ndarray, decay: float
) -> Float[np.ndarray, " samples"]:
    """A tone with its partials, a short attack and an exponential decay."""
    times = np.arange(round(seconds * rate)) / rate
    hertz = key * 2 ** (step / 12)
    tones = [share * np.sin(2 * np.pi * hertz * (k + 1) * times) for k, share in enumerate(partials)]
    return np.sum(tones, axis=0) * np.minimum(1.0, times / 0.01) * np.exp(-decay * times / seconds)


def _hit(source: np.random.Generator, rate: int, seconds: float) -> Float[np.ndarray, " samples"]:
    """A burst of noise, as of a drum."""
    count = round(3 * seconds * rate)
    return 0.8 * source.standard_normal(count) * np.exp(-np.arange(count) / (seconds * rate / 2))


def _add(total: np.ndarray, start: int, part: np.ndarray) -> None:
    end = min(len(total), start + len(part))
    total[start:end] += part[: max(0, end - start)]
