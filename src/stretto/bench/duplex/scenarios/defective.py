"""An instruction that cannot be met: refuse aloud, and do not move."""

from dataclasses import replace

from stretto.bench.duplex import scorers, spoken
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.refusals import OTHER, refusable, visual
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.data import questions
from stretto.sessions.users.director import Reaction
from stretto.sessions.watched import Arrangement

WATCH_S = 7.0


def sheet(case: Case) -> Sheet:
    """Even numbers: a valid sentence whose thing or place is hidden. Odd ones: semantic, motion, out of context."""
    if case.number % 2 == 0:
        goal, hidden = visual(case)
        prompt = case.instruct(goal)
        prompt = replace(prompt, reaction=Reaction(say=f"I cannot do that, there is no {hidden} here."))
        kind, order = "visual", Arrangement(hidden=(hidden,))
    else:
        kind, goal, order = OTHER[case.number // 2 % len(OTHER)], case.pick(case.tasks, "task"), Arrangement()
        prompt = refusable(case, case.pick(questions.asides(kind, case.split), "wording"), "it is not possible")
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=[prompt],
        watch=(goal,),
        arrangement=order,
        limit_s=WATCH_S,
        facts={"kind": kind},
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: a refusal was heard, and the arm moved less than 2 cm."""
    said = episode.of("instruct")
    if said is None:
        return [row("passed", False), row("refused", False)]
    moved = scorers.still(episode, said.start, episode.seconds).value
    heard = spoken.listen(episode, tools.ear(), said.end)
    refusal = spoken.refused(heard, said.end)
    good = refusal.passed and moved < scorers.MOVED_CM
    return [
        row("passed", good, heard=[" ".join(stretch.words) for stretch in heard], said=said.text),
        row("refused", good),
        row("refused_aloud", refusal.passed),
        row("refusal_s", refusal.value),
        row("moved_cm", moved),
    ]
