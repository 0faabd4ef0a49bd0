"""Wait, then go on: stand within 2 s, stay until told to go on, then reach the goal that was given first."""

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.sessions import measures
from stretto.sessions.users.director import Prompt, Reaction, acting, stands


def sheet(case: Case) -> Sheet:
    """A task, a pause while the arm moves, and "go on" 0.5 to 2 s after it stands (or 5 s later, if it never does)."""
    goal = case.tasks[case.number % len(case.tasks)]
    pause = Prompt(
        role="pause",
        speech=case.line("pause"),
        when=acting,
        wait_s=case.between(0.2, 1.5, "pause", "onset"),
        reaction=Reaction(halt=True),
    )
    go_on = Prompt(
        role="go_on",
        speech=case.line("go_on"),
        when=stands,
        wait_s=case.between(0.5, 2.0, "go_on", "onset"),
        patience_s=5.0,
        polite=True,
        reaction=Reaction(move=True),
    )
    return Sheet(
        task=goal,
        placement=case.placement,
        prompts=[case.instruct(goal), pause, go_on],
        watch=(goal,),
        end_goal=goal,
        valid=lambda episode: _counts(episode, goal),
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: stood in time and still, then went on to the goal."""
    pause, go_on, goal = episode.of("pause"), episode.of("go_on"), sheet.end_goal
    if pause is None or go_on is None:
        return [row("passed", False), row("resumed_success", False), row("paused", False)]
    stop = scorers.stopped(episode, pause.end)
    moving = scorers.still(episode, max(0.0, pause.start - 1.0), pause.end).value >= scorers.MOVED_CM
    latency = stop.value if moving else measures.NEVER_STOPPED_S
    resumed = scorers.resumed(episode, pause, go_on, goal)
    done = scorers.succeeded(episode, goal, go_on.end)
    return [
        row("passed", resumed.passed and moving),
        row("resumed_success", resumed.passed and moving),
        row("paused", stop.passed and moving),
        row("pause_latency_s", latency),
        row("resume_s", resumed.value),
        row("success_after_pause", done.passed),
    ]


def _counts(episode: Episode, goal: str) -> bool:
    """The goal was not reached before the person said to go on, and the arm moved when told to wait."""
    pause, go_on = episode.of("pause"), episode.of("go_on")
    if pause is None or go_on is None:
        return False
    done = scorers.held_from(episode.truth, goal, 0.0)
    return (done is None or done > go_on.start) and measures.speed_at(episode.steps, pause.start) >= 0.02
