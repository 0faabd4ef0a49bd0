"""Somebody talks to somebody else, near the robot: nothing is to be done about it."""

from stretto.core.signals import Speech
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt


def add(plot: Plot, draw: Draw) -> Plot:
    """At any time; in half of the cases it is another person."""
    number = len(plot.prompts)
    saying = draw.saying(draw.pick(("side", "side", "prose"), "side_talk", number), number)
    return ignored(plot, draw, "side_talk", draw.speak(saying, stranger=draw.chance(0.5, "stranger", number)))


def ignored(plot: Plot, draw: Draw, role: str, speech: Speech) -> Plot:
    """A line about which nothing is to be done."""
    wait = draw.between(0.3, 2.5, role, "wait", len(plot.prompts))
    return plot.then(Prompt(role=role, speech=speech, when=plot.when, wait_s=wait))
