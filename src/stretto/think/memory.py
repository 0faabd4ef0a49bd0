"""What the backbone attends over: the tokens of the calls so far (`Whole`), or a live session's rings (`Rings`).

Both put keys into columns in one order (experts that stand in more layers first; within an expert first the streams on
text, then those on time), and both hand out the columns' bookkeeping, to which think/visibility.py applies. A ring has
a fixed number of columns per stream, enough for what its retention may show at once; a stream's n-th stored token
stands in column n modulo that number. A pass writes its tokens first and attends over them; only then is it known which
of them are stored (`keep`): the others are overwritten by what comes next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from stretto.nn.ring import KeyValues
from stretto.think.layout import Layout
from stretto.think.tokens import Tokens

Pair = tuple[Tensor, Tensor]


@runtime_checkable
class Exchange(Protocol):
    """Where a layer's keys go and come from."""

    def exchange(self, layer: int, pairs: Mapping[str, Pair]) -> Pair:
        """Take a layer's new keys and values (batch, tokens, kv, size) by expert; return those of the columns shown."""
        ...


@runtime_checkable
class Memory(Exchange, Protocol):
    """Where keys go and come from during one call of the backbone."""

    def place(self, tokens: Mapping[str, Tokens]) -> Tokens:
        """Find columns for the tokens of a call; returns the bookkeeping of all columns."""
        ...

    def shown(self, experts: tuple[str, ...]) -> Tensor:
        """Numbers of the columns that `exchange` hands out at a layer of these experts."""
        ...


class Whole:
    """The columns are the tokens of all calls so far. For training, and for whole sequences.

    Who is seen by nobody that is called before it may be called later: rows that rest in a first call, without
    gradients, and those that learn in a second one.
    """

    def __init__(self) -> None:
        self.called: list[tuple[str, Tokens]] = []
        self.pairs: dict[int, list[Pair]] = {}

    def place(self, tokens: Mapping[str, Tokens]) -> Tokens:
        """The tokens themselves, behind those of earlier calls."""
        self.called += tokens.items()
        return Tokens.cat([some for _, some in self.called])

    def shown(self, experts: tuple[str, ...]) -> Tensor:
        """The columns of these experts."""
        owners = [name for name, some in self.called for _ in some.stream]
        return torch.tensor([column for column, owner in enumerate(owners) if owner in experts])

    def exchange(self, layer: int, pairs: Mapping[str, Pair]) -> Pair:
        """Side by side."""
        kept = self.pairs.setdefault(layer, [])
        kept += pairs.values()
        keys, values = (torch.cat(some, dim=1) for some in zip(*kept, strict=True))
        return keys.permute(0, 2, 3, 1), values.transpose(1, 2)


class Rings:
    """The past of a batch of live sessions. One spare column per expert takes what padding writes."""

    def __init__(
        self,
        layout: Layout,
        present: Sequence[tuple[str, ...]],
        geometry: tuple[int, int],
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`present`: the experts of each layer; `geometry`: (kv heads, head size)."""
        self.layout = layout
        self.size = torch.tensor([stream.capacity for stream in layout.streams])
        self.start = torch.zeros_like(self.size)
        self.spare: dict[str, int] = {}
        streams: list[int] = []
        for expert in sorted(layout.experts, key=lambda name: -sum(name in layer for layer in present)):
            for place in layout.order(expert):
                self.start[place] = len(streams)
                streams += [place] * layout.streams[place].capacity
            self.spare[expert] = len(streams)
            streams.append(layout.order(expert)[-1])
        ends = [len(self.shown(experts)) for experts in present]
        self.buffers = KeyValues(ends, batch, *geometry, dtype)
        self.columns = _nothing(torch.tensor(streams), batch, len(layout.streams))
        self.placed: dict[str, tuple[Tokens, Tensor]] = {}

    def place(self, tokens: Mapping[str, Tokens]) -> Tokens:
        """The next columns of each stream's ring, taken for the tokens of this pass; padding goes to the spare one."""
        self.placed = {expert: (some, self._next(expert, some)) for expert, some in tokens.items()}
        for some, columns in self.placed.values():
            for field in fields(Tokens):
                if field.name == "stream":
                    continue
                of_all, of_some = getattr(self.columns, field.name), getattr(some, field.name)
                index = columns[..., None].expand(of_some.shape) if of_some.dim() == 3 else columns
                of_all.scatter_(1, index, of_some)
        return self.columns

    def shown(self, experts: tuple[str, ...]) -> Tensor:
        """All columns up to the last of these experts."""
        return torch.arange(max(self.spare[expert] for expert in experts) + 1)

    def exchange(self, layer: int, pairs: Mapping[str, Pair]) -> Pair:
        """Write in place, read whole."""
        for expert, (keys, values) in pairs.items():
            self.buffers.put(layer, self.placed[expert][1], keys, values)
        return self.buffers.get(layer)

    def keep(self, stored: Sequence[Sequence[bool]]) -> None:
        """Decide which rows of the pass stay, per session in the order of its rows; the others will be overwritten."""
        for some, columns in self.placed.values():
            flags = torch.tensor([[k >= 0 and stored[b][k] for k in row] for b, row in enumerate(some.source.tolist())])
            self.columns.stored.scatter_(1, columns, flags)
        self.placed = {}

    def fork(self, rows: Sequence[int] | None = None) -> "Rings":
        """A copy of all, or of some sessions of the batch: the same session may be taken twice."""
        copy = object.__new__(Rings)
        index = slice(None) if rows is None else list(rows)
        copy.layout, copy.start, copy.size, copy.spare = self.layout, self.start, self.size, self.spare
        copy.buffers, copy.placed = self.buffers.clone(rows), {}
        cut = {f.name: getattr(self.columns, f.name)[index].clone() for f in fields(Tokens) if f.name != "stream"}
        copy.columns = replace(self.columns, **cut)
        return copy

    def take(self, rows: Sequence[int]) -> None:
        """Session n goes on as session `rows[n]` has come so far, in place, also in the middle of a pass."""
        moved = [(number, row) for number, row in enumerate(rows) if row != number]
        if not moved:
            return
        new, old = torch.tensor(moved).T
        self.buffers.move(old, new)
        for field in fields(Tokens):
            if field.name != "stream":
                of_all = getattr(self.columns, field.name)
                of_all[new] = of_all[old]
        index = torch.tensor(rows)
        self.placed = {
            expert: (replace(some, source=some.source[index]), columns[index])
            for expert, (some, columns) in self.placed.items()
        }

    def _next(self, expert: str, some: Tokens) -> Tensor:
        """Columns (batch, tokens) for the tokens of one expert: the ring's place number `ordinal`."""
        columns = self.start[some.stream] + some.ordinal % self.size[some.stream]
        return torch.where(some.valid, columns, self.spare[expert])


def _nothing(stream: Tensor, batch: int, streams: int) -> Tokens:
    """Columns that nobody sees."""
    zeros = torch.zeros(batch, len(stream), dtype=torch.int64)
    no = zeros.bool()
    return Tokens(
        stream=stream,
        index=zeros.clone(),
        id=zeros.clone(),
        at=torch.zeros(batch, len(stream), 2, dtype=torch.int64),
        tick=zeros.clone(),
        number=zeros - 1,
        rank=zeros.clone(),
        counts=torch.zeros(batch, len(stream), streams, dtype=torch.int64),
        ordinal=zeros.clone(),
        open=no.clone(),
        stored=no.clone(),
        valid=no.clone(),
        source=zeros.clone(),
    )
