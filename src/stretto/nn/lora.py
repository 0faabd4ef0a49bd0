"""Low-rank adapters on linear layers: y = W x + (alpha / rank) · B A x, W frozen (Hu et al., 2021).

Merging adds the product to W, so that the live model pays nothing for it; unmerging gives back the very bits of W,
because they are kept, not subtracted. `BorrowedLoRA` leaves the layer where it is, for whoever uses it without.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.errors import StrettoError


class LoRA(nn.Module):
    """A linear layer with an adapter. B starts at zero, so the layer starts as it was."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float | None = None) -> None:
        super().__init__()
        if rank < 1:
            raise StrettoError(f"A low-rank adapter needs a rank of at least 1, got {rank}.")
        self.base = base.requires_grad_(False)
        self.scale = (rank if alpha is None else alpha) / rank
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / rank**0.5 / 10)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self._kept: Tensor | None = None

    def forward(self, x: Float[Tensor, "... inner"]) -> Float[Tensor, "... outer"]:
        """Base and adapter, or the base alone once they are merged."""
        if self._kept is not None:
            return self.base(x)
        return self.base(x) + self.scale * ((x @ self.down.T.to(x.dtype)) @ self.up.T.to(x.dtype))

    @property
    def merged(self) -> bool:
        """Whether the adapter is in the base's weight."""
        return self._kept is not None

    @property
    def weight(self) -> Tensor:
        """W + (alpha / rank) · B A, whether merged or not."""
        if self._kept is not None:
            return self.base.weight
        wide = torch.promote_types(self.base.weight.dtype, torch.float32)
        product = self.scale * (self.up.to(wide) @ self.down.to(wide))
        return (self.base.weight.to(wide) + product).to(self.base.weight.dtype)

    @torch.no_grad()
    def merge(self) -> None:
        """Put the adapter into the weight. Merging twice changes nothing."""
        if self._kept is None:
            merged = self.weight
            self._kept = self.base.weight.detach().clone()
            self.base.weight.copy_(merged)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Bring back the base's weight, bit for bit."""
        if self._kept is not None:
            self.base.weight.copy_(self._kept)
            self._kept = None


class BorrowedLoRA(nn.Module):
    """An adapter on a linear layer that stays with its owner: its weight is neither copied nor counted here, and has
    whatever form it has there, quantised or not. Starts as the layer itself."""

    def __init__(self, owner: nn.Module, name: str, rank: int) -> None:
        """The layer is `owner.name`."""
        super().__init__()
        base = getattr(owner, name)
        self._owner, self._name = (owner,), name  # in a tuple: it is no part of this module
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / rank**0.5 / 10)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    @property
    def weight(self) -> Tensor:
        """The sum of both, while the owner has a weight."""
        return getattr(self._owner[0], self._name).weight + self.up @ self.down

    def forward(self, x: Float[Tensor, "... tokens inner"], plain: int = 0) -> Float[Tensor, "... tokens outer"]:
        """The layer as its owner has it, and the adapter on all tokens but the first `plain`."""
        found = getattr(self._owner[0], self._name)(x)
        if not plain:
            return found + self._change(x)
        return torch.cat([found[..., :plain, :], found[..., plain:, :] + self._change(x[..., plain:, :])], dim=-2)

    def _change(self, x: Tensor) -> Tensor:
        return (x @ self.down.T.to(x.dtype)) @ self.up.T.to(x.dtype)


def adapt(module: nn.Module, rank: int, names: tuple[str, ...] = ("qkv", "out", "gate_up", "down")) -> list[LoRA]:
    """Give every linear layer below `module` whose attribute is one of `names` an adapter; returns them."""
    made = []
    for owner in list(module.modules()):
        if isinstance(owner, LoRA):
            continue
        for name, child in list(owner.named_children()):
            if name in names and isinstance(child, nn.Linear):
                made.append(LoRA(child, rank))
                setattr(owner, name, made[-1])
    return made


def adapters(module: nn.Module) -> Iterator[LoRA]:
    """All adapters below `module`."""
    return (child for child in module.modules() if isinstance(child, LoRA))
