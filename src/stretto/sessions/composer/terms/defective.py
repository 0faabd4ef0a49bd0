"""An instruction that cannot be met: say so, and stand. Half of them are valid in another scene: a thing is hidden."""

from dataclasses import replace

from stretto.data import questions
from stretto.data.talk_wide import Saying
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.instruct import asked
from stretto.sessions.users.director import Prompt, Reaction
from stretto.sessions.watched import Arrangement

NEEDS: dict[str, tuple[str, ...]] = {
    "put the bowl on the stove": ("bowl", "stove"),
    "put the wine bottle on top of the cabinet": ("wine bottle",),
    "open the top drawer and put the bowl inside": ("bowl",),
    "put the bowl on top of the cabinet": ("bowl",),
    "push the plate to the front of the stove": ("plate", "stove"),
    "put the cream cheese in the bowl": ("cream cheese", "bowl"),
    "turn on the stove": ("stove",),
    "put the bowl on the plate": ("bowl", "plate"),
    "put the wine bottle on the rack": ("wine bottle",),
}
"""What a task cannot do without, of what can be hidden."""

VISUAL = 0.5
KINDS = ("semantic", "motion", "out_of_context")
REFUSALS = ("I cannot do that, it is not possible.", "Sorry, I cannot do that.", "I cannot do that.")


def add(plot: Plot, draw: Draw) -> Plot:
    """At the beginning only: the scene must still be as it was placed."""
    if plot.prompts:
        return plot
    if draw.chance(VISUAL, "defective visual"):
        goal = draw.pick(list(NEEDS), "defective goal")
        hidden = draw.pick(NEEDS[goal], "defective hidden")
        plot = asked(replace(plot, arrangement=Arrangement(hidden=(hidden,))), draw, goal)
        return _refused(plot, f"I cannot do that, there is no {hidden} here.")
    said, reply = impossible(draw)
    speech = draw.speak(said)
    wait = draw.between(0.5, 3.0, "defective wait")
    return plot.then(Prompt(role="defective", speech=speech, wait_s=wait, reaction=Reaction(say=reply)))


def impossible(draw: Draw, *role: str | int) -> tuple[Saying | str, str]:
    """A request that can be met in no scene, and what is said to it."""
    if draw.chance(0.5, "defective wide", *role):
        saying = draw.saying("defective", *role)
        missing = saying.topic if len(saying.topic.split()) < 3 else ""
        return saying, f"I cannot do that, there is no {missing} here." if missing else _refusal(draw, *role)
    kind = draw.pick(KINDS, "defective kind", *role)
    return draw.pick(questions.asides(kind, draw.split), "defective words", *role), _refusal(draw, *role)


def _refusal(draw: Draw, *role: str | int) -> str:
    return draw.pick(REFUSALS, "refusal", *role)


def _refused(plot: Plot, reply: str) -> Plot:
    last = replace(plot.prompts[-1], role="defective", reaction=Reaction(say=reply))
    return replace(plot, prompts=(*plot.prompts[:-1], last), goal="", watch=())
