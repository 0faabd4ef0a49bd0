"""Root-mean-square norm: x · weight / sqrt(mean(x²) + eps) (Zhang & Sennrich, 2019)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Scales the last axis to unit root mean square, then by a learned weight."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps
        self.reach: Tensor | None = None
        self.scaled: Tensor | None = None

    def go_live(self) -> None:
        """The same sum as x · (weight √width) / hypot(|x|, √(width · eps)): half as many passes over the tokens."""
        width = len(self.weight)
        self.reach = torch.tensor((width * self.eps) ** 0.5)
        self.scaled = self.weight.detach() * width**0.5

    def forward(self, x: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
        """The normed input, in the input's dtype."""
        if self.reach is not None and self.scaled is not None:
            size = torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self.reach)
            return x.div(size).mul_(self.scaled)
        weight = self.weight if self.weight.dtype == x.dtype else self.weight.to(x.dtype)
        return nn.functional.rms_norm(x, (x.shape[-1],), weight, self.eps)
