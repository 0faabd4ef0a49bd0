"""Linear layers of the live ear: int8 weights, and int8 activations with a scale for each row of its own.

A linear layer of 100 rows is bound by arithmetic, and the 8-bit dot products of a CPU with VNNI are four times faster
than its float32 ones. Weights have one scale per output channel; activations are rounded where they enter, with one
scale per row (a moment of one session), so no row's result depends on any other row. Sums are exact in int32.

Source: per-token dynamic quantisation (ZeroQuant, Yao et al. 2022). Needs: torch on a CPU with AVX512-VNNI to be
fast; elsewhere it is right and slow. Not for training: it has no gradient.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_LARGEST = 127
_STEPS = 253
"""Steps from a row's least to its greatest value; one fewer than fits, because both ends are rounded."""


class RowInt8(nn.Module):
    """An `nn.Linear` (with bias) in 8 bits, for live steps.

    A row x becomes integers q = round(x / step - offset) that span -127 to 127, and 0 stays exactly an integer. With
    weights of scale · v in integers, x · w = step · scale · (q · v + offset · Σv).
    """

    weight: Tensor
    scale: Tensor
    total: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach()
        scale = weight.abs().amax(1).clamp(min=1e-12) / _LARGEST
        rounded = (weight / scale[:, None]).round()
        self.register_buffer("weight", rounded.to(torch.int8), persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("total", rounded.sum(1)[None], persistent=False)
        self.register_buffer("bias", linear.bias.detach().clone(), persistent=False)

    def forward(self, x: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """x · weightᵀ + bias, every intermediate overwritten where it lies: passes over memory are what costs here."""
        rows = x.reshape(-1, x.shape[-1])
        low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
        step = (high - low).div_(_STEPS).clamp_(min=1e-6)
        offset = low.div_(step).round_().add_(_LARGEST)
        whole = rows.div(step).sub_(offset).round_().to(torch.int8)
        out = torch._int_mm(whole, self.weight.T).float().addmm_(offset, self.total)
        return out.mul_(step).mul_(self.scale).add_(self.bias).view(*x.shape[:-1], -1)


def fast() -> bool:
    """Whether this CPU has the 8-bit dot products (AVX512-VNNI) that make `RowInt8` faster than float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_vnni", False))
