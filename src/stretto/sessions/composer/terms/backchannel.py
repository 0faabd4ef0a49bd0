"""Mm-hm, okay, I see, while the arm acts: nothing is to be done about it."""

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.side_talk import ignored


def add(plot: Plot, draw: Draw) -> Plot:
    """At any time."""
    return ignored(plot, draw, "backchannel", draw.line("backchannel", len(plot.prompts)))
