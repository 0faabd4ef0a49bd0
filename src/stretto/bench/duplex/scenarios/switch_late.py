"""Another task when the first is nearly done: at 70 to 95 % of the time that the experts usually need."""

from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.pairs import TYPICAL_S, judge_switch, pair, switch_sheet
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.sessions.users.director import acting


def sheet(case: Case) -> Sheet:
    """A pair of tasks."""
    first, second = pair(case)
    wait = TYPICAL_S[first] * case.between(0.7, 0.95, "switch", "onset")
    return switch_sheet(case, acting, wait, (first, second))


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """The second goal was reached."""
    return judge_switch(sheet, episode, "switch_success", when="late")
