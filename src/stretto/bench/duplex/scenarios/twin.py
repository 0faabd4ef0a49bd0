"""The valid twin of a defective instruction: the same sentence, something else hidden; it is to be carried out."""

from stretto.bench.duplex import scorers, spoken
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.refusals import SPARE, visual
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.sessions.watched import Arrangement


def sheet(case: Case) -> Sheet:
    """The goal of the defective case; a thing that it does not need is hidden."""
    goal, _ = visual(case)
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=[case.instruct(goal)],
        watch=(goal,),
        arrangement=Arrangement(hidden=(SPARE[goal],)),
        end_goal=goal,
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: the goal was reached and no refusal was heard."""
    said = episode.of("instruct")
    if said is None:
        return [row("passed", False), row("refused_twin", False)]
    done = scorers.succeeded(episode, sheet.end_goal, said.end)
    heard = spoken.listen(episode, tools.ear(), said.end)
    refused = spoken.refused(heard, said.end).passed
    return [
        row("passed", done.passed and not refused, heard=[" ".join(stretch.words) for stretch in heard]),
        row("refused_twin", refused),
        row("twin_goal", done.passed),
    ]
