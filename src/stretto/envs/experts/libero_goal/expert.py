"""The expert of LIBERO-Goal: any of its ten goals from any state, interrupted at any step.

It keeps no memory and counts no steps: where it is in a task follows from the state (the fingers' opening, their speed
and command, contacts, relative poses). So it may take over any arm, with or without something in the hand, and pass it
on to any other goal. It reads simulator state, so whoever uses it is privileged.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import unknown
from stretto.envs.experts.libero_goal.answers import answer
from stretto.envs.experts.libero_goal.goals import GOALS, PUT_DOWN, finished
from stretto.envs.experts.libero_goal.motion import Action, Hand, rest
from stretto.envs.libero_scene import Scene


class LiberoGoalExpert(Configurable):
    """Implements `Expert` for `Scene`s of LIBERO-Goal."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

    goals = tuple(GOALS)

    def __init__(self, config: Config | None = None) -> None:
        del config

    def act(self, scene: Scene, goal: str) -> Action:
        """The next action towards `goal`; the zero command when it is done. StrettoError for an unknown goal."""
        hand = Hand(scene)
        act = _known(goal)
        return rest() if finished(hand, goal) else act(hand, goal)

    def done(self, scene: Scene, goal: str) -> bool:
        """Whether the goal holds, what was placed is let go and the hand is clear of it."""
        _known(goal)
        return finished(Hand(scene), goal)

    def answer(self, scene: Scene, topic: str, goal: str = "") -> str:
        """A short spoken sentence about the scene, for a question such as "where is the bowl"."""
        return answer(scene, topic, goal)


def _known(goal: str) -> Callable[[Hand, str], Action]:
    if goal not in GOALS:
        raise unknown("goal", goal, GOALS)
    return GOALS[goal]


__all__ = ["PUT_DOWN", "LiberoGoalExpert"]
