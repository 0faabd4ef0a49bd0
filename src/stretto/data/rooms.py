"""What lies between a mouth and a microphone: speed, room, noise, level, as pure functions with a seed.

A room is an impulse response of noise that decays by 60 dB in its reverberation time, with the direct sound first, so
words stay where they are in time. Noise is white, pink, mains hum, music (data/music.py), or babble of given voices,
at a signal-to-noise ratio measured over the whole sound. Speed is resampling: pitch and pace change together, and word
times with them.

Source: exponentially decaying noise as a room (Moorer 1979). Needs: numpy, scipy. Does not know who speaks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.signal import fftconvolve

from stretto.core.errors import StrettoError, unknown
from stretto.core.rng import generator
from stretto.core.signals import Sound, Speech, Word
from stretto.core.sound import level_dbfs, resample
from stretto.data.music import music

NOISES = ("white", "pink", "hum", "music", "babble")
_HUM_HERTZ = 50.0


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """How a voice reaches the microphone. 1 and None mean: unchanged.

    `speed` is a factor; `rt60_s` the reverberation time with the direct sound `direct_db` above all echoes together;
    `noise` one of `NOISES` at `snr_db`; `level` the final level in dBFS (RMS).
    """

    speed: float = 1.0
    rt60_s: float | None = None
    direct_db: float = 6.0
    noise: str | None = None
    snr_db: float = 20.0
    level: float | None = None


def heard_in(speech: Speech, around: Surroundings, seed: int = 0, others: Sequence[Sound] = ()) -> Speech:
    """The speech as the microphone gets it, its word times moved with the speed. `others` are the voices of babble."""
    sound = speed(speech.sound, around.speed)
    if around.rt60_s is not None:
        sound = room(sound, around.rt60_s, around.direct_db, seed)
    if around.noise is not None:
        sound = noise(sound, around.noise, around.snr_db, seed, others)
    if around.level is not None:
        sound = level(sound, around.level)
    words = tuple(Word(word.text, word.start / around.speed, word.end / around.speed) for word in speech.words)
    return Speech(text=speech.text, sound=sound, words=words, speaker=speech.speaker)


def speed(sound: Sound, factor: float) -> Sound:
    """Faster and higher (`factor` above 1) or slower and lower: 2 ** (semitones / 12). Raises outside 0.5 to 2."""
    if not 0.5 <= factor <= 2:
        raise StrettoError(f"Expected a speed of 0.5 to 2, got {factor}.")
    return Sound(samples=resample(sound.samples, round(sound.rate * factor), sound.rate), rate=sound.rate)


def room(sound: Sound, rt60_s: float, direct_db: float = 6.0, seed: int = 0) -> Sound:
    """The sound and its echoes, `direct_db` between them. Raises for a reverberation time outside 0.05 to 3 s."""
    if not 0.05 <= rt60_s <= 3:
        raise StrettoError(f"Expected a reverberation time of 0.05 to 3 s, got {rt60_s}.")
    count = round(rt60_s * sound.rate)
    decay = 10 ** (-3 * np.arange(count) / count)
    echoes = generator(seed, "room").standard_normal(count) * decay
    echoes[: round(0.002 * sound.rate)] = 0
    response = echoes * 10 ** (-direct_db / 20) / np.sqrt(np.square(echoes).sum())
    response[0] = 1.0
    return _safe(fftconvolve(sound.samples, response), sound.rate)


def noise(sound: Sound, kind: str, snr_db: float, seed: int = 0, others: Sequence[Sound] = ()) -> Sound:
    """The sound with noise at a signal-to-noise ratio. Raises for an unknown kind, and for babble without voices."""
    added = bed(kind, len(sound.samples), sound.rate, seed, others)
    power, own = float(np.mean(np.square(sound.samples))), float(np.mean(np.square(added)))
    gain = np.sqrt(power / own * 10 ** (-snr_db / 10)) if own > 0 else 0.0
    return _safe(sound.samples + gain * added, sound.rate)


def bed(kind: str, count: int, rate: int, seed: int = 0, others: Sequence[Sound] = ()) -> Float[np.ndarray, " count"]:
    """`count` samples of noise alone, at a level of its own. Raises as `noise` does."""
    makers = {"white": _white, "pink": _pink, "hum": _hum, "music": music}
    if kind == "babble":
        return _babble(count, rate, seed, others)
    if kind not in makers:
        raise unknown("noise", kind, NOISES)
    return makers[kind](count, rate, generator(seed, "noise", kind))


def level(sound: Sound, dbfs: float) -> Sound:
    """The sound at a level (RMS), lower where its peak would clip."""
    now = level_dbfs(sound.samples)
    if now == float("-inf"):
        return sound
    return _safe(sound.samples * 10 ** ((dbfs - now) / 20), sound.rate)


def _white(count: int, rate: int, source: np.random.Generator) -> np.ndarray:
    return source.standard_normal(count)


def _pink(count: int, rate: int, source: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency, flat below 20 Hz."""
    spectrum = np.fft.rfft(source.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0)), count)


def _hum(count: int, rate: int, source: np.random.Generator) -> np.ndarray:
    """Mains: the tone and its odd harmonics, each with its own phase."""
    times = np.arange(count) / rate
    tones = [np.sin(2 * np.pi * _HUM_HERTZ * k * times + source.uniform(0, 2 * np.pi)) / k for k in (1, 3, 5, 7)]
    return np.sum(tones, axis=0)


def _babble(count: int, rate: int, seed: int, others: Sequence[Sound]) -> np.ndarray:
    """The given voices over each other, each repeated from a point of its own."""
    if not others:
        raise StrettoError("Expected sounds of other voices for babble, got none. Pass `others`.")
    total = np.zeros(count)
    for index, other in enumerate(others):
        samples = resample(other.samples, other.rate, rate)
        start = int(generator(seed, "babble", index).integers(len(samples)))
        total += np.resize(np.roll(samples, -start), count)
    return total


def _safe(samples: np.ndarray, rate: int) -> Sound:
    """A Sound inside [-1, 1], scaled down as a whole where it is too loud."""
    peak = float(np.abs(samples).max(initial=0.0))
    kept: Float32[np.ndarray, " samples"] = (samples / max(1.0, peak)).astype(np.float32)
    return Sound(samples=kept, rate=rate)
