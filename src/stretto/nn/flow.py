"""How far a sample has come on its way from noise to action, as a vector that a network can read.

A flow head is told the flow time of every action: 0 is noise, 1 is the clean action. A single number is a poor input,
so it is spread over sines and cosines of geometrically spaced frequencies, as transformers do with positions (Vaswani
et al., "Attention Is All You Need", 2017). Angles are computed in float64, so bfloat16 weights see the same times.

Needs: torch. Does not know: what is denoised, or by which schedule.
"""

import math

import torch
from jaxtyping import Float

from stretto.core.errors import StrettoError

LONGEST, SHORTEST = 4.0, 0.01
"""Periods in units of flow time: the slowest wave is monotone over [0, 1], the fastest tells 0.99 from 1."""


def time_embedding(
    time: Float[torch.Tensor, "*batch"], width: int, dtype: torch.dtype = torch.float32
) -> Float[torch.Tensor, "*batch width"]:
    """Flow times in [0, 1], one per action, as vectors of `width`; raises StrettoError when `width` is odd or below 4.

    With n = width / 2 waves of period p_j = LONGEST · (SHORTEST / LONGEST)^(j / (n - 1)), j = 0 … n - 1:

        embedding(t) = [sin(2π t / p_0) … sin(2π t / p_{n-1}), cos(2π t / p_0) … cos(2π t / p_{n-1})]
    """
    if width < 4 or width % 2:
        raise StrettoError(f"Expected an even width of at least 4 for the embedding of flow time, got {width}.")
    exponent = torch.linspace(0, 1, width // 2, dtype=torch.float64, device=time.device)
    periods = LONGEST * (SHORTEST / LONGEST) ** exponent
    angles = time.to(torch.float64).unsqueeze(-1) * (2 * math.pi / periods)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).to(dtype)
