"""The arm is told to stop while it moves; it stands, and in half of the cases it is told to go on."""

from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.users.director import Prompt, Reaction, acting, stands

RESUMED = 0.5


def add(plot: Plot, draw: Draw) -> Plot:
    """Only while the arm is about something."""
    return halted(plot, draw, "stop", RESUMED) if plot.moving else plot


def halted(plot: Plot, draw: Draw, intent: str, resumed: float) -> Plot:
    """Told to stand, and in some cases to go on."""
    number = len(plot.prompts)
    halt = Prompt(
        role=intent,
        speech=draw.line(intent, number),
        when=acting,
        wait_s=draw.between(0.1, 3.0, intent, "wait", number),
        reaction=Reaction(halt=True),
    )
    if not draw.chance(resumed, intent, "resumed", number):
        return plot.then(halt, halted=True)
    go_on = Prompt(
        role="go_on",
        speech=draw.line("go_on", number),
        when=stands,
        wait_s=draw.between(0.5, 2.5, "go_on wait", number),
        patience_s=5.0,
        polite=True,
        reaction=Reaction(move=True),
    )
    return plot.then(halt, go_on)
