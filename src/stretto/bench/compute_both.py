"""The arm that a routed backbone is compared with: every expert computes every token, then one of the results is taken.

As ELLSA's released code does. The same weights and the same mask as think/backbone.py; attention itself is done once.
All experts must have one width and stand in every layer.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from stretto.nn.attention import attend, bias_of
from stretto.think.backbone import Backbone
from stretto.think.memory import Whole
from stretto.think.tokens import Tokens


def compute_both(backbone: Backbone, inputs: Mapping[str, Tensor], tokens: Mapping[str, Tokens]) -> Tensor:
    """Last states of all tokens, experts side by side: (batch, tokens, width)."""
    columns = Whole().place(tokens)
    names = list(tokens)
    owner = torch.cat([torch.full((tokens[name].stream.shape[0],), index) for index, name in enumerate(names)])
    mine = [(owner == index)[None, :, None] for index in range(len(names))]
    bias = bias_of(backbone.rule(columns, columns))
    turns = [backbone.turns(name, columns, torch.float32) for name in names]
    x = torch.cat([inputs[name] for name in names], dim=1)
    for layer in range(backbone.depth):
        parts = [backbone._layer(name, layer).read(x, turn) for name, turn in zip(names, turns, strict=True)]
        query, key, value = (_select(mine, [_one(part[slot]) for part in parts]) for slot in range(3))
        read = attend([(query, slice(0, len(owner)))], key.permute(0, 2, 3, 1), value.transpose(1, 2), bias)
        x = _select(mine, [backbone._layer(name, layer).write(x, read) for name in names])
    return _select(mine, [backbone.experts[name].norm(x) for name in names])  # type: ignore[operator]


def _one(part: Tensor | list[Tensor]) -> Tensor:
    return part[0] if isinstance(part, list) else part


def _select(mine: list[Tensor], parts: list[Tensor]) -> Tensor:
    """Of every token the result of its own expert."""
    out = parts[0]
    for here, part in zip(mine[1:], parts[1:], strict=True):
        shape = here.reshape(1, -1, *[1] * (part.dim() - 2))
        out = torch.where(shape, part, out)
    return out
