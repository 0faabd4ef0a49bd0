"""Which sound is made in each frame of 20 ms, read from the grains of an ear, and what was read in the last ticks.

    readout = SoundReadout.Config(width=192, kinds=43).build()
    chances = readout(found)                 (batch, ticks, 10, 192) -> (batch, ticks, 10, 44), logarithms
    last = readout.step(found, None)         (batch, 1, 10, 192) -> (batch, 6, 10, 44), this tick and those before it

Source: the output of connectionist temporal classification (Graves et al., 2006). Needs: torch. Does not know which
sounds there are, nor how it learns (train/hear_sounds.py).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError


class SoundReadout(nn.Module, Configurable):
    """Grains of ticks to the chances of sounds in their frames; 0 is none."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`width` of a grain's state; of a tick's grains the first `settled` are read, `each` frames from one. `kinds`
        of sounds. `ticks`: how many are carried on.
        """

        width: int = 192
        settled: int = 5
        each: int = 2
        kinds: int = 43
        ticks: int = 7

        def __post_init__(self) -> None:
            for name in ("width", "settled", "each", "kinds", "ticks"):
                if getattr(self, name) < 1:
                    raise StrettoError(f"Expected SoundReadout.Config.{name} of at least 1, got {getattr(self, name)}.")

        @classmethod
        def tiny(cls) -> "SoundReadout.Config":
            """One grain of one frame a tick, two kinds."""
            return cls(width=8, settled=1, each=1, kinds=2, ticks=2)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.out = nn.Linear(config.width, config.each * (1 + config.kinds))

    def forward(self, found: Float[Tensor, "batch ticks grains width"]) -> Float[Tensor, "batch ticks frames sounds"]:
        """Logarithms of the chances of no sound and of each kind, in every frame."""
        scores = self.out(found[:, :, : self.config.settled])
        return F.log_softmax(scores.unflatten(-1, (self.config.each, -1)).flatten(2, 3).float(), -1)

    def step(
        self, found: Float[Tensor, "batch 1 grains width"], last: Tensor | None
    ) -> Float[Tensor, "batch ticks frames sounds"]:
        """The chances of the last ticks, after this one; None is before the first, when there was no sound."""
        now = self(found)
        if last is None:
            last = F.one_hot(torch.zeros(len(now), self.config.ticks, now.shape[2], dtype=torch.int64), now.shape[3])
            last = last.to(now.dtype).log()
        return torch.cat([last[:, 1:], now], 1)
