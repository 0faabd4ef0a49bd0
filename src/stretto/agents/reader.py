"""Sound in, words out, while they are spoken: the ear, the hearing half of a network, and text.

    reader = Reader(from_pretrained("weights/hear").live())
    for pieces in reader.read(ticks_of_sound):
        pieces                                    ((" Put", False), (" the", False)); True: a turn ends here
    reader.words(samples)                         a whole clip: words, and when they stood

Where sounds are read, several readings are carried on side by side (agents/beam.py), and a word may be told a tick
later than it was written. With `beam=False` there is one, as in the agent, whose tick has room for no more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from stretto.agents.beam import Beam
from stretto.agents.duplex import SYSTEM
from stretto.agents.hearing import Hearing
from stretto.agents.network import Network
from stretto.core.errors import StrettoError

Pieces = list[tuple[str, bool]]


@dataclass(frozen=True)
class Written:
    """A word as it was heard: `text` with its mark; `t`: the end of the tick in which it stood whole; `closes`: a turn
    ended here (`text` is then empty)."""

    text: str
    t: float
    closes: bool = False


class Reader:
    """Reads sound. Raises StrettoError for a network without a tokenizer. `bias` is added to the score of hearing
    nothing."""

    def __init__(self, network: Network, bias: float = 0.0, beam: bool = True) -> None:
        if network.text is None:
            raise StrettoError("Expected a network with a language model, whose tokens are words. Use another size.")
        self.network, self.text = network, network.text
        self.hearing = Hearing(network, bias)
        self.beam = Beam.of(self.hearing) if beam else None
        self.samples = network.ear.config.tick_samples

    @torch.no_grad()
    def read(self, ticks: Iterator[Float32[np.ndarray, " samples"]]) -> Iterator[Pieces]:
        """For every tick of sound what is added to the text in it: pieces, and whether a turn ends. Once more at the
        end, when something has waited for what would follow."""
        ear, system = self.network.ear.start(), self.text.encode(SYSTEM, special=True)
        listener: Any = self.beam or self.hearing
        state = self.beam.start(system) if self.beam else self.hearing.start(1, system)
        for samples in ticks:
            features, ear = self.network.ear.step(samples, ear)
            said, state = listener.step(features[None], state)
            yield self._pieces(said[0])
        if self.beam and (rest := self.beam.rest(state)):  # type: ignore[arg-type]
            yield self._pieces(rest)

    def _pieces(self, said: list[int]) -> Pieces:
        return [("", True) if token == self.hearing.close else (self.text.decode([token]), False) for token in said]

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
