"""Nobody says anything; the arm stands and nothing is said."""

from dataclasses import replace

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot


def add(plot: Plot, draw: Draw) -> Plot:
    """Some seconds."""
    return replace(plot, rest_s=draw.between(5.0, 10.0, "silence"))
