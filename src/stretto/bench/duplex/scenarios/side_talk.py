"""Somebody talks to somebody else: go on with the task, and do not answer."""

from stretto.bench.duplex.disturbances import disturbed, judge_disturbed
from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.data import questions


def sheet(case: Case) -> Sheet:
    """A task and a sentence of another voice that is not for the robot."""
    text = case.pick(questions.asides("side_talk", case.split), "wording")
    return disturbed(case, case.speak(text, other=True))


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """Success without a reaction."""
    return judge_disturbed(sheet, episode)
