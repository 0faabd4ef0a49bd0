"""A spotter for tests: it hears "stop" in every frame of 512 samples that is loud, and needs no weights."""

from dataclasses import dataclass

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Spotted

FRAME = 512


class Loud(Configurable):
    """Frames whose peak is above 0.5; after one, none for half a second."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        weights: str = ""

    words = ("stop",)

    def __init__(self, config):
        self.config = config

    def start(self):
        return (np.zeros(0, np.float32), 0, -99)

    def step(self, samples, state):
        rest, frames, last = state
        heard, found = np.concatenate([rest, samples]), []
        while len(heard) >= FRAME:
            frames += 1
            if np.abs(heard[:FRAME]).max() > 0.5 and frames - last > 15:
                last = frames
                found.append(Spotted(word="stop", t=frames * FRAME / 16_000, probability=0.9))
            heard = heard[FRAME:]
        return tuple(found), (heard, frames, last)


class Timed(Loud):
    """Hears "stop" once, at the time that stands in place of the weights."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        weights: str = ""

    def step(self, samples, state):
        rest, frames, last = state
        count = frames + len(samples)
        at = float(self.config.weights)
        found = (Spotted(word="stop", t=at, probability=0.9),) if frames / 16_000 < at <= count / 16_000 else ()
        return found, (rest, count, last)
