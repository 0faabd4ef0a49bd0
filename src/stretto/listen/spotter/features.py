"""What the spotter sees of sound: mel bands every 16 ms, each in proportion to its own recent past.

A frame of 512 samples (32 ms) completes two windows of 512, 256 apart. Each gives the energies of 40 mel bands from
80 Hz to 7.6 kHz, and each band is divided by its own running mean and compressed (per-channel energy normalisation), so
that level, microphone and steady noise fall away while speech stays. All of it looks back only, and a state of 40 + 256
numbers makes stepping equal to the whole sound at once.

Source: PCEN, Wang et al. 2017. Needs: numpy, scipy. Does not know words.
"""

import functools
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32
from scipy.signal import lfilter

from stretto.core.signals import HEARING_RATE

FRAME = 512
"""Samples of a step."""
HOP = 256
BANDS = 40
INPUTS = BANDS * FRAME // HOP
"""Numbers of a step: two windows of 40 bands."""

SMOOTH = 0.03
"""Weight of the newest window in the running mean: a memory of half a second."""
_GAIN, _BIAS, _POWER, _FLOOR = 0.96, 0.1, 0.3, 1e-7
_LOW, _HIGH = 80.0, 7_600.0


@dataclass(frozen=True, kw_only=True)
class FeatureState:
    """The last 256 samples and the running mean of each band; `begun` after the first window."""

    samples: Float32[np.ndarray, " 256"] = field(default_factory=lambda: np.zeros(FRAME - HOP, np.float32))
    mean: Float32[np.ndarray, " 40"] = field(default_factory=lambda: np.zeros(BANDS, np.float32))
    begun: bool = False


def step(
    samples: Float32[np.ndarray, " samples"], state: FeatureState
) -> tuple[Float32[np.ndarray, "steps 80"], FeatureState]:
    """The features of whole frames (any number of times 512 samples, 16 kHz) and the next state."""
    heard = np.concatenate([state.samples, samples])
    energies = mel(heard)
    first = energies[0] if len(energies) and not state.begun else state.mean
    values, mean = normalise(energies, first)
    kept = heard[len(heard) - (FRAME - HOP) :].copy()
    return stacked(values), FeatureState(samples=kept, mean=mean, begun=state.begun or len(energies) > 0)


def mel(samples: Float32[np.ndarray, " samples"], warp: float = 1.0) -> Float32[np.ndarray, "windows 40"]:
    """Energies of the mel bands of each window of 512 samples, 256 apart.

    `warp` above 1 moves the bands up, as if the speaker's throat were shorter; it serves training.
    """
    count = max(0, (len(samples) - FRAME) // HOP + 1)
    if not count:
        return np.zeros((0, BANDS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    spectrum = np.fft.rfft(windows * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return power @ bank(round(warp, 2))


def normalise(
    energies: Float[np.ndarray, "windows 40"], mean: Float[np.ndarray, " 40"]
) -> tuple[Float32[np.ndarray, "windows 40"], Float32[np.ndarray, " 40"]]:
    """The energies by their running mean, compressed, and the mean after them."""
    if not len(energies):
        return np.zeros((0, BANDS), np.float32), np.asarray(mean, np.float32)
    start = ((1 - SMOOTH) * np.asarray(mean, np.float64))[None]
    means, _ = lfilter([SMOOTH], [1.0, SMOOTH - 1.0], energies.astype(np.float64), axis=0, zi=start)
    compressed = (energies / (_FLOOR + means) ** _GAIN + _BIAS) ** _POWER - _BIAS**_POWER
    return compressed.astype(np.float32), means[-1].astype(np.float32)


def stacked(values: Float32[np.ndarray, "windows 40"]) -> Float32[np.ndarray, "steps 80"]:
    """Two windows to a step; an odd one at the end is left out."""
    steps = len(values) // 2
    return values[: 2 * steps].reshape(steps, INPUTS)


@functools.lru_cache(maxsize=1)
def _window() -> np.ndarray:
    """A Hann window of unit power."""
    hann = np.hanning(FRAME + 1)[:-1]
    return (hann / np.sqrt(np.square(hann).sum())).astype(np.float32)


@functools.lru_cache(maxsize=256)
def bank(warp: float = 1.0) -> Float32[np.ndarray, "257 40"]:
    """Triangles on the mel scale, each with a sum of 1, so that white noise is as strong in all bands."""
    hertz = np.arange(FRAME // 2 + 1) * HEARING_RATE / FRAME
    edges = np.minimum(_hertz(np.linspace(_mel(_LOW), _mel(_HIGH), BANDS + 2)) * warp, HEARING_RATE / 2)
    rise = (hertz[:, None] - edges[None, :-2]) / np.maximum(edges[1:-1] - edges[:-2], 1e-3)
    fall = (edges[None, 2:] - hertz[:, None]) / np.maximum(edges[2:] - edges[1:-1], 1e-3)
    triangles = np.maximum(0.0, np.minimum(rise, fall))
    nearest = np.abs(hertz[:, None] - edges[None, 1:-1]).argmin(axis=0)
    empty = triangles.sum(axis=0) < 0.5
    triangles[nearest[empty], np.flatnonzero(empty)] = 1.0
    return (triangles / triangles.sum(axis=0)).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mels: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mels / 2595) - 1)
