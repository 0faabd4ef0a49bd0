"""Keys and values of a live session: one buffer a layer, of fixed size, written in place and read whole.

Which column holds which token, and who may see it, is bookkeeping of the owner (think/memory.py). Memory and time per
step depend on the number of columns alone, so they stay flat for hours. Keys lie transposed, as attention wants them.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class KeyValues:
    """Buffers for a batch of sessions; `columns[layer]`: how many each layer has."""

    def __init__(
        self, columns: Sequence[int], batch: int, kv_heads: int, head: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.keys = [torch.zeros(batch, kv_heads, head, count, dtype=dtype) for count in columns]
        self.values = [torch.zeros(batch, kv_heads, count, head, dtype=dtype) for count in columns]

    def put(
        self,
        layer: int,
        columns: Int64[Tensor, "batch tokens"],
        keys: Float[Tensor, "batch tokens kv size"],
        values: Float[Tensor, "batch tokens kv size"],
    ) -> None:
        """Overwrite some columns of a layer."""
        into_keys, into_values = self.keys[layer], self.values[layer]
        turned_keys, turned_values = keys.permute(0, 2, 3, 1), values.transpose(1, 2)
        if len(columns) == 1:
            into_keys.index_copy_(3, columns[0], turned_keys.to(into_keys.dtype))
            into_values.index_copy_(2, columns[0], turned_values.to(into_values.dtype))
            return
        into_keys.scatter_(3, columns[:, None, None].expand(turned_keys.shape), turned_keys.to(into_keys.dtype))
        places = columns[:, None, :, None].expand(turned_values.shape)
        into_values.scatter_(2, places, turned_values.to(into_values.dtype))

    def get(self, layer: int) -> tuple[Float[Tensor, "batch kv size columns"], Float[Tensor, "batch kv columns size"]]:
        """All columns of a layer."""
        return self.keys[layer], self.values[layer]

    def move(self, old: Int64[Tensor, " some"], new: Int64[Tensor, " some"]) -> None:
        """Overwrite sessions `new` of the batch with sessions `old`."""
        for some in (*self.keys, *self.values):
            some[new] = some[old]

    def clone(self, rows: Sequence[int] | None = None) -> "KeyValues":
        """A copy, or a copy of some sessions of the batch."""
        copy = object.__new__(KeyValues)
        index = slice(None) if rows is None else list(rows)
        copy.keys = [some[index].clone() for some in self.keys]
        copy.values = [some[index].clone() for some in self.values]
        return copy
