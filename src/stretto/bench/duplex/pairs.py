"""Two goals after each other in one scene: which pairs are asked, and how the change of mind is drawn and judged.

Left out are pairs whose second goal the experts themselves missed from where the first leaves the scene (card experts,
and a scan of all pairs, one after the other and late in the first); so a failure is the agent's, not the world's.
"""

from collections.abc import Sequence

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, row
from stretto.sessions.users.director import Prompt, Reaction, When

DRAWER, MIDDLE = "open the top drawer and put the bowl inside", "open the middle drawer of the cabinet"
PLATE, CHEESE = "push the plate to the front of the stove", "put the cream cheese in the bowl"
ON_PLATE, ON_CABINET, ON_STOVE = (
    f"put the bowl on {where}" for where in ("the plate", "top of the cabinet", "the stove")
)
BOTTLE, RACK = "put the wine bottle on top of the cabinet", "put the wine bottle on the rack"
HARD = {
    (RACK, PLATE),
    (BOTTLE, RACK),
    (DRAWER, ON_PLATE),
    (DRAWER, ON_CABINET),
    (DRAWER, ON_STOVE),
    (DRAWER, CHEESE),
    (MIDDLE, PLATE),
    (MIDDLE, ON_PLATE),
    (CHEESE, DRAWER),
    (CHEESE, ON_CABINET),
    (CHEESE, PLATE),
    (CHEESE, ON_STOVE),
    (CHEESE, ON_PLATE),
    (PLATE, CHEESE),
    (MIDDLE, DRAWER),
    (MIDDLE, CHEESE),
    (ON_PLATE, DRAWER),
    (ON_PLATE, PLATE),
    (DRAWER, PLATE),
    (ON_CABINET, BOTTLE),
    (PLATE, BOTTLE),
    (CHEESE, BOTTLE),
    (CHEESE, RACK),
}
"""Pairs (first, second) that are not asked."""

TYPICAL_S = {
    MIDDLE: 3.5,
    ON_STOVE: 3.7,
    BOTTLE: 5.4,
    DRAWER: 11.2,
    ON_CABINET: 4.9,
    PLATE: 4.3,
    CHEESE: 3.2,
    "turn on the stove": 4.0,
    ON_PLATE: 3.2,
    RACK: 5.4,
}
"""Seconds that the experts usually need (card experts)."""


def pair(case: Case, hard: Sequence[tuple[str, str]] = ()) -> tuple[str, str]:
    """The first goal by the trial's number, the second by its seed."""
    first = case.tasks[case.number % len(case.tasks)]
    banned = HARD | set(hard)
    second = case.pick([goal for goal in case.tasks if goal != first and (first, goal) not in banned], "second")
    return first, str(second)


def switch_sheet(case: Case, when: When, wait_s: float, pairs: tuple[str, str] | None = None) -> Sheet:
    """A task, then another one, said `wait_s` after `when`."""
    first, second = pairs or pair(case)
    change = Prompt(
        role="switch",
        speech=case.line("switch", goal=second),
        when=when,
        wait_s=wait_s,
        reaction=Reaction(goal=second, move=True),
    )
    return Sheet(
        task=second,
        placement=case.placement,
        prompts=[case.instruct(first), change],
        watch=(first, second),
        end_goal=second,
        facts={"first": first, "second": second},
    )


def judge_switch(sheet: Sheet, episode: Episode, name: str, **fields: str) -> list[Row]:
    """`passed`: the second goal holds within the step limit from the end of the sentence that asked for it.

    An arm that had not moved by then had nothing to change: it does not pass.
    """
    said = episode.of("switch") or episode.of("correct")
    if said is None:
        return [row("passed", False, **fields), row(name, False, **fields)]
    done = scorers.succeeded(episode, sheet.end_goal, said.end)
    kept = scorers.not_dropped(episode, said.start, episode.seconds)
    began = scorers.still(episode, 0.0, said.start).value >= scorers.MOVED_CM
    good = done.passed and began
    return [
        row("passed", good, **fields),
        row(name, good, **fields),
        row("began_first", began, **fields),
        row("switch_s", done.value, **fields),
        row("switch_drop_cm", kept.value, **fields),
    ]
