"""Learning rates over a training: warm-up, then a plateau with a linear end, or a cosine."""

import math
from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import unknown


class Schedule(Configurable):
    """The learning rate of each step as a share of the highest one.

    `wsd` (warm-up, stable, decay) stays at 1 until the last `decay` of the steps: a training can be lengthened as long
    as the decay has not begun. `cosine` falls from the warm-up on. Both end at `end`.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`warmup` in steps; `decay` as a share of all steps."""

        form: str = "wsd"
        warmup: int = 200
        decay: float = 0.25
        end: float = 0.02

    def __init__(self, config: Config) -> None:
        if config.form not in ("wsd", "cosine"):
            raise unknown("form of a schedule", config.form, ("wsd", "cosine"))
        self.config = config

    def __call__(self, step: int, steps: int) -> float:
        """The share at `step` of `steps`."""
        c = self.config
        rise = min(1.0, (step + 1) / max(1, c.warmup))
        if c.form == "cosine":
            gone = min(1.0, step / max(1, steps))
            return rise * (c.end + (1 - c.end) * 0.5 * (1 + math.cos(math.pi * gone)))
        length = max(1.0, c.decay * steps)
        left = min(1.0, max(0.0, (steps - step) / length))
        return rise * (c.end + (1 - c.end) * left)
