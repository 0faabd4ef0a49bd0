"""The reflex inside a session: who hands it sound, and what becomes of its alarms.

On the virtual clock the reflex runs here, on exactly what the microphone will have heard, and each alarm reaches the
world when its frame is over and the time drawn for the spotter has passed. On the wall clock it is a process of its own
that raises the world's flag by itself; a microphone that is pushed from outside hands it every piece as it arrives, any
other one is read for it as time passes. A reflex whose process dies halts the arm.

Needs: runtime/reflex.py. Does not know agents.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from stretto.core.clock import Clock
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, Act, Event, Kind
from stretto.core.sound import resample
from stretto.runtime.delays import Delays
from stretto.runtime.echo import BLOCK, EchoCanceller
from stretto.runtime.reflex import Reflex, ReflexProcess
from stretto.runtime.world import Alarm, Command
from stretto.sessions.door import Door

SPOTTER = "spotter"
"""What a frame of the spotter is called on the latency card."""


@runtime_checkable
class Ear(Protocol):
    """A microphone that can be read without forgetting."""

    def read(self, start: float, end: float) -> np.ndarray:
        """The sound between two session times (16 kHz)."""
        ...


class Guard:
    """Feeds a reflex with one session's sound. `post` hands a command to the world."""

    def __init__(
        self, reflex: Reflex | ReflexProcess, post: Callable[[Command, float], None], clock: Clock, delays: Delays
    ) -> None:
        self.reflex, self._post, self._clock, self._delays = reflex, post, clock, delays
        self._dead = False

    def begin(self, seed: int, noise_dbfs: float) -> None:
        """A session begins."""
        self.reflex.start()
        self._rng, self._floor = generator(seed, "reflex floor"), 10 ** (noise_dbfs / 20)
        self._heard = 0.0

    def played(self, t: float, voice: Float32[np.ndarray, " samples"], rate: int) -> None:
        """What the robot says from session time `t` on."""
        if len(voice) and np.any(voice):
            self.reflex.play(t, resample(voice, rate, HEARING_RATE))

    def hear(self, ear: Ear, until: float) -> None:
        """Listen to the microphone up to session time `until`, where nobody hands the pieces over."""
        if until <= self._heard:
            return
        samples = ear.read(self._heard, until)
        noisy = (samples + self._rng.normal(0, self._floor, len(samples))).astype(np.float32)
        if isinstance(self.reflex, Reflex):
            for word in self.reflex.hear(self._heard, noisy):
                late = self._delays.draw(SPOTTER) if self._clock.name == "virtual" else 0.0
                self._post(Alarm(word.word), word.t + late)
        else:
            self.reflex.hear(self._heard, noisy)
        self._heard = until

    @contextmanager
    def tapping(self, door: Door | None) -> Iterator[None]:
        """Meanwhile a microphone that is pushed from outside hands each piece over as it arrives."""
        if door is None:
            yield
            return

        def tap(t: float, samples: np.ndarray) -> None:
            self.reflex.hear(t, samples)

        door.ear.taps.append(tap)
        try:
            yield
        finally:
            door.ear.taps.remove(tap)

    def check(self, now: float) -> list[Event]:
        """A fault, once, when the reflex's process has ended; the arm is halted then."""
        if self._dead or isinstance(self.reflex, Reflex):
            return []
        try:
            self.reflex.alarms()
        except StrettoError as error:
            self._dead = True
            self._post(Act.HALT, now)
            return [Event(kind=Kind.FAULT, t=now, source="session", text=str(error))]
        return []


class OwnVoice:
    """Takes the robot's voice out of what the agent hears, tick by tick."""

    def __init__(self, tick_s: float) -> None:
        if round(tick_s * HEARING_RATE) % BLOCK:
            unit = 1000 * BLOCK // HEARING_RATE
            raise StrettoError(f"Expected a tick of whole {unit} ms to cancel echo in, got {tick_s} s.")
        self._canceller = EchoCanceller.Config().build()
        self._voice: list[np.ndarray] = []

    def played(self, voice: Float32[np.ndarray, " voice"], rate: int) -> None:
        """What the loudspeaker played next."""
        self._voice.append(resample(voice, rate, HEARING_RATE))

    def out_of(self, heard: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
        """What was heard in a tick without what was played in it."""
        played = np.zeros(len(heard), np.float32)
        known = np.concatenate([*self._voice, np.zeros(0, np.float32)])[: len(heard)]
        played[: len(known)] = known
        self._voice = []
        return self._canceller.clean(heard, played)
