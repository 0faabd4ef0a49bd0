"""The person says "mm-hm" while the arm moves: go on, and say nothing about it."""

from stretto.bench.duplex.disturbances import disturbed, judge_disturbed
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.data import questions


def sheet(case: Case) -> Sheet:
    """A task and a backchannel in the same voice."""
    return disturbed(case, case.speak(case.pick(questions.asides("backchannel", case.split), "wording")))


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """Success without a reaction."""
    return judge_disturbed(sheet, episode)
