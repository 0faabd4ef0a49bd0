"""The terms of a composition, a file each: `add(plot, draw)` returns the plot with what the term adds.

`OPENINGS` begin a composition, `MIDDLES` may follow in any order and number; both with how often they are drawn.
"""

import importlib

from stretto.core.errors import unknown
from stretto.sessions.composer.plot import Term

OPENINGS: dict[str, float] = {
    "instruct": 60, "defective": 24, "twin": 12, "silence": 4, "ask_scene": 4, "ask_general": 4, "side_talk": 4,
}  # fmt: skip
MIDDLES: dict[str, float] = {
    "ask_scene": 6, "ask_general": 4, "stop": 7, "pause_resume": 4, "switch": 6, "correct": 6, "again": 2,
    "backchannel": 2, "side_talk": 2, "hard": 2, "noise": 1, "echo": 1, "instruct": 2,
}  # fmt: skip


def term(name: str) -> Term:
    """The term of that name. Raises StrettoError for one that is not there."""
    if name not in {**OPENINGS, **MIDDLES}:
        raise unknown("term", name, {**OPENINGS, **MIDDLES})
    add: Term = importlib.import_module(f"stretto.sessions.composer.terms.{name}").add
    return add
