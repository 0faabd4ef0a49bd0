"""Sessions that nobody spoke: sentences of training, and words in no order, told by the sounds they would have.

Speech says few words often, and a voice takes its time to say more. But what hears is shown which sounds were made, one
by one (think/unwritten.py), and how every word sounds is known (think/sounds.py). So here whole sessions of words are
laid out in time, and the readout's chances are made up as they would come of them: a peak a sound, where about it would
be, now and then missing, doubtful or taken for one that is alike. All words of the vocabulary, and as many sentences as
anybody can write, are learned so at no other cost than the training's.

    labels, words, chances = Unspoken.Config().build(text, frames, ticks=100, close=2, tick_s=0.2, delay=1)(rng)

Source: text that is injected as an encoder's imagined states (Sainath et al. 2023, JOIST; Thomas et al. 2022). Needs:
numpy, torch, a tokenizer. Does not know the network.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.signals import Word
from stretto.data.hearing import MARKS, written
from stretto.data.hearing_shards import Label
from stretto.data.talk_style import spoken_words
from stretto.data.talk_wide import draw_from
from stretto.data.talk_words import common
from stretto.listen.encoders.settled import Settled
from stretto.think.sounds import SOUNDS, numbered, sounds_of
from stretto.think.text import Text

ALIKE = "pb kɡ fv sz θð ʃʒ mnŋ ɹlw tdɾʔ iɪᵻeɛ jiɪ əʌɐɑ ɑɔɐʌo uʊ æɛe ɚɜɹ".split()
"""Sounds that are taken for each other."""

Timed = tuple[str, float, float]
"""A word, and from when to when it would be spoken, in seconds."""

MIXES = ("robot", "english", "spoken", "home", "passages")
SAYINGS = 40_000
"""Sayings of training that are drawn from, of each mix."""

MISSING, TAKEN, ADDED, LONGER = 0.03, 0.06, 0.02, 0.55
"""Shares of sounds: not found, taken for one alike, with one more before it, of two frames."""

SURE = 0.75
"""Share of peaks that leave no doubt."""

SHORT = 3
"""A word of so many sounds or fewer is spoken quickly: twice as much of it is misread."""

SOUND_S, GAP_S = 0.055, 0.04
"""Of a sound, and between words."""

MOST, FLAT = 40_000, 0.5
"""Any word is one of so many; the power of its frequency with which it comes."""


class Unspoken(Configurable):
    """Draws sessions."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`strings`: share of sayings that are words in no order. `changed`: share of the words of the others that give
        way to any word. `pause_s`: most silence between sayings, beside that which ends a turn.
        """

        strings: float = 0.4
        changed: float = 0.25
        pause_s: float = 0.8

        def __post_init__(self) -> None:
            if not (0 <= self.strings <= 1 and 0 <= self.changed <= 1 and self.pause_s >= 0):
                raise StrettoError("Expected strings and changed as shares of 0 to 1, pause_s of at least 0.")

    def __init__(
        self, config: Config, text: Text, frames: Settled, ticks: int, close: int, tick_s: float, delay: int
    ) -> None:
        """`frames`: where the readout finds a sound; `close` ends a turn; `delay`: ticks from the tick of a word's end
        to its label's."""
        self.config, self.text, self.frames, self.close = config, text, frames, close
        self.ticks, self.tick_s, self.delay = ticks, tick_s, delay
        words, shares = common(FLAT, MOST)
        known = np.array([bool(sounds_of(word)) for word in words])
        self.vocabulary = [word for word, yes in zip(words, known, strict=True) if yes]
        self.shares = np.cumsum(shares[known] / shares[known].sum())
        self.alike = [_alike(sound) for sound in SOUNDS]

    def __call__(self, rng: np.random.Generator) -> tuple[list[Label], list[Timed], Float[Tensor, "frames sounds"]]:
        """What is due when, the words and their times, and the logarithms of the readout's chances."""
        labels: list[Label] = []
        said: list[Timed] = []
        chances = self._silence()
        now, pace = float(rng.uniform(0, 1.5)), float(np.exp(rng.normal(0, 0.15)))
        doubt = float(rng.choice([0.5, 1.0, 2.0]))
        while now < self.ticks * self.tick_s - 1.0:
            saying = self._saying(rng)
            words: list[Word] = []
            for word in spoken_words(saying):
                now += GAP_S * pace * float(rng.uniform(0.5, 1.5))
                long = (len(sounds_of(word)) + 0.5) * SOUND_S * pace * float(np.exp(rng.normal(0, 0.15)))
                words.append(Word(word, round(now, 3), round(now + long, 3)))
                now += long
            for what, when in written(saying, words):
                tokens = self.text.heard(what) if what else [self.close]
                labels += [(self._due(when), token) for token in tokens if self._due(when) < self.ticks]
            for one in words:
                self._sound(chances, one, doubt, rng)
            said += [(one.text, one.start, one.end) for one in words if self._due(one.end) < self.ticks]
            now += 0.5 + float(rng.uniform(0, self.config.pause_s))
        return labels, said, torch.from_numpy(np.log(chances))

    def _due(self, when: float) -> int:
        """The tick from which something is due that is written then."""
        return int(when / self.tick_s) + self.delay

    def _saying(self, rng: np.random.Generator) -> str:
        """A sentence all of whose words have known sounds."""
        if rng.random() < self.config.strings:
            return " ".join(self._any(rng) for _ in range(int(rng.integers(2, 9)))) + "."
        mix = MIXES[int(rng.integers(len(MIXES)))]
        parts = [self._changed(part, rng) for part in _saying(mix, int(rng.integers(SAYINGS))).split()]
        return " ".join(part for part in parts if all(map(sounds_of, spoken_words(part)))) or "Yes."

    def _changed(self, part: str, rng: np.random.Generator) -> str:
        if rng.random() >= self.config.changed:
            return part
        return self._any(rng) + (part[-1] if part[-1] in MARKS else "")

    def _any(self, rng: np.random.Generator) -> str:
        return self.vocabulary[min(int(np.searchsorted(self.shares, rng.random())), len(self.vocabulary) - 1)]

    def _silence(self) -> np.ndarray:
        chances = np.full((self.ticks * self.frames.each * self.frames.settled, 1 + len(SOUNDS)), 1e-4, np.float32)
        chances[:, 0] = 1.0
        return chances

    def _sound(self, chances: np.ndarray, word: Word, doubt: float, rng: np.random.Generator) -> None:
        """Write a word's sounds into its time."""
        sounds = numbered(sounds_of(word.text))
        doubt *= 2 if len(sounds) <= SHORT else 1
        first, count = self.frames.span(word.start, word.end)
        places = first + (np.arange(len(sounds)) + 0.5) / len(sounds) * count + rng.normal(0, 0.7, len(sounds))
        order = np.arange(len(sounds))
        frames = np.maximum.accumulate(np.round(places).astype(int) - order) + order
        for sound, frame in zip(sounds, frames.tolist(), strict=True):
            luck = rng.random(5)
            if luck[0] < MISSING * doubt:
                continue
            alike = self.alike[sound - 1]
            other = int(rng.choice(alike)) if luck[1] < 0.7 else int(rng.integers(1, 1 + len(SOUNDS)))
            taken = luck[0] > 1 - TAKEN * doubt
            if taken:
                sound, other = other, sound
            if luck[2] < ADDED * doubt:
                self._peak(chances, frame - 1, int(rng.integers(1, 1 + len(SOUNDS))), sound, 0.6)
            sure = rng.uniform(0.95, 0.999) if luck[4] < SURE and not taken else rng.uniform(0.4, 0.95)
            for place in range(frame, frame + 1 + int(luck[3] < LONGER)):
                self._peak(chances, place, sound, other, float(sure))

    @staticmethod
    def _peak(chances: np.ndarray, frame: int, sound: int, other: int, sure: float) -> None:
        if 0 <= frame < len(chances):
            chances[frame] = 1e-4
            chances[frame, [0, other]] = (1 - sure) / 2
            chances[frame, sound] = sure


@functools.lru_cache(maxsize=len(MIXES) * SAYINGS)
def _saying(mix: str, seed: int) -> str:
    return draw_from(mix, seed, "train").text


def _alike(sound: str) -> list[int]:
    """What a sound is taken for; itself where nothing is alike. Numbered from 1."""
    others = {other for some in ALIKE if sound in some for other in some} - {sound}
    return sorted(numbered("".join(others or {sound})))
