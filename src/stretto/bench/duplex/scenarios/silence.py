"""Nobody speaks: neither move nor say anything for eight seconds."""

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row

LENGTH_S = 8.0


def sheet(case: Case) -> Sheet:
    """A world in which everything stands ready."""
    goal = case.tasks[case.number % len(case.tasks)]
    return Sheet(task=goal, placement=case.placement, prompts=(), watch=(goal,), limit_s=LENGTH_S)


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: less than a centimetre of motion, no sound, and the agent is alive."""
    end = episode.seconds
    still, quiet = scorers.still(episode, 0.0, end), scorers.quiet(episode, 0.0, end)
    return [
        row("passed", still.passed and quiet.passed and not episode.fault),
        row("moved_in_silence_cm", still.value),
        row("spoke_in_silence_s", quiet.value),
    ]
