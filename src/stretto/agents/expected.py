"""What the language model expects to be heard next: its opinion beside what was heard.

In the agent the language model reads what is heard anyway, a tick behind, as the turn of a person. So the state in
which it read the last word already says which one it expects, and the few tokens that evidence compares are scored by
their rows of its table. It has no opinion on the first word of a turn, nor while it has not read the last word.

    expected = Expected.of(network)                                  None where no language model reads what is heard
    last = expected.read(states, tokens, last)                       per session: of its last word, None before one
    opinion = expected.after(last[0], cursor)                        None where it has none
    opinion([340, 1412])                                             (2,): logarithms, against the best of them
    expected.chances(last[0])[340]                                   its logarithm among all tokens, for agents/beam.py

Source: shallow fusion (Gulcehre et al., 2015), by the states of one shared stream. Needs: torch, numpy. Does not decide
how much an opinion counts (agents/evidence.py).
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stretto.agents.evidence import Opinion
from stretto.agents.network import Network
from stretto.think.cursor import Cursor
from stretto.think.table import TokenTable
from stretto.think.tokens import Tokens


class Expected:
    """Reads the states of the stream that repeats what is heard."""

    def __init__(self, network: Network, stream: str) -> None:
        self.place, self.expert = network.layout.index[stream], network.layout[stream].expert
        self.stream = stream
        self.end = network.layout.vocabularies["text"].id(network.layout[stream].tail[-1])
        self.streams = tuple(s.name for s in network.layout.streams if s.name in (stream, "system"))
        table = network.tables["text"]
        assert isinstance(table, TokenTable)
        self.table = table

    @classmethod
    def of(cls, network: Network) -> "Expected | None":
        """That of a network whose language model reads what is heard and scores by the rows that it embeds."""
        streams = [s.name for s in network.layout.streams if s.repeats == "heard" and s.tail]
        if not streams or not network.config.language or not network.config.tied:
            return None
        return cls(network, streams[0])

    def read(
        self, states: Mapping[str, Tensor], tokens: Mapping[str, Tokens], last: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """The states of the words that were read last; of `last` where a pass read none, None where a turn ended."""
        found = list(last)
        some = tokens.get(self.expert)
        for session in range(len(found) if some is not None else 0):
            assert some is not None
            (rows,) = torch.where((some.stream == self.place) & some.valid[session])
            if len(rows):
                row = int(rows[-1])
                ended = int(some.id[session, row]) == self.end
                found[session] = None if ended else states[self.expert][session, row].float().clone()
        return found

    def after(self, last: Tensor | None, cursor: Cursor) -> Opinion | None:
        """The opinion of a session whose last word was read in that state, at an ask of its cursor."""
        return None if last is None or self.stream in cursor.waiting else partial(self._opinion, last)

    def chances(self, last: Tensor) -> Float[Tensor, " tokens"]:
        """The logarithm of the chance of each token of the vocabulary, after a word that was read in that state."""
        assert self.table.base is not None
        return (self.table.base.detach().float() @ last).log_softmax(-1)

    def _opinion(self, state: Tensor, among: Sequence[int]) -> Float[np.ndarray, " among"]:
        """How much less than the likeliest of some tokens each is expected."""
        assert self.table.base is not None
        scores = (self.table.base[list(among)].detach().float() @ state).numpy()
        return scores - scores.max()
