"""The random choices of one composition: who speaks, in which room, in which words. The same for the same seed.

Speakers and wordings are those of the split (data/voices.py, data/talk_wide.py); a person has one voice, pace, pitch
and place in the room for the whole composition.

Needs: numpy and the engines of the split's speakers. Does not know what is said when (plot.py).
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from stretto.core.rng import derive, generator
from stretto.core.signals import Speech
from stretto.data import rooms, talk_wide
from stretto.data.clips import paused, pauses_that_fit
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_style import spoken_words
from stretto.data.voices import somebody

T = TypeVar("T")
ROOMY = 0.5
"""Share of compositions in a room with echoes."""


class Draw:
    """Draws by role: the same role gives the same choice, whatever else was drawn before."""

    def __init__(self, seed: int, split: str, tasks: Sequence[str], voices: SpeechCache) -> None:
        self.seed, self.split, self.tasks, self._voices = derive(seed, "compose", split), split, tuple(tasks), voices
        self.placement = derive(self.seed, "placement") % 2**31
        self.speaker, self._settings, self._around = self._person("person")

    def rng(self, *role: str | int) -> np.random.Generator:
        """A generator for one role."""
        return generator(self.seed, *role)

    def pick(self, options: Sequence[T], *role: str | int) -> T:
        """One of several."""
        return options[int(self.rng(*role).integers(len(options)))]

    def weighted(self, shares: dict[str, float], *role: str | int) -> str:
        """One of several names, by their shares."""
        weights = np.array(list(shares.values()), float)
        return list(shares)[int(self.rng(*role).choice(len(weights), p=weights / weights.sum()))]

    def between(self, low: float, high: float, *role: str | int) -> float:
        """A number."""
        return float(self.rng(*role).uniform(low, high))

    def chance(self, share: float, *role: str | int) -> bool:
        """Yes, in that share of cases."""
        return bool(self.rng(*role).random() < share)

    def saying(self, intent: str, *role: str | int, goal: str = "") -> talk_wide.Saying:
        """A line of the wide grammar."""
        return talk_wide.draw(intent, derive(self.seed, "saying", intent, *role) % 2**31, self.split, None, goal)

    def line(self, intent: str, *role: str | int, goal: str = "") -> Speech:
        """The same, spoken."""
        return self.speak(self.saying(intent, *role, goal=goal))

    def speak(self, said: talk_wide.Saying | str, stranger: bool = False) -> Speech:
        """A line in the person's voice, with its pauses, as it reaches the microphone; or in somebody else's."""
        name, settings, around = self._person("stranger") if stranger else (self.speaker, self._settings, self._around)
        text = said if isinstance(said, str) else said.text
        speech = self._voices.speak(text, name, **settings)
        if not isinstance(said, str):
            speech = paused(speech, pauses_that_fit(speech, said.pauses, len(spoken_words(text))))
        heard = rooms.heard_in(speech, around, self.seed % 2**31)
        return Speech(text=text, sound=heard.sound, words=heard.words, speaker=name)

    def _person(self, role: str) -> tuple[str, dict[str, Any], rooms.Surroundings]:
        rng = self.rng(role)
        name, settings = somebody(rng, self.split)
        around = rooms.Surroundings(
            speed=round(float(np.exp(rng.normal(0, 0.03))), 3),
            rt60_s=round(float(rng.uniform(0.1, 0.6)), 2) if rng.random() < ROOMY else None,
            direct_db=round(float(rng.uniform(2, 12)), 1),
            level=round(float(rng.uniform(-34, -18)), 1),
        )
        return name, settings, around
