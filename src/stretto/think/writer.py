"""A language model that goes on writing, many texts at once: sentences to be spoken, for training to hear.

    writer = Writer("smollm2-135m")
    writer.lines("Remarks.\\n- It is late.\\n-", [" It", " We"], rng)      one line each, begun with these tokens

All texts share one prompt, whose keys and values are computed once. Sampled from the smallest set of tokens with a
share of `top` (nucleus sampling, Holtzman et al. 2020).

Needs: torch, the language model's package. Does not know what the lines are for.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stretto.nn.rope import turns
from stretto.think.expert import Expert
from stretto.think.language import config_of, load_expert
from stretto.think.pretrained import load_llama
from stretto.think.text import load_text

MOST = 256
"""Tokens of which one is drawn, at most."""

Past = list[Tensor]
"""Of each layer keys and values (2, batch, kv heads, room, size)."""


class Writer:
    """The model, its tokenizer and how it is sampled."""

    def __init__(self, name: str, temperature: float = 0.9, top: float = 0.95, longest: int = 24) -> None:
        """Raises StrettoError when the model is not installed."""
        shape, weights = load_llama(name)
        self.text, self.temperature, self.top, self.longest = load_text(name), temperature, top, longest
        self.expert = Expert(config_of(shape))
        load_expert(self.expert, weights)
        self.table = weights["embed.weight"]
        self.head = weights.get("head.weight", self.table)
        self.newline = self.text.encode("\n")[0]

    @torch.no_grad()
    def lines(self, prompt: str, begun: Sequence[str], rng: np.random.Generator) -> list[str]:
        """A line for each beginning, up to its end or `longest` tokens; "" for one that did not end. A beginning is one
        token."""
        first = [self.text.encode(text) for text in begun]
        assert all(len(tokens) == 1 for tokens in first), "beginnings of one token"
        shown = torch.tensor([self.text.encode(prompt)])
        at = shown.shape[1]
        alone = self._room(1, at)
        self.read(shown, alone, 0)
        past = self._room(len(begun), at + self.longest)
        for whole, part in zip(past, alone, strict=True):
            whole[:, :, :, :at] = part
        written = torch.tensor(first)
        over = torch.zeros(len(begun), dtype=torch.bool)
        for step in range(self.longest):
            scores = self.read(written[:, -1:], past, at + step)
            written = torch.cat([written, self.drawn(scores, rng)[:, None]], dim=1)
            over |= written[:, -1] == self.newline
            if over.all():
                break
        return [self._line(tokens) for tokens in written.tolist()]

    def _room(self, batch: int, tokens: int) -> Past:
        c = self.expert.config
        return [torch.zeros(2, batch, c.kv_heads, tokens, c.head) for _ in self.expert.layers]

    def _line(self, tokens: list[int]) -> str:
        if self.newline not in tokens:
            return ""
        return self.text.decode(tokens[: tokens.index(self.newline)]).strip()

    def read(self, tokens: Tensor, past: Past, at: int) -> Tensor:
        """Scores of what follows the last of `tokens` (batch, tokens), which stand at `at` and go into the past."""
        c, end = self.expert.config, at + tokens.shape[1]
        by = turns(torch.arange(at, end), c.head, c.theta)[None, :, None].expand(len(tokens), -1, -1, -1)
        x = F.embedding(tokens, self.table)
        for layer, both in zip(self.expert.layers, past, strict=True):
            (query,), keys, values = layer.read(x, [by])  # type: ignore[operator]
            both[0, :, :, at:end], both[1, :, :, at:end] = keys.transpose(1, 2), values.transpose(1, 2)
            keys, values = both[:, :, :, :end]
            mixed = F.scaled_dot_product_attention(
                query.transpose(1, 2), keys, values, is_causal=not at, enable_gqa=True
            )
            x = layer.write(x, mixed.transpose(1, 2).flatten(2))  # type: ignore[operator]
        return self.expert.norm(x[:, -1]) @ self.head.T

    def drawn(self, scores: Tensor, rng: np.random.Generator) -> Tensor:
        """A token for each row of scores."""
        shares, order = (scores / self.temperature).softmax(-1).topk(MOST)
        before = shares.cumsum(-1) - shares
        kept = torch.where(before < self.top, shares, 0.0).cumsum(-1)
        luck = torch.from_numpy(rng.random(len(scores))).to(kept)[:, None] * kept[:, -1:]
        return order.gather(-1, (kept <= luck).sum(-1, keepdim=True).clamp(max=MOST - 1))[:, 0]
