"""The arm is told to wait, and a little later to go on; it goes on with what it was about."""

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.stop import halted


def add(plot: Plot, draw: Draw) -> Plot:
    """Only while the arm is about something."""
    return halted(plot, draw, "pause", 0.9) if plot.moving else plot
