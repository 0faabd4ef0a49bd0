"""Another task in contact: up to 0.6 s after both fingers touch something."""

from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.pairs import PLATE, judge_switch, pair, switch_sheet
from stretto.bench.duplex.scenario import Case, Row, Sheet, Tools
from stretto.sessions.users.director import grasping
from stretto.sessions.watched import Watched


def sheet(case: Case) -> Sheet:
    """A pair of tasks; the plate is pushed with closed fingers, so there contact is half of the usual time."""
    first, second = pair(case)
    wait = case.between(0.0, 0.6, "switch", "onset")
    return switch_sheet(case, _pushing if first == PLATE else grasping, wait, (first, second))


def judge(sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
    """The second goal was reached."""
    return judge_switch(sheet, episode, "switch_success", when="mid")


def _pushing(world: Watched, since: float) -> bool:
    """The plate moves."""
    scene = world.env.scene()
    return bool(abs(scene.velocity("plate_1")[:2]).max() > 0.02) and world.t > since + 0.5
