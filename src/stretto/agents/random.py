"""An agent that moves at random: one chunk of small random steps a tick. For tests of worlds and executors."""

from dataclasses import dataclass

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Context
from stretto.core.rng import generator
from stretto.core.signals import ActionChunk, Observation, Output


@dataclass(frozen=True)
class State:
    """What `Random` carries from tick to tick."""

    context: Context


class Random(Configurable):
    """Random chunks, drawn from the session's seed and the tick's number: a replay draws the same."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`scale`: standard deviation of each pose delta. `chunk_s`: length of a chunk."""

        scale: float = 0.3
        chunk_s: float = 0.4

    privileged = False

    def __init__(self, config: Config) -> None:
        self.config = config

    def start(self, context: Context) -> State:
        """Keep the context."""
        return State(context)

    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """A chunk from now on."""
        context = state.context
        rng = generator(context.seed, "random agent", obs.tick)
        steps = max(1, round(self.config.chunk_s * context.control_hz))
        values = np.clip(rng.normal(0, self.config.scale, (steps, context.actions)), -1, 1)
        values[:, 6:] = -1.0
        return Output(chunk=ActionChunk(values=values, rate=context.control_hz, start=obs.t)), state
