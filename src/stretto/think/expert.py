"""One expert of the backbone: a Llama-like decoder stack in which attention itself is left to the joint.

Every expert has norms, projections and feed-forward of its own; what it shares with the others is the geometry of keys
and values, so that all can be read by all. Width, depth, feed-forward, rotary base and number of query heads are free.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.nn.lora import BorrowedLoRA
from stretto.nn.norm import RMSNorm
from stretto.nn.rope import turn
from stretto.nn.swiglu import SwiGLU


@dataclass(frozen=True, kw_only=True)
class ExpertConfig(BaseConfig):
    """`kv_heads` and `head` must be those of all experts; `joins`: the layers of the deepest expert that this one's
    layers stand in, () for an even spread that ends with the last one. `of`: the expert that this one is, but for
    adapters of `rank`; all else must then be that one's.
    """

    depth: int = 2
    width: int = 16
    heads: int = 2
    kv_heads: int = 1
    head: int = 8
    ffn: int = 32
    theta: float = 10_000.0
    eps: float = 1e-5
    joins: tuple[int, ...] = ()
    of: str = ""
    rank: int = 0

    def adapted(self, of: str, rank: int) -> "ExpertConfig":
        """This expert, named `of`, with adapters."""
        return replace(self, of=of, rank=rank)

    def places(self, deepest: int) -> tuple[int, ...]:
        """The layers of the deepest expert that this expert's layers stand in."""
        if self.joins:
            return self.joins
        return tuple((layer + 1) * deepest // self.depth - 1 for layer in range(self.depth))


class Layer(nn.Module):
    """One layer: `read` gives queries and keys, turned, and values; `write` takes what attention read."""

    def __init__(self, config: ExpertConfig) -> None:
        super().__init__()
        self.config = config
        inner = config.heads * config.head
        self.norm1 = RMSNorm(config.width, config.eps)
        self.qkv = nn.Linear(config.width, inner + 2 * config.kv_heads * config.head, bias=False)
        self.out = nn.Linear(inner, config.width, bias=False)
        self.norm2 = RMSNorm(config.width, config.eps)
        self.ffn = SwiGLU(config.width, config.ffn)

    def read(
        self,
        x: Float[Tensor, "batch tokens width"],
        turns: Sequence[Complex[Tensor, "batch tokens _ half"]],
        *plain: int,
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Queries (batch, tokens, heads, size) once per frame, keys and values (batch, tokens, kv heads, size).

        `turns`: for the first frame those of the queries' heads and of the keys' own, side by side; for each further
        frame those of the queries alone.
        """
        c = self.config
        both = self.qkv(self.norm1(x), *plain).view(*x.shape[:2], c.heads + 2 * c.kv_heads, c.head).to(x.dtype)
        unturned, values = both.split([c.heads + c.kv_heads, c.kv_heads], 2)
        query, keys = turn(unturned, turns[0]).split([c.heads, c.kv_heads], 2)
        return [query] + [turn(unturned[:, :, : c.heads], by) for by in turns[1:]], keys, values

    def write(
        self, x: Float[Tensor, "batch tokens width"], read: Float[Tensor, "batch tokens inner"], *plain: int
    ) -> Float[Tensor, "batch tokens width"]:
        """The residual stream after attention and feed-forward. `plain`: as in `read`."""
        x = x + self.out(read, *plain)
        return x + self.ffn(self.norm2(x), *plain)


class Expert(nn.Module):
    """A stack of layers and a last norm."""

    def __init__(self, config: ExpertConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.norm = RMSNorm(config.width, config.eps)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Normal weights of 1/sqrt(width), outputs into the residual stream scaled down by depth (as GPT-2)."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                scale = weight.shape[1] ** -0.5
                if name.endswith(("out.weight", "down.weight")):
                    scale /= (2 * self.config.depth) ** 0.5
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)


class AdaptedFeedForward(SwiGLU):
    """Another layer's feed-forward with adapters."""

    def __init__(self, base: SwiGLU, rank: int) -> None:
        nn.Module.__init__(self)
        self.gate_up = BorrowedLoRA(base, "gate_up", rank)  # type: ignore[assignment]
        self.down = BorrowedLoRA(base, "down", rank)  # type: ignore[assignment]


class AdaptedLayer(Layer):
    """Another layer with adapters; the norms are that one's."""

    def __init__(self, base: Layer, rank: int) -> None:
        nn.Module.__init__(self)
        self.config = base.config
        self._base = (base,)
        self.qkv = BorrowedLoRA(base, "qkv", rank)  # type: ignore[assignment]
        self.out = BorrowedLoRA(base, "out", rank)  # type: ignore[assignment]
        self.ffn = AdaptedFeedForward(base.ffn, rank)

    @property
    def norm1(self) -> RMSNorm:  # type: ignore[override]
        """The other layer's."""
        return self._base[0].norm1

    @property
    def norm2(self) -> RMSNorm:  # type: ignore[override]
        """The other layer's."""
        return self._base[0].norm2


class AdaptedExpert(Expert):
    """Another expert with adapters of `config.rank`. It begins as that one."""

    def __init__(self, config: ExpertConfig, base: Expert) -> None:
        nn.Module.__init__(self)
        self.config = config
        self._base = (base,)
        self.layers = nn.ModuleList(AdaptedLayer(layer, config.rank) for layer in base.layers)  # type: ignore[arg-type]

    @property
    def norm(self) -> RMSNorm:  # type: ignore[override]
        """The other expert's."""
        return self._base[0].norm

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Nothing: adapters begin at zero."""
