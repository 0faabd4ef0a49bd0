"""What flows between a world, an agent and a person: plain dataclasses of unbatched numpy.

Times are session seconds. Sound is mono float32 in [-1, 1]. Images are uint8 RGB. An action is the robot's own command
for one control period (LIBERO: dx dy dz drx dry drz in units of the controller's step, and the gripper: +1 closes, -1
opens, 0 holds). Terms are those of docs/architecture.md.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

HEARING_RATE = 16_000
"""Samples per second of all sound that an agent hears."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A stretch of mono sound."""

    samples: Float32[np.ndarray, " samples"]
    rate: int

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Word:
    """One spoken word; `start` and `end` in seconds from the start of its sound."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A spoken sentence: its text, its sound, and when each word is said."""

    text: str
    sound: Sound
    words: tuple[Word, ...]
    speaker: str = ""

    @property
    def end(self) -> float:
        """Seconds from the start of the sound to the end of its last word."""
        return self.words[-1].end if self.words else self.sound.seconds


@dataclass(frozen=True, kw_only=True)
class Image:
    """One camera picture and the session time of the state it shows."""

    camera: str
    t: float
    pixels: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class ActionChunk:
    """`values[k]` is due at `start + k / rate`. Never an untimed array."""

    values: Float[np.ndarray, "steps actions"]
    rate: float
    start: float

    @property
    def end(self) -> float:
        """The session time at which the chunk has run out."""
        return self.start + len(self.values) / self.rate


@dataclass(frozen=True, kw_only=True)
class Playback:
    """What became of the agent's own voice: all that was heard so far, what sounds now, what is still queued."""

    heard: str = ""
    speaking: bool = False
    queued_s: float = 0.0


class Kind(enum.StrEnum):
    """What can happen in a session."""

    USER_STARTED = "user started"
    USER_STOPPED = "user stopped"
    USER_TYPED = "user typed"
    HEARD = "heard"
    SPEECH_STARTED = "speech started"
    SPEECH_STOPPED = "speech stopped"
    SPEECH_CUT = "speech cut"
    ACTION_STARTED = "action started"
    ACTION_HALTED = "action halted"
    ACTION_RESUMED = "action resumed"
    ACTION_SWITCHED = "action switched"
    ACTION_COMPLETED = "action completed"
    ACTION_REJECTED = "action rejected"
    CLARIFICATION_ASKED = "clarification asked"
    SCENE_ANSWER = "scene answer"
    DEADLINE_MISSED = "deadline missed"
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, with its session time. `source` is user, agent, world or session."""

    kind: Kind
    t: float
    source: str
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class Act(enum.StrEnum):
    """What an output says of the arm as a whole. HALT voids every action not yet applied; MOVE lifts a halt."""

    KEEP = "keep"
    MOVE = "move"
    HALT = "halt"


@dataclass(frozen=True, kw_only=True)
class SkillRequest:
    """A request of a privileged agent to the skill inside the world process.

    `verb`: `start` (goal), `stop`, `ask` (goal holds the topic; the answer comes back as a SCENE_ANSWER event).
    """

    verb: str
    goal: str = ""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What reached the agent in one tick. A world fills `t`, `proprio`, `action`, `images`; the session the rest."""

    t: float
    proprio: Float32[np.ndarray, " proprio"]
    action: Float32[np.ndarray, " actions"]
    images: tuple[Image, ...] = ()
    tick: int = 0
    sound: Sound | None = None
    text: str | None = None
    playback: Playback = field(default_factory=Playback)
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Output:
    """What the agent emitted in one tick. `say`, `heard`: text of the streams; `speech`: sound for the mixer."""

    heard: str = ""
    say: str = ""
    speech: tuple[Speech, ...] = ()
    hush: bool = False
    act: Act = Act.KEEP
    chunk: ActionChunk | None = None
    skill: tuple[SkillRequest, ...] = ()
    events: tuple[Event, ...] = ()
