"""Everything that happened in a session: all streams and all events, each with its session time."""

from dataclasses import dataclass, field

import numpy as np

from stretto.core.protocols import Utterance
from stretto.core.signals import Event, Image, Kind, Observation, Sound
from stretto.runtime.world import Step


@dataclass(frozen=True)
class Tick:
    """One tick of the agent: due at `t`, begun at `begun`, its output delivered at `delivered`."""

    t: float
    begun: float
    delivered: float

    def late(self, tick_s: float) -> bool:
        """The output came after the next tick was due."""
        return self.delivered > self.t + tick_s + 1e-9


@dataclass(kw_only=True)
class Trace:
    """A recorded session.

    `task` is the sentence of the episode's task; `microphone` what the agent heard, `voice` what it said, both from
    session time 0; `first` the robot's view of itself before the first step.
    """

    task: str
    seed: int
    split: str
    clock: str
    tick_s: float
    control_hz: float
    agent: str
    privileged: bool
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    utterances: list[Utterance] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    film: list[Image] = field(default_factory=list)
    costs: list[tuple[str, float]] = field(default_factory=list)
    first: Observation | None = None
    microphone: Sound | None = None
    voice: Sound | None = None

    @property
    def seconds(self) -> float:
        """Length of the session."""
        return self.ticks[-1].t if self.ticks else 0.0

    def of(self, *kinds: Kind, source: str | None = None) -> list[Event]:
        """The events of some kinds, in order of time."""
        found = [e for e in self.events if e.kind in kinds and source in (None, e.source)]
        return sorted(found, key=lambda event: event.t)

    def positions(self) -> np.ndarray:
        """End-effector position after each control period, (steps, 3), metres."""
        return np.array([step.proprio[:3] for step in self.steps], dtype=np.float64).reshape(-1, 3)

    def forget(self, before: float) -> None:
        """Drop what happened before session time `before`."""
        for name in ("steps", "events", "ticks", "utterances", "images", "film"):
            kept = [item for item in getattr(self, name) if item.t >= before]
            getattr(self, name)[:] = kept
        del self.costs[: -2 * max(1, len(self.steps))]
