"""A person with a script who looks at the robot: speaks when the world calls for it, not when the agent reports.

A `Prompt` waits for `when` (a condition on the watched world: the arm moves, holds something, has reached a goal), then
`wait_s`, and if `polite` until the robot has been quiet for a moment. If the condition has not come after `patience_s`
the line is said all the same, and the prompt is marked as missed: a stop that stops nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stretto.core.protocols import Utterance
from stretto.core.signals import Event, Kind, Sound, Speech, Word
from stretto.sessions.watched import Watched, moved

When = Callable[[Watched, float], bool]
"""(the world, since the last line ended) -> whether the moment has come."""

QUIET_S = 0.4
MOVING_M = 0.02


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """What an arm that knows the script does once a line was said: follow a goal, halt, move on, say something.

    `answers`: what to say by the key of the scene's true answer, and `answer`: by the scene itself; else `say`.
    """

    goal: str = ""
    halt: bool = False
    move: bool = False
    say: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    answer: Callable[[Any], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One thing the person says, or types (`typed`). `when` None: at once (after the line before)."""

    role: str
    speech: Speech
    when: When | None = None
    wait_s: float = 1.0
    patience_s: float = 6.0
    polite: bool = False
    typed: bool = False
    reaction: Reaction = field(default_factory=Reaction)


def acting(world: Watched, since: float) -> bool:
    """The arm has moved 2 cm since the line before ended."""
    return moved(world, since) >= MOVING_M


def grasping(world: Watched, since: float) -> bool:
    """Both fingers touch something, or something is in the hand."""
    return acting(world, since) and world.truth[-1].contact


def holding(world: Watched, since: float) -> bool:
    """An object is in the hand and lifted by 2 cm."""
    return bool(world.truth[-1].held) and world.truth[-1].height > 0.02


def reached(goal: str) -> When:
    """A goal's predicate holds."""
    return lambda world, since: goal in world.truth[-1].holds


def stands(world: Watched, since: float) -> bool:
    """The arm has not moved a centimetre in the last second."""
    return world.path[-1][0] > since + 1.0 and moved(world, world.path[-1][0] - 1.0) < 0.01


class Director:
    """A `User` that plays prompts. `said` and `missed` tell what became of them."""

    def __init__(self, prompts: Sequence[Prompt], world: Watched) -> None:
        self.prompts, self.world = list(prompts), world
        self.said: list[Utterance] = []
        self.missed: set[str] = set()
        self._free = 0.0
        self._due: float | None = None
        self._speaking, self._quiet_from = False, 0.0

    def observe(self, t: float, until: float, events: tuple[Event, ...]) -> Utterance | None:
        """Called each tick with what happened in it; a line begins within the coming tick, [t, until)."""
        self._listen(events)
        if len(self.said) >= len(self.prompts):
            return None
        prompt = self.prompts[len(self.said)]
        self._decide(prompt, t)
        if self._due is None or self._due >= until:
            return None
        if prompt.polite and (self._speaking or t < self._quiet_from + QUIET_S) and t < self._due + prompt.patience_s:
            return None
        start = max(self._due, t)
        self._free, self._due = start + (0.0 if prompt.typed else prompt.speech.end), None
        how = {"typed": prompt.speech.text} if prompt.typed else {"speech": prompt.speech}
        self.said.append(Utterance(t=start, intent=prompt.role, **how))
        return self.said[-1]

    @property
    def over(self) -> bool:
        """Everything was said, up to its last phoneme."""
        return len(self.said) == len(self.prompts) and self.world.t >= self._free

    @property
    def last_end(self) -> float:
        """When the last line said ended."""
        return self._free

    def _decide(self, prompt: Prompt, t: float) -> None:
        if self._due is not None:
            return
        if prompt.when is None:
            self._due = self._free + prompt.wait_s
        elif t >= self._free and prompt.when(self.world, self._free):
            self._due = t + prompt.wait_s
        elif t >= self._free + prompt.patience_s:
            self._due = t
            self.missed.add(prompt.role)

    def _listen(self, events: tuple[Event, ...]) -> None:
        for event in events:
            if event.kind is Kind.SPEECH_STARTED:
                self._speaking = True
            elif event.kind in (Kind.SPEECH_STOPPED, Kind.SPEECH_CUT):
                self._speaking, self._quiet_from = False, event.t


def paused(speech: Speech, seconds: float, rng: np.random.Generator) -> Speech:
    """The speech with a silence between two of its words; with fewer than three words unchanged."""
    if len(speech.words) < 3:
        return speech
    k = int(rng.integers(1, len(speech.words)))
    cut_s = (speech.words[k - 1].end + speech.words[k].start) / 2
    rate = speech.sound.rate
    cut, fade = round(cut_s * rate), max(1, rate // 200)
    before, after = speech.sound.samples[:cut].copy(), speech.sound.samples[cut:].copy()
    before[-fade:] *= np.linspace(1, 0, len(before[-fade:]), dtype=np.float32)
    after[:fade] *= np.linspace(0, 1, len(after[:fade]), dtype=np.float32)
    samples = np.concatenate([before, np.zeros(round(seconds * rate), np.float32), after])
    moved = [Word(w.text, w.start + seconds * (i >= k), w.end + seconds * (i >= k)) for i, w in enumerate(speech.words)]
    sound = Sound(samples=samples.astype(np.float32), rate=rate)
    return Speech(text=speech.text, sound=sound, words=tuple(moved), speaker=speech.speaker)
