"""A spoken task: stand still while it is said, move within 1.5 s after it, reach the goal within the step limit."""

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row


def sheet(case: Case) -> Sheet:
    """One of the ten tasks."""
    goal = case.tasks[case.number % len(case.tasks)]
    prompts = [case.instruct(goal)]
    return Sheet(task=goal, placement=case.placement, prompts=prompts, watch=(goal,), end_goal=goal)


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: success and the turn taken in time."""
    said = episode.of("instruct")
    if said is None:
        return [row("passed", False), row("success", False), row("action_turn", False)]
    done = scorers.succeeded(episode, sheet.end_goal, said.end)
    still = scorers.still(episode, said.start, said.end)
    turn = scorers.turn_taken(episode, said.end)
    return [
        row("passed", done.passed and still.passed and turn.passed),
        row("success", done.passed, said=said.text),
        row("action_turn", still.passed and turn.passed),
        row("moved_early", not still.passed),
        row("moved_during_cm", still.value),
        row("first_motion_s", turn.value),
    ]
