"""What a scorer may know of an episode: physics and sound, never what the agent says of itself.

An `Episode` holds the control steps, the truth of the world after each of them, what the person said with absolute word
times, the sound of the agent's voice, and the ticks. `episode_of` makes it from a session's trace; `injected.py` makes
it by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stretto.core.protocols import Utterance
from stretto.core.signals import Sound, Word
from stretto.runtime.world import Step
from stretto.sessions.trace import Tick, Trace
from stretto.sessions.watched import Truth

VOICE_RATE = 22_050


@dataclass(frozen=True, kw_only=True)
class Said:
    """Something the person said: `start` and `end` (the last phoneme's) in session time, `words` too."""

    role: str
    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()


def _silent() -> Sound:
    return Sound(samples=np.zeros(0, np.float32), rate=VOICE_RATE)


@dataclass(kw_only=True)
class Episode:
    """One episode as the scorers see it. `fault`: how the agent broke it, or ""."""

    steps: Sequence[Step] = ()
    truth: Sequence[Truth] = ()
    said: Sequence[Said] = ()
    voice: Sound = field(default_factory=_silent)
    ticks: Sequence[Tick] = ()
    tick_s: float = 0.2
    seconds: float = 0.0
    fault: str = ""

    def of(self, role: str) -> Said | None:
        """The last thing said in a role, or None when it was never said."""
        return next((said for said in reversed(self.said) if said.role == role), None)


def said_of(utterance: Utterance) -> Said:
    """An utterance of a session with absolute times."""
    speech, t = utterance.speech, utterance.t
    if speech is None:
        return Said(role=utterance.intent, text=utterance.typed or "", start=t, end=t)
    words = tuple(Word(word.text, t + word.start, t + word.end) for word in speech.words)
    return Said(role=utterance.intent, text=speech.text, start=t, end=t + speech.end, words=words)


def episode_of(trace: Trace, truth: Sequence[Truth], fault: str = "") -> Episode:
    """The episode that a session's trace and its world's truth make."""
    return Episode(
        steps=trace.steps,
        truth=truth,
        said=[said_of(utterance) for utterance in trace.utterances],
        voice=trace.voice or _silent(),
        ticks=trace.ticks,
        tick_s=trace.tick_s,
        seconds=trace.seconds,
        fault=fault,
    )
