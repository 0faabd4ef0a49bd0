"""The hearing half of a network alone: speech in, heard tokens out, tick by tick, for one session or many at once.

Hearing sees neither pictures nor what is said, so it runs without the rest: with a listening expert not even the
language model's layers are computed. The cursor is that of a whole session whose other slots keep silent.

    hearing = Hearing(network)
    state = hearing.start()
    said, state = hearing.step(network.adapter(features)[None], state)     # [[tokens of this tick]]

Does not know sound (listen/encoders/whisper.py) or text (think/text.py). The rings in a state are written in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import torch
from jaxtyping import Float
from torch import Tensor

from stretto.agents.network import Network
from stretto.think.cursor import Cursor, Rows
from stretto.think.memory import Rings
from stretto.think.tokens import gather


@dataclass(frozen=True, kw_only=True)
class HearingState:
    """Sessions in step: where each stands, and their past."""

    cursors: tuple[Cursor, ...]
    rings: Rings


def streams_of(network: Network) -> tuple[str, ...]:
    """The streams that hearing needs: those on its expert that the heard slot sees."""
    heard = network.layout["heard"]
    return tuple(s.name for s in network.layout.streams if s.expert == heard.expert and s.name in heard.sees)


class Hearing:
    """Runs the streams of hearing. `bias` is added to the score of hearing nothing."""

    def __init__(self, network: Network, bias: float = 0.0) -> None:
        self.network, self.layout, self.bias = network, network.layout, bias
        self.places = {self.layout.index[name] for name in streams_of(network)}
        self.slot = self.layout.index["heard"]
        self.nothing = self.layout.token("heard", "nothing")
        self.close = self.layout.token("heard", "close")
        self.others = {s.name: _quiet(network, s.name) for s in self.layout.slots if s.name != "heard"}

    @torch.no_grad()
    def start(self, batch: int = 1, system: Sequence[int] = ()) -> HearingState:
        """Fresh sessions that have read the system prompt, where hearing sees it."""
        rings = self.network.backbone.rings(batch)
        cursor, rows = Cursor.start(self.layout), ()
        if system:
            cursor, rows = cursor.begin(system)
        state = HearingState(cursors=(cursor,) * batch, rings=rings)
        if rows and rows[0].stream in self.places:
            self._through([rows] * batch, torch.zeros(batch, 0, 1), rings)
            rings.keep([[True] * len(rows)] * batch)
        return state

    @torch.no_grad()
    def step(self, speech: Float[Tensor, "batch 2 width"], state: HearingState) -> tuple[list[list[int]], HearingState]:
        """One tick: what each session heard in it, the end of a turn among it, and the next state."""
        said: list[list[int]] = [[] for _ in state.cursors]
        cursors: list[Cursor] = []
        passes: list[Rows] = []
        for cursor in state.cursors:
            later, rows = cursor.tick({"speech": speech.shape[1]})
            cursors.append(later)
            passes.append(rows)
        while any(passes):
            asked = [[row.stream in self.places for row in rows] for rows in passes]
            some = [tuple(compress(rows, keep)) for rows, keep in zip(passes, asked, strict=True)]
            answers = self._through(some, speech, state.rings)
            stored: list[list[bool]] = []
            for number, rows in enumerate(passes):
                kept: list[bool] = []
                if rows:
                    token = answers.get(number, self.nothing)
                    if token != self.nothing:
                        said[number].append(token)
                    heard = {"heard": token} | self.others
                    cursors[number], kept, passes[number] = cursors[number].settle(heard)
                stored.append(list(compress(kept, asked[number])))
            state.rings.keep(stored)
        return said, HearingState(cursors=tuple(cursors), rings=state.rings)

    def _through(self, passes: Sequence[Rows], speech: Tensor, rings: Rings) -> dict[int, int]:
        """What each session that is asked hears."""
        tokens = gather(self.layout, passes)
        if not tokens:
            return {}
        states = self.network.backbone(self.network.embed(tokens, {"speech": speech}), tokens, rings)
        scores = self.network.answers(states, tokens).get("heard")
        if scores is None:
            return {}
        scores[..., self.nothing] += self.bias
        best = scores[:, 0].argmax(-1).tolist()
        return {number: best[number] for number, rows in enumerate(passes) if any(r.stream == self.slot for r in rows)}


def _quiet(network: Network, name: str) -> int:
    """What another slot says in a session in which only hearing runs."""
    nothing = network.layout.token(name, "nothing")
    return nothing if nothing >= 0 else network.layout.vocabularies[network.layout[name].predicts].size - 1
