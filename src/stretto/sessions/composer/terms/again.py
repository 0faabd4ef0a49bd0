"""The task is done, and another one is asked for."""

from dataclasses import replace

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.instruct import asked
from stretto.sessions.users.director import reached


def add(plot: Plot, draw: Draw) -> Plot:
    """Behind a task that was carried out."""
    if not plot.moving:
        return plot
    goal = draw.pick([task for task in draw.tasks if task != plot.goal], "again", len(plot.prompts))
    more = asked(plot, draw, goal)
    last = replace(more.prompts[-1], when=reached(plot.goal), patience_s=14.0)
    return replace(more, prompts=(*more.prompts[:-1], last))
