"""Another task before the hand has reached anything: 0.1 to 0.8 s after the first motion."""

from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.pairs import judge_switch, switch_sheet
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.sessions.users.director import acting


def sheet(case: Case) -> Sheet:
    """A pair of tasks."""
    return switch_sheet(case, acting, case.between(0.1, 0.8, "switch", "onset"))


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """The second goal was reached."""
    return judge_switch(sheet, episode, "switch_success", when="early")
