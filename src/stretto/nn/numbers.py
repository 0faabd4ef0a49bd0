"""Physical numbers as one vector that a network can read: each centred, scaled, and spread over waves.

Metres and radians come in scales of their own: a finger moves by 2 cm, a joint by a radian, and how wide the fingers
stand decides whether something is held. So every number is brought to mean 0 and deviation 1 over the training data,
and its fine differences are told by sines and cosines of 1, 2, 4 … periods in two deviations (as in Mildenhall et al.,
"NeRF", 2020; Tancik et al., "Fourier Features", 2020). The statistics are kept beside the weights.

Needs: torch. Does not know what the numbers mean.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

FAR = 4.0
"""Deviations at which a number is cut."""

OUTER = 0.01
"""Share of the data on either side that statistics do not count: arms that were thrown off."""


class NumberEmbedding(nn.Module):
    """`numbers` numbers as a vector of `width`, with `waves` doublings of frequency."""

    centre: Tensor
    scale: Tensor

    def __init__(self, numbers: int, width: int, waves: int = 3) -> None:
        super().__init__()
        self.waves = waves
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("scale", torch.ones(numbers))
        self.out = nn.Linear(numbers * (1 + 2 * waves), width)

    @torch.no_grad()
    def measure(self, data: Float[Tensor, "rows numbers"]) -> None:
        """Take the statistics of training data; in steps of bfloat16, so that a checkpoint holds exactly these."""
        low, high = torch.quantile(data.double(), torch.tensor([OUTER, 1 - OUTER], dtype=torch.float64), dim=0)
        inner = data.double().clamp(low, high)
        self.centre.copy_(inner.mean(0).bfloat16())
        self.scale.copy_(inner.std(0).clamp(min=1e-4).bfloat16())

    def forward(self, values: Float[Tensor, "*batch numbers"]) -> Float[Tensor, "*batch width"]:
        """Numbers in their own units."""
        even = ((values - self.centre) / self.scale).clamp(-FAR, FAR)
        angles = torch.cat([even * (math.pi * 2**wave) for wave in range(self.waves)], -1)
        spread = torch.cat([even, angles.sin(), angles.cos()], -1)
        return self.out(spread.to(self.out.weight.dtype))
