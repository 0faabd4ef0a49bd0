"""Takes the robot's own voice out of its microphone: a filter that learns the way from the loudspeaker to it.

Blocks of 20 ms. What the loudspeaker played is known; a filter of a quarter second over it, kept in frequency, predicts
its echo, which is subtracted. One filter learns all the time, another one is in use and takes over what was learned
only while that predicts better; so somebody who talks over the robot does not spoil it. What is left while the robot
speaks and little else is heard is turned down.

Source: partitioned-block frequency-domain adaptive filter (Soo and Pang 1990), two paths (Ochiai 1977). Needs: numpy.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError

BLOCK = 320
"""Samples of a step at 16 kHz: 20 ms."""
_QUIET = 1e-7
_TINY = 1e-10


class EchoCanceller(Configurable):
    """`clean(microphone, voice)` for sound that belongs together sample by sample; blocks may come in any number."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`blocks`: length of the filter (13 are 260 ms). `rate`: how fast it learns. `residue`: what remains of sound
        that is all echo.
        """

        blocks: int = 13
        rate: float = 0.5
        residue: float = 0.1

    def __init__(self, config: Config) -> None:
        self.config = config
        bins = BLOCK + 1
        self._played = np.zeros((config.blocks, bins), np.complex64)
        self._learning = np.zeros((config.blocks, bins), np.complex64)
        self._used = np.zeros((config.blocks, bins), np.complex64)
        self._power = np.zeros(bins, np.float32)
        self._before = np.zeros(BLOCK, np.float32)
        self._errors = np.zeros(2)
        self._turn = 0
        self._sounding = 0

    def clean(
        self, microphone: Float32[np.ndarray, " samples"], voice: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, " samples"]:
        """The microphone without the voice. Raises StrettoError when the lengths differ or are no whole blocks."""
        if len(microphone) != len(voice) or len(voice) % BLOCK:
            raise StrettoError(
                f"Expected microphone and voice of the same whole number of blocks of {BLOCK} samples, got "
                f"{len(microphone)} and {len(voice)}."
            )
        pairs = zip(microphone.reshape(-1, BLOCK), voice.reshape(-1, BLOCK), strict=True)
        cleaned = [self._block(heard, played) for heard, played in pairs]
        return np.concatenate(cleaned) if cleaned else np.zeros(0, np.float32)

    def _block(self, heard: np.ndarray, played: np.ndarray) -> np.ndarray:
        if not self._sounding and not played.any():
            return heard
        spectrum = np.fft.rfft(np.concatenate([self._before, played])).astype(np.complex64)
        self._before = played.copy()
        self._played = np.roll(self._played, 1, axis=0)
        self._played[0] = spectrum
        self._power = 0.9 * self._power + 0.1 * (spectrum.real**2 + spectrum.imag**2)
        self._sounding = self.config.blocks + 1 if played.any() else self._sounding - 1
        loud = float(np.mean(np.square(played)))
        errors = [heard - self._echo(filters) for filters in (self._used, self._learning)]
        if loud > _QUIET:
            self._learn(errors[1])
        powers = np.array([float(np.mean(np.square(each))) for each in errors])
        self._errors = 0.8 * self._errors + 0.2 * powers
        if self._errors[1] < 0.8 * self._errors[0]:
            self._used, self._errors[0] = self._learning.copy(), self._errors[1]
        elif self._errors[1] > 4 * self._errors[0] + _TINY:
            self._learning, self._errors[1] = self._used.copy(), self._errors[0]
        return self._turned_down(heard, errors[0])

    def _echo(self, filters: np.ndarray) -> np.ndarray:
        """What a filter expects to hear in this block."""
        return np.fft.irfft((filters * self._played).sum(axis=0))[BLOCK:].astype(np.float32)

    def _learn(self, error: np.ndarray) -> None:
        """A step towards less error; each block one part of the filter is cut back to its own 20 ms."""
        spectrum = np.fft.rfft(np.concatenate([np.zeros(BLOCK, np.float32), error]))
        scale = self.config.rate / (self.config.blocks * self._power + 1e-3)
        self._learning += (scale * np.conj(self._played) * spectrum).astype(np.complex64)
        part = self._turn % self.config.blocks
        self._turn += 1
        taps = np.fft.irfft(self._learning[part])
        taps[BLOCK:] = 0
        self._learning[part] = np.fft.rfft(taps)

    def _turned_down(self, heard: np.ndarray, error: np.ndarray) -> np.ndarray:
        """The error as it is, or down to `residue` where most of what was heard has gone."""
        share = float(np.mean(np.square(error))) / (float(np.mean(np.square(heard))) + _TINY)
        low, high = 0.05, 0.3
        gain = self.config.residue + (1 - self.config.residue) * np.clip((share - low) / (high - low), 0, 1)
        return (gain * error).astype(np.float32)
