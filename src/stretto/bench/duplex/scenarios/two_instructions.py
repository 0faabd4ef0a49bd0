"""Two whole tasks in a row without a reset: the second is said once the first is done."""

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.pairs import pair
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools, row
from stretto.sessions.users.director import reached


def sheet(case: Case) -> Sheet:
    """The second task 0.8 to 2.5 s after the first holds, or at its step limit."""
    first, second = pair(case)
    wait = case.between(0.8, 2.5, "second", "onset")
    then = case.instruct(second, "second", when=reached(first), wait_s=wait, patience_s=scorers.LIMIT_S, polite=True)
    return Sheet(
        task=second,
        placement=case.placement,
        prompts=[case.instruct(first), then],
        watch=(first, second),
        end_goal=second,
        facts={"first": first, "second": second},
    )


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """`passed`: each goal held within its step limit."""
    one, two = episode.of("instruct"), episode.of("second")
    if one is None or two is None:
        return [row("passed", False), row("first_success", False), row("second_success", False)]
    first = scorers.succeeded(episode, str(sheet.facts["first"]), one.end)
    second = scorers.succeeded(episode, str(sheet.facts["second"]), two.end)
    return [
        row("passed", first.passed and second.passed),
        row("first_success", first.passed),
        row("second_success", second.passed),
    ]
