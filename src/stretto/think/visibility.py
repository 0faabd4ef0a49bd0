"""Who sees whom: one rule for the training mask and for the rings of a live session.

A query sees a key of its own session iff all of these hold:
- its stream is among those that the query's stream sees;
- the key is not too old: at most `keep` ticks (streams on time), or tokens of its own stream (streams on text);
- it comes from an earlier pass and was stored, or was open and belongs to the same tick; or it comes from the same
  pass, stands not after the query and is open. A token always sees itself.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from stretto.think.layout import TEXT, Layout
from stretto.think.tokens import Tokens


class Rule:
    """The rule with a layout's tables as tensors."""

    def __init__(self, layout: Layout) -> None:
        streams = layout.streams
        self.sees = torch.tensor([[key.name in query.sees for key in streams] for query in streams])
        self.keep = torch.tensor([stream.keep for stream in streams])
        self.on_text = torch.tensor([stream.counter == TEXT for stream in streams])

    def __call__(self, query: Tokens, key: Tokens) -> Bool[Tensor, "batch queries keys"]:
        """Which keys each query sees. Nothing sees padding."""
        age = torch.where(
            self.on_text[key.stream],
            query.counts[:, :, key.stream] - key.ordinal[:, None, :],
            query.tick[:, :, None] - key.tick[:, None, :],
        )
        later = query.number[:, :, None] - key.number[:, None, :]
        order = query.rank[:, :, None] - key.rank[:, None, :]
        same_tick = query.tick[:, :, None] == key.tick[:, None, :]
        opened = key.open[:, None, :]
        earlier = (later > 0) & (key.stored[:, None, :] | (opened & same_tick))
        same_pass = later == 0
        itself = same_pass & (order == 0) & (query.stream[:, None] == key.stream) & _same(query, key)
        seen = earlier | (same_pass & (order >= 0) & opened)
        allowed = self.sees[query.stream][:, key.stream] & (age <= self.keep[key.stream]) & seen
        return (allowed | itself) & key.valid[:, None, :]


def _same(query: Tokens, key: Tokens) -> Bool[Tensor, "batch queries keys"]:
    """Same place within the stream (tokens of a mutual stream share their rank)."""
    return query.index[:, :, None] == key.index[:, None, :]
