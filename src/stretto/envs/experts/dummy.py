"""The dummy world's expert: walks straight to the goal's place. For tests only."""

from dataclasses import dataclass

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import unknown
from stretto.envs.dummy import PLACES, STEP, DummyScene


class DummyExpert(Configurable):
    """Walks to the goal's place."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

    goals = (*PLACES, "put it down")

    def __init__(self, config: Config | None = None) -> None:
        del config

    def act(self, scene: DummyScene, goal: str) -> np.ndarray:
        """Towards the place, at most full speed."""
        if goal not in self.goals:
            raise unknown("goal", goal, self.goals)
        action = np.zeros(7)
        if goal in scene.places:
            action[:3] = np.clip((scene.places[goal] - scene.position) / STEP, -1, 1)
        return action

    def done(self, scene: DummyScene, goal: str) -> bool:
        """Arrived."""
        return goal not in scene.places or bool(np.linalg.norm(scene.places[goal] - scene.position) < 0.02)

    def answer(self, scene: DummyScene, topic: str, goal: str = "") -> str:
        """Where the point is."""
        return f"I am at {scene.position[0]:.2f}."
