"""The agent's own voice comes back into its microphone while it acts and answers: go on, and do not answer yourself."""

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.bench.duplex.scenarios.ask_general import LEAST_S
from stretto.data import questions
from stretto.sessions.users.director import Reaction, acting

SENTENCES_APART_S = 0.8
GAIN = (0.1, 0.3)


def sheet(case: Case) -> Sheet:
    """A task, and a question so that the agent has something to hear of itself."""
    goal = case.tasks[case.number % len(case.tasks)]
    asked = questions.general(case.split)
    question = asked[case.number % len(asked)]
    prompts = [case.instruct(goal), case.ask(question.text, "ask_general", Reaction(say=question.answer), acting)]
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=prompts,
        watch=(goal,),
        end_goal=goal,
        least_s=LEAST_S,
        echo=case.between(*GAIN, "gain"),
        facts={"kind": "echo"},
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: success, one answer, no second sound before success that nobody asked for, no stand."""
    told, asked = episode.of("instruct"), episode.of("ask_general")
    if told is None or asked is None:
        return [row("passed", False), row("false_reaction", False)]
    done = scorers.succeeded(episode, sheet.end_goal, told.end)
    reached = scorers.held_from(episode.truth, sheet.end_goal, 0.0)
    until = episode.seconds if reached is None else reached
    stretches = scorers.segments(episode.voice, join_s=SENTENCES_APART_S)
    after = [start for start, _ in stretches if start >= asked.end - 0.05]
    extra = sum(start < until for start in after[1:])
    halted = until > asked.start and not scorers.false_stop(episode, asked.start, until).passed
    stands = halted and scorers.was_moving(episode, asked.start)
    return [
        row("passed", done.passed and bool(after) and not extra and not stands),
        row("false_reaction", bool(extra) or stands),
        row("false_stop", stands),
        row("false_answer", bool(extra)),
        row("answered", bool(after)),
        row("success_while_disturbed", done.passed),
    ]
