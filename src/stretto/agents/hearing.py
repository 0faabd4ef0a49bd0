"""The hearing half of a network alone: speech in, heard tokens out, tick by tick, for one session or many at once.

Hearing sees neither pictures nor what is said, so it runs without the rest. With a listening expert the language model
only reads what was heard, for its opinion on the next word (agents/expected.py); where it has none, its layers are not
computed. The cursor is that of a whole session whose other slots keep silent.

    hearing = Hearing(network)
    state = hearing.start()
    said, state = hearing.step(features[None], state)     # (1, 2, width of the ear's) -> [[tokens of this tick]]

agents/reader.py puts the ear before it and text behind it. The rings in a state are written in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stretto.agents.evidence import Evidence, Opinion, Since
from stretto.agents.expected import Expected
from stretto.agents.network import Network
from stretto.think.cursor import Cursor, Rows
from stretto.think.memory import Rings
from stretto.think.tokens import gather


@dataclass(frozen=True, kw_only=True)
class HearingState:
    """Sessions in step: where each stands, its last word, the state in which that was read, and their past."""

    cursors: tuple[Cursor, ...]
    since: tuple[Since, ...]
    read: tuple[Tensor | None, ...]
    rings: Rings
    sounds: Tensor | None = None


def streams_of(network: Network) -> tuple[str, ...]:
    """The streams that hearing needs: those on its expert that the heard slot sees."""
    heard = network.layout["heard"]
    return tuple(s.name for s in network.layout.streams if s.expert == heard.expert and s.name in heard.sees)


class Hearing:
    """Runs the streams of hearing. `bias` is added to the score of hearing nothing."""

    def __init__(self, network: Network, bias: float = 0.0) -> None:
        self.network, self.layout, self.bias = network, network.layout, bias
        self.evidence = Evidence.of(network)
        self.expected = Expected.of(network) if self.evidence else None
        reading = self.expected.streams if self.expected else ()
        self.places = {self.layout.index[name] for name in (*streams_of(network), *reading)}
        self.slot = self.layout.index["heard"]
        self.nothing = self.layout.token("heard", "nothing")
        self.close = self.layout.token("heard", "close")
        self.others = {s.name: _quiet(network, s.name) for s in self.layout.slots if s.name != "heard"}

    @torch.no_grad()
    def start(self, batch: int = 1, system: Sequence[int] = ()) -> HearingState:
        """Fresh sessions that have read the system prompt, where hearing sees it."""
        rings = self.network.backbone.rings(batch)
        rows: Rows = ()
        cursor = Cursor.start(self.layout)
        if system:
            cursor, rows = cursor.begin(system)
        none = (None,) * batch
        state = HearingState(cursors=(cursor,) * batch, since=(Since(),) * batch, read=none, rings=rings)
        if rows and rows[0].stream in self.places:
            self.through([rows] * batch, {"speech": torch.zeros(batch, 0, 1)}, rings, none)
            rings.keep([[True] * len(rows)] * batch)
        return state

    @torch.no_grad()
    def step(
        self, features: Float[Tensor, "batch embeddings features"], state: HearingState
    ) -> tuple[list[list[int]], HearingState]:
        """One tick: what each session heard in it, the end of a turn among it, and the next state."""
        speech, sounds = self.network.adapter.step(features, state.sounds)
        said: list[list[int]] = [[] for _ in state.cursors]
        since, read = list(state.since), list(state.read)
        cursors: list[Cursor] = []
        passes: list[Rows] = []
        for cursor in state.cursors:
            later, rows = cursor.tick({"speech": speech.shape[1]})
            cursors.append(later)
            passes.append(rows)
        while any(passes):
            asked = [[row.stream in self.places for row in rows] for rows in passes]
            ours = [tuple(compress(rows, keep)) for rows, keep in zip(passes, asked, strict=True)]
            now, ended = [cursor.now for cursor in cursors], [last.ended for last in since]
            given = {"speech": speech} | self.network.shown(sounds, now, ended)
            scores, read = self.through(ours, given, state.rings, read)
            stored: list[list[bool]] = []
            for number, rows in enumerate(passes):
                kept: list[bool] = []
                if rows:
                    token = self.nothing
                    if number in scores:
                        some = None if sounds is None else sounds[number]
                        opinion = self.expected.after(read[number], cursors[number]) if self.expected else None
                        place = cursors[number].now, since[number], opinion
                        token, since[number] = self.pick(scores[number], some, *place)
                    if token != self.nothing:
                        said[number].append(token)
                    heard = {"heard": token} | self.others
                    cursors[number], kept, passes[number] = cursors[number].settle(heard)
                stored.append(list(compress(kept, asked[number])))
            state.rings.keep(stored)
        held: dict[str, Any] = {"since": tuple(since), "read": tuple(read), "rings": state.rings, "sounds": sounds}
        return said, HearingState(cursors=tuple(cursors), **held)

    def through(
        self, passes: Sequence[Rows], given: dict[str, Tensor], rings: Rings, read: Sequence[Tensor | None]
    ) -> tuple[dict[int, Tensor], list[Tensor | None]]:
        """The scores of each session that is asked, and the states in which their last words were read."""
        tokens = gather(self.layout, passes)
        if not tokens:
            return {}, list(read)
        states = self.network.backbone(self.network.embed(tokens, given), tokens, rings)
        now = self.expected.read(states, tokens, read) if self.expected else list(read)
        scores = self.network.answers(states, tokens).get("heard")
        if scores is None:
            return {}, now
        scores[..., self.nothing] += self.bias
        asked = [number for number, rows in enumerate(passes) if any(row.stream == self.slot for row in rows)]
        return {number: scores[number, 0] for number in asked}, now

    def pick(
        self,
        scores: Float[Tensor, " tokens"],
        sounds: Tensor | None,
        tick: int,
        since: Since,
        opinion: Opinion | None = None,
    ) -> tuple[int, Since]:
        """What is heard by scores, by the sounds of the last ticks and by what is expected, and the last word then."""
        if self.evidence is None or sounds is None:
            return int(scores.argmax()), since
        return self.evidence.choose(scores, sounds, tick, since, opinion)


def _quiet(network: Network, name: str) -> int:
    """What another slot says in a session in which only hearing runs."""
    nothing = network.layout.token(name, "nothing")
    return nothing if nothing >= 0 else network.layout.vocabularies[network.layout[name].predicts].size - 1
