"""A correction: the same thing to another place, or a task that is taken back for another in one breath."""

from stretto.data import questions
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt, Reaction, acting

TRIES = 20
"""Sayings of which one names the whole task."""


def add(plot: Plot, draw: Draw) -> Plot:
    """While the arm carries a thing somewhere: no, somewhere else; otherwise a task with a slip of the tongue."""
    number = len(plot.prompts)
    others = questions.places(plot.goal)
    if plot.moving and others:
        place = draw.pick(list(others), "correct", number)
        speech, goal = (
            draw.speak(draw.pick(questions.corrections(place, draw.split), "correct how", number)),
            others[place],
        )
    elif not plot.moving:
        goal = draw.pick(draw.tasks, "correct", number)
        sayings = (draw.saying("correct", number, k, goal=goal) for k in range(TRIES))
        speech = draw.speak(next((saying for saying in sayings if saying.goal), goal))
    else:
        return plot
    prompt = Prompt(
        role="correct",
        speech=speech,
        when=acting if plot.moving else None,
        wait_s=draw.between(0.2, 2.5, "correct wait", number),
        reaction=Reaction(goal=goal, move=True),
    )
    return plot.then(prompt, goal=goal, halted=False)
