"""The live backend on CPU: weights in four or eight bits, activations in bfloat16.

A step of a few tokens is bound by reading and unpacking weights, so fewer bits a weight are what counts.

- A weight that already lies on a grid of 16 levels per group of 32 (a checkpoint that came as Q4_1, such as the
  packaged SmolLM2) goes to `Int4Linear`: nothing is lost but the last bits of a group's scale, so it is both nearer to
  float32 than int8 (relative error 0.2 against 0.9 %) and almost twice as fast at two to four rows. An adapter
  (nn/lora.py) would push it off the grid, so it is computed beside it.
- Any other weight, adapters merged, goes to `Int8Linear`: one scale per output channel, and a float32 copy for calls
  of more than FEW rows, where the product itself is what takes time (and bfloat16 is slower on a CPU without AMX).

Each row is rounded by itself and no activation has a scale, so nothing that one session does changes another (dynamic
int8 with one scale per call: 42 % of the argmax agree with float32).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.nn.lora import LoRA
from stretto.nn.norm import RMSNorm

FEW = 8
"""Rows up to which int8 is used."""

GROUP = 32
"""Weights of one row that share a scale on the 4-bit grid."""

LANES = 16
"""The 8-bit kernel reads rows in steps of so many weights, and past the end of a row that they do not divide."""


class Int8Linear(nn.Module):
    """A linear layer without bias, frozen, for live steps."""

    def __init__(self, weight: Float[Tensor, "outer inner"]) -> None:
        super().__init__()
        weight = weight.detach().float()
        scale = (weight.abs().amax(dim=1) / 127).clamp(min=1e-12)
        self.int8: Tensor
        self.scale: Tensor
        self.dense: Tensor
        self.register_buffer("int8", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(torch.bfloat16))
        self.register_buffer("dense", weight.t().contiguous())

    def forward(self, x: Float[Tensor, "*batch inner"]) -> Float[Tensor, "*batch outer"]:
        """int8 up to FEW rows of whole lanes, else float32."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= FEW and rows.shape[1] % LANES == 0:
            out = torch._weight_int8pack_mm(rows.to(torch.bfloat16), self.int8, self.scale)
        else:
            out = rows.to(self.dense.dtype) @ self.dense
        return out.view(*x.shape[:-1], -1)


class Int4Linear(nn.Module):
    """A linear layer without bias whose weight is (level - 8) · scale + zero in groups of 32. Output in bfloat16."""

    def __init__(self, weight: Float[Tensor, "outer inner"]) -> None:
        super().__init__()
        level, scale, low = levels(weight.detach().float())
        self.packed: Tensor
        self.grid: Tensor
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(level.flatten(1).to(torch.int32), 1)
        grid = torch.stack([scale, low + 8 * scale], dim=-1).transpose(0, 1)
        self.register_buffer("packed", packed)
        self.register_buffer("grid", grid.to(torch.bfloat16).contiguous())

    def forward(self, x: Float[Tensor, "*batch inner"]) -> Float[Tensor, "*batch outer"]:
        """Unpacked on the fly."""
        rows = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        out = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.packed, GROUP, self.grid)
        return out.view(*x.shape[:-1], -1)


def levels(
    weight: Float[Tensor, "outer inner"],
) -> tuple[Float[Tensor, "outer groups 32"], Float[Tensor, "outer groups"], Float[Tensor, "outer groups"]]:
    """The nearest 4-bit grid of a weight: levels 0 … 15 in groups of 32, the groups' scales and lowest values."""
    groups = weight.unflatten(1, (-1, GROUP))
    low, high = groups.amin(dim=-1), groups.amax(dim=-1)
    scale = ((high - low) / 15).clamp(min=1e-12)
    return ((groups - low[..., None]) / scale[..., None]).round(), scale, low


def on_grid(weight: Float[Tensor, "outer inner"], tolerance: float = 1e-4) -> bool:
    """Whether a weight is its own nearest 4-bit grid, and of a shape that `Int4Linear` takes."""
    if weight.shape[1] % GROUP or weight.shape[0] % GROUP:
        return False
    weight = weight.detach().float()
    level, scale, low = levels(weight)
    error = level * scale[..., None] + low[..., None] - weight.unflatten(1, (-1, GROUP))
    return bool(error.abs().max() <= tolerance * weight.abs().max())


def quantised(weight: Float[Tensor, "outer inner"]) -> nn.Module:
    """The live form of a linear layer's weight: 4 bits where nothing is lost by it, else 8."""
    return Int4Linear(weight) if on_grid(weight) else Int8Linear(weight)


def go_live(module: nn.Module) -> nn.Module:
    """Give every norm and every linear layer without bias below `module` its live form, in place. Adapters on a 4-bit
    weight stay beside it, others are merged.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, LoRA):
            child.unmerge()
            if on_grid(child.base.weight):
                child.base = Int4Linear(child.base.weight)  # type: ignore[assignment]
            else:
                setattr(module, name, Int8Linear(child.weight))
        elif isinstance(child, nn.Linear) and child.bias is None:
            setattr(module, name, quantised(child.weight))
        elif isinstance(child, RMSNorm):
            child.go_live()
        else:
            go_live(child)
    return module
