"""What should be said and done in which tick, given what was really heard.

An agent knows that a turn is over when it has heard its end (the close token), not when the person knows it. So a
reaction is due in the tick after that, which is the first in which the words can be read; a halt is due as soon as the
sound of its word and a tenth of a second behind it are in, whatever was heard of it. In the tick before that either is
right: no loss. An arm sets out in the tick in which a sentence would begin: a tick later it is late for its turn.

    tick             7        8        9        10
    sound            … sto    p.
    act      move    (any)    halt     halt
    sound            … bowl.
    heard                     bowl.    (end)
    say                                (Okay…)
    act      halt    halt     halt     move
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int8

from stretto.sessions.composer.compose import Line

HALT, MOVE, ANY = 0, 1, -1
UNHEARD_S = 1.0
"""After so long a reaction is due even if the end of the turn was not heard."""
SURE_S = 0.1
"""A halt is due so much after its word ended."""
EARLY_S = 0.1
"""A turn's end may be heard so much before its last word ends."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """`act` per tick: HALT, MOVE or ANY; `say`: (tick, sentence), each begins in its tick."""

    act: Int8[np.ndarray, " ticks"]
    say: tuple[tuple[int, str], ...]


def tick_of(t: float, tick_s: float) -> int:
    """The first tick (counted from 0) whose sound reaches `t`: tick k ends at (k + 1) · tick_s."""
    return max(0, math.ceil(t / tick_s - 1e-6) - 1)


def labels_of(
    lines: Sequence[Line], finished: Sequence[float], closes: Sequence[int], ticks: int, tick_s: float
) -> Labels:
    """Labels of a session. `closes`: ticks in which the end of a turn was heard; `finished`: seconds."""
    act, say = np.full(ticks, HALT, np.int8), []
    changes: list[tuple[int, int]] = []
    for line in lines:
        if line.halts_at is not None:
            changes.append((halt_tick(line.halts_at, tick_s), HALT))
        due = reaction_tick(line, closes, tick_s)
        if line.moves:
            changes.append((due, MOVE))
        if line.says and due < ticks:
            say.append((due, line.says))
    changes += [(tick_of(t, tick_s) + 1, HALT) for t in finished]
    for tick, what in sorted(changes, key=lambda change: change[0]):
        if tick < ticks:
            act[tick:] = what
    for tick, what in changes:
        if what == HALT and 0 < tick <= ticks and act[max(0, tick - 2)] == MOVE:
            act[tick - 1] = ANY
    return Labels(act=act, say=tuple(say))


def halt_tick(halts_at: float, tick_s: float) -> int:
    """The tick in which a halt is due, by the end of its word."""
    return tick_of(halts_at + SURE_S, tick_s)


def reaction_tick(line: Line, closes: Sequence[int], tick_s: float) -> int:
    """The tick in which a reaction to a line is due: the one after its end was heard."""
    last = tick_of(line.end + UNHEARD_S, tick_s)
    first = tick_of(line.end - EARLY_S, tick_s)
    return next((tick + 1 for tick in closes if first <= tick < last), last)
