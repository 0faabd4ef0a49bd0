"""Sounds that ask for nothing while the arm moves: the task must succeed, without a stop and without an answer."""

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, row
from stretto.core.signals import Speech
from stretto.sessions.users.director import Prompt, acting

ROLE = "disturbance"


def disturbed(case: Case, sound: Speech, polite: bool = True, told: Prompt | None = None) -> Sheet:
    """A task, and a disturbance 0.5 to 2 s after the first motion, when the robot is not speaking."""
    goal = case.tasks[case.number % len(case.tasks)]
    wait = case.between(0.5, 2.0, ROLE, "onset")
    prompt = Prompt(role=ROLE, speech=sound, when=acting, wait_s=wait, polite=polite)
    prompts = [told or case.instruct(goal), prompt]
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=prompts,
        watch=(goal,),
        end_goal=goal,
        facts={"kind": case.scenario},
    )


def judge_disturbed(sheet: Sheet, episode: Episode) -> list[Row]:
    """`passed`: success, no stand and no sound from the disturbance's start to 3 s after it (or to success)."""
    told, said = episode.of("instruct"), episode.of(ROLE)
    if told is None or said is None:
        return [row("passed", False), row("false_reaction", False)]
    done = scorers.succeeded(episode, sheet.end_goal, told.end)
    reached = scorers.held_from(episode.truth, sheet.end_goal, 0.0)
    until = min(said.end + scorers.REACTION_S, episode.seconds if reached is None else reached)
    stop = scorers.false_stop(episode, said.start, until)
    stands = until > said.start and not stop.passed and scorers.was_moving(episode, said.start)
    speaks = until > said.start and not scorers.false_answer(episode, said, until).passed
    return [
        row("passed", done.passed and not stands and not speaks),
        row("false_reaction", stands or speaks),
        row("false_stop", stands),
        row("false_answer", speaks),
        row("success_while_disturbed", done.passed),
    ]
