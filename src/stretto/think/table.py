"""A vocabulary as weights: rows that embed its tokens and score them, our own tokens in rows of their own.

The base is a language model's table, possibly with a head of its own, and is left alone; the few tokens that a layout
adds (`<silence>`, `<halt>` …) stand in `own`, which is trained. So a shipped checkpoint holds only those rows.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from stretto.nn.quantise import quantised
from stretto.think.layout import Vocabulary


class TokenTable(nn.Module):
    """Embeds and scores the tokens of one vocabulary in an expert of `width`."""

    def __init__(self, vocabulary: Vocabulary, width: int, tied: bool = True) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        size = vocabulary.table.size
        self.own = nn.Parameter(torch.randn(len(vocabulary.names), width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(vocabulary.names)))
        self.base = nn.Parameter(torch.randn(size, width) * width**-0.5) if size else None
        self.head: nn.Module | None = nn.Linear(width, size, bias=False) if size and not tied else None

    def embed(self, ids: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        """The rows of `ids`."""
        if self.base is None:
            return nn.functional.embedding(ids, self.own)
        size = len(self.base)
        ours = nn.functional.embedding((ids - size).clamp(min=0), self.own)
        theirs = nn.functional.embedding(ids.clamp(max=size - 1), self.base)
        return torch.where((ids < size)[..., None], theirs.to(ours.dtype), ours)

    def logits(self, states: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch tokens"]:
        """A score per token of the vocabulary, the base first."""
        wide = torch.float64 if states.dtype == torch.float64 else torch.float32
        ours = states.to(self.own.dtype) @ self.own.T + self.bias
        if self.base is None:
            return ours.to(wide)
        theirs = states @ self.base.T.to(states.dtype) if self.head is None else self.head(states)
        return torch.cat([theirs.to(wide), ours.to(wide)], dim=-1)

    def go_live(self) -> None:
        """Score by quantised weights, embed from bfloat16."""
        if self.base is not None:
            weight = self.base if self.head is None else self.head.weight
            self.head = quantised(weight)  # type: ignore[arg-type]
            self.base = nn.Parameter(self.base.detach().to(torch.bfloat16), requires_grad=False)
