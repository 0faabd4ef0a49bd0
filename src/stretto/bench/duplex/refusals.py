"""Sentences that cannot be met, and their valid twins.

Half of the defective cases are sentences that are valid in another scene: the thing or its place is hidden. The others
ask for what makes no sense, for what no arm can do, or for something else altogether.
"""

from stretto.bench.duplex.pairs import BOTTLE, CHEESE, ON_CABINET, ON_PLATE, ON_STOVE, PLATE, RACK
from stretto.bench.duplex.scenario import Case
from stretto.sessions.users.director import Prompt, Reaction

VISUAL = (
    (ON_STOVE, "bowl"),
    (RACK, "wine bottle"),
    (ON_PLATE, "plate"),
    (CHEESE, "cream cheese"),
    ("turn on the stove", "stove"),
    (PLATE, "plate"),
    (BOTTLE, "wine bottle"),
    (ON_CABINET, "bowl"),
    (ON_STOVE, "stove"),
    (CHEESE, "bowl"),
)
"""(goal, what is hidden)."""

SPARE = {
    ON_STOVE: "wine bottle",
    RACK: "cream cheese",
    ON_PLATE: "cream cheese",
    CHEESE: "wine bottle",
    "turn on the stove": "bowl",
    PLATE: "cream cheese",
    BOTTLE: "plate",
    ON_CABINET: "cream cheese",
}
"""What may be hidden without harm to a goal."""

OTHER = ("semantic", "motion", "out_of_context")


def visual(case: Case) -> tuple[str, str]:
    """The goal and the hidden thing of a trial; the same for a defective case and its twin."""
    return (
        VISUAL[(case.number // 2) % len(VISUAL)] if case.scenario == "defective" else VISUAL[case.number % len(VISUAL)]
    )


def refusable(case: Case, text: str, reason: str) -> Prompt:
    """A sentence that is to be refused."""
    wait = case.between(0.5, 4.0, "instruct", "onset")
    reaction = Reaction(say=f"I cannot do that: {reason}.")
    return Prompt(role="instruct", speech=case.speak(text), wait_s=wait, reaction=reaction)
