"""One clip as a microphone gets it: a spoken sentence with its pauses, in a room, with noise, at a level.

Whatever is done to the sound is done to the word times: pauses are cut in between two words at the quietest place and
move what follows, a change of speed scales all times, silence before the sentence shifts them, a room leaves the direct
sound where it was. The signal-to-noise ratio is measured over the words, not over the silence around them.

Needs: numpy, and what data/rooms.py needs. Does not know who draws the settings (data/clip_plan.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16

from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, Sound, Speech, Word
from stretto.core.sound import level_dbfs
from stretto.data import rooms
from stretto.data.talk_style import Pause

NOISES = (*rooms.NOISES, "robot")
"""Kinds of noise: those of a room, and the robot's own voice out of its loudspeaker."""

_FADE_S = 0.005
_PEAK = 0.97


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What lies between the mouth and the microphone; None: nothing of the kind.

    `speed` is a factor on pace and pitch together; `lead_s`, `tail_s` silence around the sentence; `rt60_s` the
    reverberation time and `direct_db` how far the direct sound is above all echoes; `noise` one of `NOISES`, `snr_db`
    below the words; `level` that of the words in dBFS (RMS), of the noise where there is no word; `floor` of the
    microphone's own hiss.
    """

    speed: float = 1.0
    lead_s: float = 0.0
    tail_s: float = 0.0
    rt60_s: float | None = None
    direct_db: float = 6.0
    noise: str | None = None
    snr_db: float | None = None
    level: float = -22.0
    floor: float = -72.0


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Mono sound at 16 kHz and the times of its words in it (seconds)."""

    sound: Sound
    words: tuple[Word, ...]

    @property
    def pcm(self) -> Int16[np.ndarray, " samples"]:
        """The samples as 16-bit integers."""
        return np.round(self.sound.samples * 32_767).astype(np.int16)


def paused(speech: Speech, pauses: Sequence[Pause]) -> Speech:
    """The speech with silence let in after some of its words; words that follow move.

    A pause after the last word, or after one that is not there, is left out.
    """
    rate, samples = speech.sound.rate, speech.sound.samples
    inside = sorted(
        (pause for pause in pauses if 0 <= pause.after < len(speech.words) - 1), key=lambda each: each.after
    )
    pieces, words, begin, moved = [], list(speech.words), 0, 0.0
    for pause in inside:
        before, after = speech.words[pause.after], speech.words[pause.after + 1]
        cut = max(begin, _quietest(samples, round(before.end * rate), round(after.start * rate)))
        pieces += [_faded(samples[begin:cut], rate), np.zeros(round(pause.seconds * rate), np.float32)]
        begin, moved = cut, moved + round(pause.seconds * rate) / rate
        for at in range(pause.after + 1, len(words)):
            words[at] = Word(words[at].text, speech.words[at].start + moved, speech.words[at].end + moved)
    if not pieces:
        return speech
    whole = np.concatenate([*pieces, _faded(samples[begin:], rate)])
    sound = Sound(samples=whole, rate=rate)
    return Speech(text=speech.text, sound=sound, words=tuple(words), speaker=speech.speaker)


def pauses_that_fit(speech: Speech, pauses: Sequence[Pause], words: int) -> tuple[Pause, ...]:
    """The pauses, or none where the voice did not speak as many words as were written, so that places are unsure."""
    return tuple(pauses) if len(speech.words) == words else ()


def in_scene(speech: Speech, scene: Scene, seed: int, others: Sequence[Sound] = ()) -> Clip:
    """The speech (16 kHz) as the microphone gets it. `others` are voices: of babble, or the robot's own.

    Raises StrettoError for impossible rooms, speeds and noises, and for babble or robot without `others`.
    """
    sound = rooms.speed(speech.sound, scene.speed)
    words = moved_words(speech.words, scene)
    lead, tail = (round(seconds * HEARING_RATE) for seconds in (scene.lead_s, scene.tail_s))
    samples = np.pad(sound.samples, (lead, tail))
    if scene.rt60_s is not None and speech.words:
        wet = rooms.room(Sound(samples=samples, rate=HEARING_RATE), scene.rt60_s, scene.direct_db, seed)
        samples = wet.samples[: len(samples)]
    own = level_dbfs(_spoken(samples, words))
    samples = samples * 10 ** ((scene.level - own) / 20) if np.isfinite(own) else samples
    total = samples + _hiss(len(samples), scene.floor, seed)
    if scene.noise is not None:
        total = total + _noise(scene, len(samples), bool(speech.words), seed, others)
    peak = float(np.abs(total).max(initial=0.0))
    kept: Float32[np.ndarray, " samples"] = (total * min(1.0, _PEAK / max(peak, 1e-9))).astype(np.float32)
    return Clip(sound=Sound(samples=kept, rate=HEARING_RATE), words=words)


def moved_words(words: Sequence[Word], scene: Scene) -> tuple[Word, ...]:
    """Where the words are in the clip, to a tenth of a millisecond."""
    return tuple(
        Word(word.text, *(round(edge / scene.speed + scene.lead_s, 4) for edge in (word.start, word.end)))
        for word in words
    )


def _noise(scene: Scene, count: int, words: bool, seed: int, others: Sequence[Sound]) -> np.ndarray:
    """The noise at its level: below the words by the ratio, or at the scene's level where there are none."""
    kind = "babble" if scene.noise == "robot" else str(scene.noise)
    bed = rooms.bed(kind, count, HEARING_RATE, seed, others)
    now = level_dbfs(bed.astype(np.float32))
    wanted = scene.level - (scene.snr_db or 0.0) if words else scene.level
    return bed * 10 ** ((wanted - now) / 20) if np.isfinite(now) else bed


def _spoken(samples: np.ndarray, words: Sequence[Word]) -> np.ndarray:
    """The samples inside the words."""
    edges = [(round(word.start * HEARING_RATE), round(word.end * HEARING_RATE)) for word in words]
    parts = [samples[start:end] for start, end in edges]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def _hiss(count: int, dbfs: float, seed: int) -> np.ndarray:
    return generator(seed, "hiss").standard_normal(count) * 10 ** (dbfs / 20)


def _quietest(samples: np.ndarray, start: int, end: int) -> int:
    """The middle of the quietest 5 ms between two words, a little of their edges included."""
    width = round(_FADE_S * HEARING_RATE)
    start, end = max(0, min(start, end) - width), min(len(samples), max(start, end) + width)
    if end - start <= width:
        return (start + end) // 2
    power = np.convolve(np.square(samples[start:end]), np.ones(width), "valid")
    return start + int(power.argmin()) + width // 2


def _faded(samples: np.ndarray, rate: int) -> np.ndarray:
    """The samples with their first and last 5 ms faded, so that a cut does not click."""
    width = min(round(_FADE_S * rate), len(samples) // 2)
    ramp = np.ones(len(samples), np.float32)
    ramp[:width] = np.linspace(0, 1, width, dtype=np.float32)
    ramp[len(ramp) - width :] = ramp[:width][::-1]
    return samples * ramp
