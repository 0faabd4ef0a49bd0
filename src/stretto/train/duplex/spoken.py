"""Talk with sound and without a world: a person's lines in a room, and when the arm should move, stand and answer.

That "stop" halts an arm is in the sound of the word and not in a picture, so such sessions cost a voice and no
simulator: two seconds of a core for seventeen of sound, with a line every four seconds and more than one stop or pause
a session. Nothing is seen in them and nothing is played; what is said and decided is learned from them.

Source of the lines: the composer's terms, speakers and rooms (`Draw`), of one split.
"""

from dataclasses import dataclass

import numpy as np
import torch

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.rng import derive
from stretto.core.signals import Speech
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk import GOALS
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.sessions.composer.compose import Line
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.terms.ask_general import question
from stretto.sessions.composer.terms.defective import impossible
from stretto.sessions.microphone import Microphone
from stretto.train.duplex.bed import bedded
from stretto.train.duplex.dialogues import after
from stretto.train.duplex.session import Session

IDLE: dict[str, float] = {"instruct": 56, "defective": 20, "ask_general": 12, "side": 6, "hard": 3, "stop": 3}
MOVING: dict[str, float] = {
    "stop": 34,
    "pause": 22,
    "switch": 8,
    "backchannel": 10,
    "side": 8,
    "hard": 8,
    "ask_general": 10,
}
HALTED: dict[str, float] = {"go_on": 60, "instruct": 16, "side": 8, "backchannel": 8, "ask_general": 8}
"""What is said while nothing is to be done, while the arm moves, and while it was told to stand; and how often."""
HALTING, STARTING = ("stop", "pause"), ("instruct", "switch", "go_on")
STRANGER = 0.5
"""Share of words to somebody else that another person says."""


class Spoken(Configurable):
    """Makes sessions from seeds."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`least`, `most`: lines of a session. `rest`: at most so many seconds from one to the next."""

        split: str = "train"
        least: int = 3
        most: int = 6
        rest: float = 2.5
        tick_s: float = 0.2

    def __init__(self, config: Config, voices: SpeechCache, ear: WhisperEncoder) -> None:
        self.config, self.voices, self.ear = config, voices, ear

    @torch.no_grad()
    def session(self, seed: int) -> Session:
        """The session of a seed."""
        c = self.config
        draw = Draw(derive(seed, "spoken", c.split), c.split, tuple(GOALS), self.voices)
        microphone, lines, about = Microphone(), [], IDLE
        t = draw.between(0.3, 1.2, "begin")
        for number in range(int(draw.rng("lines").integers(c.least, c.most + 1))):
            role = draw.weighted(about, "role", number)
            speech, says = _spoken(draw, role, number)
            moves, halts = role in STARTING, role in HALTING
            lines.append(Line.spoken(role, speech, t, halts, moves, says))
            microphone.add(t, speech.sound)
            about = MOVING if moves else HALTED if halts and about is MOVING else about
            t = after(lines[-1], draw.between(0.8, c.rest, "rest", number))
        ticks = int(t / c.tick_s) + 4
        samples = bedded(microphone.read(0.0, ticks * c.tick_s), derive(seed, "spoken bed"))
        features = self.ear.windows(samples, batch=25).numpy().astype(np.float16)[:ticks]
        return Session.unseen(features, lines, c.tick_s, ("spoken",), seed)

    def close(self) -> None:
        """Nothing is held."""


def _spoken(draw: Draw, role: str, number: int) -> tuple[Speech, str]:
    """A line, and what is said to it."""
    if role in ("ask_general", "defective"):
        said, says = question(draw, number) if role == "ask_general" else impossible(draw, number)
        return draw.speak(said), says
    stranger = role == "side" and draw.chance(STRANGER, "stranger", number)
    return draw.speak(draw.saying(role, number), stranger=stranger), ""
