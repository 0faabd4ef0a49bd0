"""Tokens as tensors: what the backbone must know of each token beside its embedding, for a batch of sessions.

Rows of passes (think/cursor.py) are gathered by expert, and within an expert by stream, so that no token is computed
twice and every stream's keys lie side by side. Sessions out of step are padded stream by stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from stretto.think.cursor import Row, Rows
from stretto.think.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens of one expert, or a set of keys. `at`: both position counters. `stored`: seen by later passes.

    `counts[b, t, s]`: stored tokens of stream s before this one; `ordinal`: those of its own stream.

    `source[b, t]`: which row of session b's rows this is, -1 where it is padding (`valid` is false there).
    """

    stream: Int64[Tensor, " tokens"]
    index: Int64[Tensor, "batch tokens"]
    id: Int64[Tensor, "batch tokens"]
    at: Int64[Tensor, "batch tokens 2"]
    tick: Int64[Tensor, "batch tokens"]
    number: Int64[Tensor, "batch tokens"]
    rank: Int64[Tensor, "batch tokens"]
    counts: Int64[Tensor, "batch tokens streams"]
    ordinal: Int64[Tensor, "batch tokens"]
    open: Bool[Tensor, "batch tokens"]
    stored: Bool[Tensor, "batch tokens"]
    valid: Bool[Tensor, "batch tokens"]
    source: Int64[Tensor, "batch tokens"]

    def take(self, columns: slice) -> "Tokens":
        """Some of the tokens."""
        cut = {f.name: getattr(self, f.name)[:, columns] for f in fields(self) if f.name != "stream"}
        return replace(self, stream=self.stream[columns], **cut)

    def take_where(self, kept: Bool[Tensor, " tokens"]) -> "Tokens":
        """The tokens where `kept` is true."""
        cut = {f.name: getattr(self, f.name)[:, kept] for f in fields(self) if f.name != "stream"}
        return replace(self, stream=self.stream[kept], **cut)

    @staticmethod
    def cat(parts: Sequence["Tokens"]) -> "Tokens":
        """Side by side."""
        names = [f.name for f in fields(Tokens) if f.name != "stream"]
        joined = {name: torch.cat([getattr(part, name) for part in parts], dim=1) for name in names}
        return Tokens(stream=torch.cat([part.stream for part in parts]), **joined)


def gather(
    layout: Layout, sessions: Sequence[Rows], stored: Sequence[Sequence[bool]] | None = None
) -> dict[str, Tokens]:
    """The rows of a batch of sessions by expert, streams in `layout.order`, padded to the longest of the batch.

    `stored` says of each row whether later passes see it; None: not yet known (a pass under way), taken as no.
    Experts without tokens are left out.
    """
    found: dict[str, Tokens] = {}
    for expert in layout.experts:
        parts = []
        for place in layout.order(expert):
            rows = [[k for k, row in enumerate(session) if row.stream == place] for session in sessions]
            longest = max(map(len, rows))
            if longest:
                parts.append(_pad(place, layout, sessions, rows, stored))
        if parts:
            found[expert] = Tokens.cat(parts)
    return found


def targets_of(
    layout: Layout, tokens: Mapping[str, Tokens], targets: Sequence[Sequence[int]]
) -> dict[str, Int64[Tensor, "batch tokens"]]:
    """Per slot what it should say, in the order of its tokens; -1 for padding. `targets`: per session and row."""
    found = {}
    for some in tokens.values():
        source = some.source.tolist()
        wanted = torch.tensor([[targets[b][k] if k >= 0 else -1 for k in row] for b, row in enumerate(source)])
        for place in some.stream.unique().tolist():
            if layout.streams[place].is_slot:
                found[layout.streams[place].name] = wanted[:, some.stream == place]
    return found


def _pad(
    place: int,
    layout: Layout,
    sessions: Sequence[Rows],
    rows: Sequence[Sequence[int]],
    stored: Sequence[Sequence[bool]] | None,
) -> Tokens:
    padding = Row(place, 0, 0, 0, 0, 0, 0, 0, False, (0,) * len(layout.streams))
    longest = max(map(len, rows))
    source = [[*some, *[-1] * (longest - len(some))] for some in rows]
    full = [[sessions[b][k] if k >= 0 else padding for k in some] for b, some in enumerate(source)]
    kept = [[k >= 0 and stored is not None and stored[b][k] for k in some] for b, some in enumerate(source)]
    table = torch.tensor([[row[1:8] for row in session] for session in full], dtype=torch.int64)
    counts = torch.tensor([[row.counts for row in session] for session in full], dtype=torch.int64)
    return Tokens(
        stream=torch.full((longest,), place),
        index=table[..., 0],
        id=table[..., 1],
        at=table[..., 2:4],
        tick=table[..., 4],
        number=table[..., 5],
        rank=table[..., 6],
        counts=counts,
        ordinal=counts[..., place],
        open=torch.tensor([[row.open for row in session] for session in full]),
        stored=torch.tensor(kept),
        valid=torch.tensor(source) >= 0,
        source=torch.tensor(source),
    )
