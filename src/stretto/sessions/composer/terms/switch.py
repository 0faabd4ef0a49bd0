"""Another task instead, while the arm is about the first: early, in contact with something, or late."""

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt, Reaction, acting, grasping


def add(plot: Plot, draw: Draw) -> Plot:
    """Only while the arm is about something."""
    if not plot.moving:
        return plot
    number = len(plot.prompts)
    goal = draw.pick([task for task in draw.tasks if task != plot.goal], "switch", number)
    moment = draw.weighted({"early": 1, "mid": 1, "late": 1}, "switch moment", number)
    prompt = Prompt(
        role="switch",
        speech=draw.line("switch", number, goal=goal),
        when=grasping if moment == "mid" else acting,
        wait_s=draw.between(1.5, 4.0, "switch wait", number) if moment == "late" else 0.2,
        reaction=Reaction(goal=goal, move=True),
    )
    return plot.then(prompt, goal=goal)
