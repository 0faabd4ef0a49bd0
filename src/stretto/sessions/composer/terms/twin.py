"""The valid twin of a defective instruction: something is hidden that the task does not need; carry it out."""

from dataclasses import replace

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.defective import NEEDS
from stretto.sessions.composer.terms.instruct import asked
from stretto.sessions.watched import THINGS, Arrangement


def add(plot: Plot, draw: Draw) -> Plot:
    """At the beginning only."""
    if plot.prompts:
        return plot
    goal = draw.pick(list(NEEDS), "twin goal")
    spare = [thing for thing in THINGS if thing not in NEEDS[goal] and thing not in goal]
    hidden = draw.pick(spare, "twin hidden")
    return asked(replace(plot, arrangement=Arrangement(hidden=(hidden,))), draw, goal)
