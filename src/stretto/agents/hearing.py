"""The hearing half of a network alone: speech in, heard tokens out, tick by tick, for one session or many at once.

Hearing sees neither pictures nor what is said, so it runs without the rest. With a listening expert the language model
only reads what was heard, for its opinion on the next word (agents/expected.py); where it has none, its layers are not
computed. The cursor is that of a whole session whose other slots keep silent.

    hearing = Hearing(network)
    state = hearing.start()
    said, state = hearing.step(features[None], state)     # (1, 2, width of the ear's) -> [[tokens of this tick]]

`Reader` puts the ear before it and text behind it. The rings in a state are written in place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from stretto.agents.duplex import SYSTEM
from stretto.agents.evidence import Evidence, Opinion, Since
from stretto.agents.expected import Expected
from stretto.agents.network import Network
from stretto.core.errors import StrettoError
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
            self._through([rows] * batch, {"speech": torch.zeros(batch, 0, 1)}, rings, none)
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
            scores, read = self._through(ours, given, state.rings, read)
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

    def _through(
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
        scores[self.nothing] += self.bias
        if self.evidence is None or sounds is None:
            return int(scores.argmax()), since
        return self.evidence.choose(scores, sounds, tick, since, opinion)


def _quiet(network: Network, name: str) -> int:
    """What another slot says in a session in which only hearing runs."""
    nothing = network.layout.token(name, "nothing")
    return nothing if nothing >= 0 else network.layout.vocabularies[network.layout[name].predicts].size - 1


@dataclass(frozen=True)
class Written:
    """A word as it was heard: `text` with its mark; `t`: the end of the tick in which it stood whole; `closes`: a turn
    ended here (`text` is then empty)."""

    text: str
    t: float
    closes: bool = False


class Reader:
    """Sound in, words out, while they are spoken. Raises StrettoError for a network without a tokenizer."""

    def __init__(self, network: Network, bias: float = 0.0) -> None:
        if network.text is None:
            raise StrettoError("Expected a network with a language model, whose tokens are words. Use another size.")
        self.network, self.text = network, network.text
        self.hearing = Hearing(network, bias)
        self.samples = network.ear.config.tick_samples

    @torch.no_grad()
    def read(self, ticks: Iterator[Float32[np.ndarray, " samples"]]) -> Iterator[list[tuple[str, bool]]]:
        """For every tick of sound what is added to the text in it: pieces, and whether a turn ends."""
        ear, state = self.network.ear.start(), self.hearing.start(1, self.text.encode(SYSTEM, special=True))
        for samples in ticks:
            features, ear = self.network.ear.step(samples, ear)
            said, state = self.hearing.step(features[None], state)
            yield [
                ("", True) if token == self.hearing.close else (self.text.decode([token]), False) for token in said[0]
            ]

    def words(self, samples: Float32[np.ndarray, " samples"]) -> list[Written]:
        """The words of a clip, with the times at which they stood whole."""
        padded = np.pad(samples, (0, -len(samples) % self.samples)).astype(np.float32)
        tick_s = self.network.layout.tick_s
        found: list[Written] = []
        for tick, pieces in enumerate(self.read(iter(np.split(padded, len(padded) // self.samples)))):
            t = round((tick + 1) * tick_s, 3)
            for piece, closes in pieces:
                if closes:
                    found.append(Written("", t, True))
                elif piece[:1].isspace() or not found or found[-1].closes:
                    found.append(Written(piece.strip(), t))
                else:
                    mark = not piece[:1].isalnum() and piece[:1] != "'"
                    found[-1] = Written(found[-1].text + piece, found[-1].t if mark else t)
        return found
