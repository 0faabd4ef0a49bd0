"""A vocabulary as weights: rows that embed its tokens and score them, our own tokens in rows of their own.

The base is a language model's table, possibly with a head of its own, and is left alone; the few tokens that a layout
adds (`<silence>`, `<halt>` …) stand in `own`, which is trained. So a shipped checkpoint holds only those rows. Another
expert may borrow the table for a vocabulary of its own (`BorrowedTable`).
"""

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from stretto.nn.quantise import quantised
from stretto.think.layout import Vocabulary
from stretto.think.spelling import FEATURES, codes


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
        if not len(self.own):
            return nn.functional.embedding(ids, self.base).to(self.own.dtype)
        size = len(self.base)
        ours = nn.functional.embedding((ids - size).clamp(min=0), self.own)
        theirs = nn.functional.embedding(ids.clamp(max=size - 1), self.base)
        return torch.where((ids < size)[..., None], theirs.to(ours.dtype), ours)

    def logits(
        self, states: Float[Tensor, "*batch width"], among: Int64[Tensor, " some"] | None = None
    ) -> Float[Tensor, "*batch tokens"]:
        """A score per token of the vocabulary, the base first. `among`: of the base only these tokens."""
        return self.beside(states, None if self.base is None else self.theirs(states, among))

    @property
    def lender(self) -> "TokenTable":
        """Whose base it scores by: its own."""
        return self

    def asks(self, states: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """What the base is asked with."""
        return states

    def beside(self, states: Float[Tensor, "*batch width"], theirs: Tensor | None) -> Float[Tensor, "*batch tokens"]:
        """The base's scores, our own beside them."""
        return _beside(states.to(self.own.dtype) @ self.own.T + self.bias, theirs, states.dtype)

    def theirs(self, states: Float[Tensor, "*batch width"], among: Int64[Tensor, " some"] | None = None) -> Tensor:
        """A score per token of the base, or of some of it. Some only before `go_live`."""
        assert self.base is not None
        if self.head is None or among is not None:
            weight = self.base if self.head is None else self.head.weight
            assert isinstance(weight, Tensor)
            return states @ (weight if among is None else weight[among]).T.to(states.dtype)
        return self.head(states)

    def go_live(self) -> None:
        """Score by quantised weights, embed from bfloat16."""
        if self.base is not None:
            weight = self.base if self.head is None else self.head.weight
            self.head = quantised(weight)  # type: ignore[arg-type]
            self.base = nn.Parameter(self.base.detach().to(torch.bfloat16), requires_grad=False)


class BorrowedTable(nn.Module):
    """Embeds and scores the tokens of another expert's table in an expert of its own `width`.

    A row of the table goes through `narrow` on its way in, a state through `wide` on its way out, so that the whole
    vocabulary of a language model costs a small expert two matrices, and one of the lender's width nothing. The table
    itself stays with its owner. Such a small expert may also score tokens by how they are spelled and sound
    (spelling.py), through `signs`.
    """

    def __init__(
        self, vocabulary: Vocabulary, width: int, lender: TokenTable, lent: int, spelled: bool = False
    ) -> None:
        """`lent`: the width of the lender's rows. `spelled`: whether spelling counts, where a tokenizer is known."""
        super().__init__()
        self.vocabulary = vocabulary
        self._lender = (lender,)  # in a tuple: its weights are no weights of this module
        self.own = nn.Parameter(torch.randn(len(vocabulary.names), width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(vocabulary.names)))
        self.narrow: nn.Module = nn.Identity()
        self.wide: nn.Module = nn.Identity()
        if width != lent:
            self.narrow, self.wide = nn.Linear(lent, width), nn.Linear(width, lent)
            nn.init.normal_(self.wide.weight, std=0.1 * width**-0.5)
        self.signs: nn.Linear | None = None
        self.spell: nn.Module | None = None
        self.codes: Tensor | None
        self.register_buffer("codes", None, persistent=False)
        if spelled and width != lent and vocabulary.table.spelled:
            self.signs = nn.Linear(width, FEATURES, bias=False)
            nn.init.normal_(self.signs.weight, std=0.1 * width**-0.5)
            self.codes = codes(vocabulary.table.spelled)

    def embed(self, ids: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        """The rows of `ids`."""
        size, base = self.vocabulary.table.size, self._lender[0].base
        assert base is not None
        ours = nn.functional.embedding((ids - size).clamp(min=0), self.own)
        rows = nn.functional.embedding(ids.clamp(max=size - 1), base)
        theirs = self.narrow(rows.to(self.own.dtype))
        return torch.where((ids < size)[..., None], theirs.to(ours.dtype), ours)

    def logits(
        self, states: Float[Tensor, "*batch width"], among: Int64[Tensor, " some"] | None = None
    ) -> Float[Tensor, "*batch tokens"]:
        """A score per token of the vocabulary, the base first. `among`: of the base only these tokens."""
        return self.beside(states, self.lender.theirs(self.asks(states), among), among)

    @property
    def lender(self) -> TokenTable:
        """Whose base it scores by."""
        return self._lender[0]

    def asks(self, states: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch lent"]:
        """What the lender's base is asked with."""
        return self.wide(states.to(self.own.dtype))

    def beside(
        self,
        states: Float[Tensor, "*batch width"],
        theirs: Tensor | None,
        among: Int64[Tensor, " some"] | None = None,
    ) -> Float[Tensor, "*batch tokens"]:
        """The base's scores, with those of the spelling, and our own beside them."""
        asked = states.to(self.own.dtype)
        if self.signs is not None and theirs is not None:
            theirs = theirs + self._spelled(self.signs(asked), among)
        return _beside(asked @ self.own.T + self.bias, theirs, states.dtype)

    def _spelled(self, signs: Tensor, among: Int64[Tensor, " some"] | None) -> Tensor:
        if self.spell is not None:
            return self.spell(signs)
        assert self.codes is not None
        return signs @ (self.codes if among is None else self.codes[among]).T.to(signs.dtype)

    def go_live(self) -> None:
        """Score spellings by their ones alone, which loses nothing. The lender's table goes live with its owner."""
        if self.codes is not None:
            self.spell, self.codes = Ones(self.codes), None


class Ones(nn.Module):
    """A frozen matrix of zeros and few ones, of which only the ones are read."""

    def __init__(self, table: Float[Tensor, "tokens features"]) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            some = table.detach().float().to_sparse_csr()
            rows, places = some.crow_indices().int(), some.col_indices().int()
            self.ones: Tensor
            sparse = torch.sparse_csr_tensor(rows, places, some.values(), some.shape, check_invariants=True)
            self.register_buffer("ones", sparse, persistent=False)

    def forward(self, x: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch tokens"]:
        """The sums of the features that each token has."""
        rows = x.reshape(-1, x.shape[-1]).float()
        return (self.ones @ rows.T).T.view(*x.shape[:-1], -1)


def scores(tables: Sequence[TokenTable | BorrowedTable], states: Sequence[Tensor]) -> list[Tensor]:
    """What each table's `logits` gives for its states (batch, tokens, width). Bases are read once, whoever asks: at a
    few rows reading is what a score costs.
    """
    asked: dict[TokenTable, list[int]] = {}
    for place, table in enumerate(tables):
        if table.lender.base is not None:
            asked.setdefault(table.lender, []).append(place)
    theirs: dict[int, Tensor] = {}
    for lender, places in asked.items():
        rows = [tables[place].asks(states[place]) for place in places]
        joint = lender.theirs(torch.cat(rows, dim=1))
        theirs |= zip(places, joint.split([some.shape[1] for some in rows], dim=1), strict=True)
    return [table.beside(some, theirs.get(k)) for k, (table, some) in enumerate(zip(tables, states, strict=True))]


def _beside(ours: Tensor, theirs: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Side by side in float32, or in float64 where states are."""
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    return ours.to(exact) if theirs is None else torch.cat([theirs.to(exact), ours.to(exact)], dim=-1)
