"""What the spotter hears of sound: 32 log-mel bands every 10 ms, as the speech embedding was trained on them.

Windows of 25 ms (periodic Hann, in the middle of 512 samples), power, 32 triangles of equal area from 60 Hz to 3.8 kHz
on Slaney's mel scale, the decimal logarithm of it with 16-bit samples in mind, plus 2. Nothing is normalised: how loud
a room is, the network has learned. A step is 40 ms, four windows. All of it looks back only; the state are the last
352 samples, so stepping equals the whole sound at once.

Source: the front end of Google's speech embedding (Lin et al. 2020, "Training Keyword Spotters with Limited and
Synthesized Speech Data"); the packaged one gives the same numbers (a test holds it). Needs: numpy. Does not know words.
"""

import functools

import numpy as np
from jaxtyping import Float32

from stretto.core.signals import HEARING_RATE
from stretto.listen import slaney

HOP, WINDOW, SPAN = 160, 400, 512
"""Samples from window to window, under a window, and of the frame that it stands in the middle of."""
BANDS = 32
PER_STEP = 4
"""Windows of a step."""
FRAME = PER_STEP * HOP
"""Samples of a step."""
STEP_S = FRAME / HEARING_RATE
KEPT = SPAN - HOP
"""Samples that the next step looks back on."""
SILENCE = -8.0
"""The bands of digital silence."""
BEFORE = 40
"""Steps of silence that are taken to lie before the first sound."""
_LOW, _HIGH, _FLOOR = 60.0, 3_800.0, 1e-10
_FULL = 32_767.0


def step(
    samples: Float32[np.ndarray, " samples"], before: Float32[np.ndarray, " kept"]
) -> tuple[Float32[np.ndarray, "windows 32"], Float32[np.ndarray, " kept"]]:
    """The bands of whole steps (any number of times 640 samples, 16 kHz), and the samples that the next ones need."""
    heard = np.concatenate([before, samples])
    return mel(heard), heard[len(heard) - KEPT :].copy()


def mel(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "windows 32"]:
    """The bands of each window that fits into the samples."""
    if len(samples) < SPAN:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, np.float32) * _FULL, SPAN)[::HOP]
    spectrum = np.fft.rfft(frames * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.log10(np.maximum(power @ bank(), _FLOOR)) + 2


@functools.lru_cache(maxsize=1)
def _window() -> Float32[np.ndarray, " 512"]:
    hann = np.hanning(WINDOW + 1)[:-1]
    return np.pad(hann, (SPAN - WINDOW) // 2).astype(np.float32)


@functools.lru_cache(maxsize=1)
def bank() -> Float32[np.ndarray, "257 32"]:
    """The triangles of the bands."""
    return slaney.bank(BANDS, _LOW, _HIGH, SPAN).astype(np.float32)
