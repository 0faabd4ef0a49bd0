"""The live backend on CPU: weights as int8 with one scale per output channel, activations in bfloat16.

A step of a few tokens is bound by reading the weights, so one byte a weight is what counts; from about a dozen rows on
the product itself is, and a bfloat16 copy of the weight is faster. Each row is rounded by itself and no activation has
a scale, so nothing that one session does changes another (dynamic int8 shares one scale per call: 42 % of the argmax
agree with float32; here 95 %). Adapters (nn/lora.py) are merged before quantising.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.nn.lora import LoRA

FEW = 8
"""Rows up to which int8 is used."""


class Int8Linear(nn.Module):
    """A linear layer without bias, frozen, for live steps. Output in bfloat16."""

    def __init__(self, weight: Float[Tensor, "outer inner"]) -> None:
        super().__init__()
        weight = weight.detach().float()
        scale = (weight.abs().amax(dim=1) / 127).clamp(min=1e-12)
        self.int8: Tensor
        self.scale: Tensor
        self.dense: Tensor
        self.register_buffer("int8", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(torch.bfloat16))
        self.register_buffer("dense", weight.to(torch.bfloat16))

    def forward(self, x: Float[Tensor, "*batch inner"]) -> Float[Tensor, "*batch outer"]:
        """int8 up to FEW rows, bfloat16 above."""
        rows = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        if len(rows) <= FEW:
            out = torch._weight_int8pack_mm(rows, self.int8, self.scale)
        else:
            out = nn.functional.linear(rows, self.dense)
        return out.view(*x.shape[:-1], -1)


def go_live(module: nn.Module) -> nn.Module:
    """Replace every linear layer without bias below `module`, adapters merged, by an Int8Linear. In place."""
    for name, child in list(module.named_children()):
        if isinstance(child, LoRA) or (isinstance(child, nn.Linear) and child.bias is None):
            setattr(module, name, Int8Linear(child.weight))
        else:
            go_live(child)
    return module
