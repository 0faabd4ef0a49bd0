"""The robot's own voice comes back into its microphone, from here on through the whole session."""

from dataclasses import replace

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.ask_general import add as ask


def add(plot: Plot, draw: Draw) -> Plot:
    """With a question, so that it speaks."""
    return ask(replace(plot, echo=draw.between(0.05, 0.3, "echo")), draw)
