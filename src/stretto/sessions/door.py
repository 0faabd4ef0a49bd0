"""What a running session shares with the outside: sound in, and all that happens out, piece by piece.

A session with a door hands out its voice, pictures, events and control periods as they come, every 40 ms while it waits
for its next tick, and keeps only its last minutes. Orders from outside (hush, halt, release) are carried out then too;
a halt that cannot wait even for that goes by the latch in shared memory (runtime/process.py).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32

from stretto.core.protocols import Context, Utterance
from stretto.core.signals import Event, Image, Playback
from stretto.runtime.world import Report, Step
from stretto.sessions.microphone import Microphone
from stretto.sessions.trace import Tick

PUMP_S = 0.04
"""How often a waiting session hands out what has come."""

Order = Literal["hush", "halt", "release"]


@dataclass(kw_only=True)
class Flow:
    """What came out of a session up to `t`, since the flow before it.

    `voice` begins at session time `voice_t`; `heard` is the sound of the tick that ended, `tick` that tick, both None
    between ticks.
    """

    t: float = 0.0
    voice_t: float = 0.0
    voice: Float32[np.ndarray, " samples"] = field(default_factory=lambda: np.zeros(0, np.float32))
    events: list[Event] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    playback: Playback = field(default_factory=Playback)
    heard: Float32[np.ndarray, " samples"] | None = None
    tick: Tick | None = None


class Door:
    """The two directions of a live session. `send` must not block; it is called in the session's thread.

    `keep_s`: how much of itself the session keeps. `lag_s`: how much later the listener hears the voice than the mixer
    plays it, as he says himself. `closed`: the session ends at its next tick. `context`: what the agent was told;
    `now`: the session's time.
    """

    def __init__(self, send: Callable[[Flow], None], ear: Microphone | None = None, keep_s: float = 120.0) -> None:
        self.ear, self.keep_s = ear or Microphone(), keep_s
        self.lag_s, self.closed = 0.0, False
        self.context: Context | None = None
        self.now: Callable[[], float] = lambda: 0.0
        self._send, self._orders = send, deque[Order]()
        self._flow, self._voice = Flow(), list[np.ndarray]()

    def order(self, what: Order) -> None:
        """Have something done at the session's next moment; from any thread. `release` lets the latch go; the arm stays
        halted until the agent moves it."""
        self._orders.append(what)

    def orders(self) -> list[Order]:
        """What was ordered since the last call."""
        found = []
        while self._orders:
            found.append(self._orders.popleft())
        return found

    def open(self, now: Callable[[], float], context: Context) -> None:
        """The session begins: from here on `now` tells its time, and the microphone is open."""
        self.context, self.now = context, now
        self.ear.open(now)

    def see(self, event: Event) -> None:
        """An event, when it becomes known."""
        self._flow.events.append(event)

    def hold(self, report: Report, voice: Float32[np.ndarray, " samples"]) -> None:
        """What world and mixer gave; goes out with the next flow."""
        self._flow.images += report.images
        self._flow.steps += report.steps
        self._voice.append(voice)

    def ticked(self, tick: Tick, heard: Float32[np.ndarray, " samples"]) -> None:
        """A tick has ended."""
        self._flow.tick, self._flow.heard = tick, heard

    def hand_out(self, t: float, playback: Playback) -> None:
        """Send all of it."""
        flow, self._flow = self._flow, Flow(voice_t=t)
        flow.t, flow.playback = t, playback
        if self._voice:
            flow.voice, self._voice = np.concatenate(self._voice), []
        self._send(flow)


class Visitor:
    """The person at the other side of a door: types when he likes, and speaks through the microphone."""

    def __init__(self, longest: int = 16) -> None:
        self._typed: deque[str] = deque()
        self._longest = longest

    def type(self, text: str) -> bool:
        """Say something in writing; from any thread. False when too much waits already, and it was not taken."""
        if len(self._typed) >= self._longest:
            return False
        self._typed.append(text)
        return True

    def observe(self, t: float, until: float, events: tuple[Event, ...]) -> Utterance | None:
        """The next line that was typed, one a tick."""
        del until, events
        return Utterance(t=t, intent="typed", typed=self._typed.popleft()) if self._typed else None
