"""A task is asked for, while the arm is about nothing; carry it out."""

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt, Reaction


def add(plot: Plot, draw: Draw) -> Plot:
    """Only where nothing is under way."""
    if plot.moving:
        return plot
    goal = draw.pick(draw.tasks, "instruct", len(plot.prompts))
    return asked(plot, draw, goal)


def asked(plot: Plot, draw: Draw, goal: str, low_s: float = 0.5, high_s: float = 3.0) -> Plot:
    """A task in the words of the split, some seconds after the line before."""
    number = len(plot.prompts)
    prompt = Prompt(
        role="instruct",
        speech=draw.line("instruct", number, goal=goal),
        wait_s=draw.between(low_s, high_s, "instruct wait", number),
        reaction=Reaction(goal=goal, move=True),
        polite=True,
    )
    return plot.then(prompt, goal=goal, halted=False)
