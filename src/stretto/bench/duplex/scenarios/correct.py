"""A correction in the middle of the action: "no, on the plate" names another place for the same thing."""

from dataclasses import replace

from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.pairs import BOTTLE, DRAWER, ON_CABINET, ON_PLATE, ON_STOVE, RACK, judge_switch
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.data import questions
from stretto.sessions.users.director import Prompt, Reaction, acting

PLACES = {
    ON_STOVE: "on the stove",
    ON_PLATE: "on the plate",
    ON_CABINET: "on the cabinet",
    DRAWER: "in the top drawer",
    BOTTLE: "on the cabinet",
    RACK: "on the rack",
}
"""How a correction names each goal's place."""
PAIRS = (
    (ON_STOVE, ON_PLATE),
    (RACK, BOTTLE),
    (ON_PLATE, ON_STOVE),
    (ON_CABINET, ON_PLATE),
    (ON_PLATE, ON_CABINET),
    (ON_STOVE, DRAWER),
    (ON_STOVE, ON_CABINET),
    (ON_CABINET, ON_STOVE),
)


def sheet(case: Case) -> Sheet:
    """A task with a place, corrected 0.3 to 1.5 s after the first motion."""
    first, second = PAIRS[case.number % len(PAIRS)]
    text = case.pick(questions.corrections(PLACES[second], case.split), "wording")
    change = Prompt(
        role="correct",
        speech=case.speak(text),
        when=acting,
        wait_s=case.between(0.3, 1.5, "correct", "onset"),
        reaction=Reaction(goal=second, move=True),
    )
    told = case.instruct(first)
    base = Sheet(task=second, placement=case.placement, prompts=[told, change], watch=(first, second), end_goal=second)
    return replace(base, facts={"first": first, "second": second})


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """The corrected goal was reached."""
    return judge_switch(sheet, episode, "correct_success")
