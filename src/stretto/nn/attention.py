"""Attention under a visibility rule, over keys whose positions run on several counters.

Queries of any number of heads meet keys and values of few heads (grouped queries, Ainslie et al., 2023). The keys lie
in columns, and each range of columns belongs to one *frame*: a position counter and a rotary base. A query comes once
per frame, turned by its own position on that frame's counter, so text meets text at distances in text, and meets sound
and pictures at distances in time:

    columns   | text text text text | sound sound picture picture |
    scores    | q_text · k          | q_time · k                  |   one softmax over all of them

Needs: nothing of layouts or experts. Plain matrix products: faster than the fused kernel at these sizes on CPU.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

HIDDEN = -1e30
"""The score of a hidden key: its weight is exactly 0 wherever anything is visible, and finite where nothing is."""


def bias_of(
    visible: Bool[Tensor, "batch tokens columns"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "batch 1 tokens columns"]:
    """0 where `visible`, HIDDEN elsewhere, with an axis for the heads."""
    bias = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return bias.masked_fill_(~visible, HIDDEN)[:, None]


def attend(
    queries: Sequence[tuple[Float[Tensor, "batch tokens heads size"], slice]],
    keys: Float[Tensor, "batch kv size columns"],
    values: Float[Tensor, "batch kv columns size"],
    bias: Float[Tensor, "batch 1 tokens columns"],
) -> Float[Tensor, "batch tokens outer"]:
    """What each query reads; heads side by side in the last axis.

    `queries`: per frame, the queries turned for it, already scaled by 1/sqrt(size), and the range of columns that it
    covers; the ranges tile the columns in order. Keys are kept transposed, as the product wants them. A query that sees
    nothing (padding) reads their mean. Not in bfloat16 on a CPU, where masking it takes longer than its products.
    """
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return attend(queries, keys, values, bias)
    batch, tokens, heads, size = queries[0][0].shape
    kv = keys.shape[1]
    group = heads // kv
    scores = [_grouped(query, kv) @ keys[..., columns] for query, columns in queries]
    score = scores[0] if len(scores) == 1 else torch.cat(scores, dim=-1)
    score.view(batch, kv, group, tokens, -1).add_(bias[:, :, None])
    weight = torch.softmax(score, dim=-1)
    read = (weight if weight.dtype == values.dtype else weight.to(values.dtype)) @ values
    return read.view(batch, kv, group, tokens, size).permute(0, 3, 1, 2, 4).reshape(batch, tokens, heads * size)


def _grouped(query: Tensor, kv: int) -> Tensor:
    """(batch, tokens, heads, size) -> (batch, kv, group * tokens, size)."""
    batch, tokens, heads, size = query.shape
    grouped = query.view(batch, tokens, kv, heads // kv, size).permute(0, 2, 3, 1, 4)
    return grouped.reshape(batch, kv, heads // kv * tokens, size)
