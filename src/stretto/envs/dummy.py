"""A world with every signal and no physics: a point that moves by its commands, two cameras, a secret.

For tests only, and named so. The task is to reach one of three marked places. `DummyScene.secret` is a marker that
tests look for in everything an agent can reach.
"""

from dataclasses import dataclass, field

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.core.rng import generator
from stretto.core.signals import Image, Observation

STEP = 0.0125
"""Metres that a full command moves the point in one control period (25 cm/s at 20 Hz, as LIBERO's arm)."""

PLACES = {"go left": (-0.2, 0.0, 0.0), "go right": (0.2, 0.0, 0.0), "go up": (0.0, 0.0, 0.2)}
SECRET = "the-secret-of-the-simulator"


@dataclass
class DummyScene:
    """Simulator state: where the point is, the places, and the secret."""

    position: np.ndarray
    gripper: float = -1.0
    places: dict[str, tuple[float, float, float]] = field(default_factory=lambda: dict(PLACES))
    secret: str = SECRET


class Dummy(Configurable):
    """The dummy world. `log`, if set, gets every applied action as a line of text (used to test dying sessions)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`suite` stands for symmetry with real worlds; there is one."""

        suite: str = "dummy"
        image_size: int = 16
        log: str = ""

    control_hz = 20.0
    actions = 7
    tasks = tuple(PLACES)
    cameras = ("front", "wrist")

    def __init__(self, config: Config) -> None:
        if config.suite != "dummy":
            raise unknown("suite", config.suite, ["dummy"])
        self.config = config
        self.reset("0", 0)

    def reset(self, task: str, seed: int, split: str = "train") -> None:
        """Start `task` (its sentence or its number) with the point near the origin, drawn from (seed, split)."""
        if task.isdigit():
            if int(task) >= len(self.tasks):
                raise StrettoError(f"Task {task} does not exist: dummy has tasks 0 to {len(self.tasks) - 1}.")
            task = self.tasks[int(task)]
        if task not in PLACES:
            raise unknown("task", task, PLACES)
        self.task = task
        self._scene = DummyScene(position=generator(seed, "dummy", split).uniform(-0.02, 0.02, 3))
        self._action = np.zeros(self.actions, np.float32)
        self._steps = 0

    def apply(self, action: np.ndarray) -> None:
        """Move the point for one control period. Raises StrettoError when the action is not 7 finite numbers."""
        if action.shape != (self.actions,) or not np.isfinite(action).all():
            raise StrettoError(f"Expected {self.actions} finite numbers as an action, got {action!r}.")
        self._action = np.clip(action, -1, 1).astype(np.float32)
        self._scene.position = self._scene.position + STEP * self._action[:3]
        self._scene.gripper = float(self._action[6]) or self._scene.gripper
        self._steps += 1
        if self.config.log:
            with open(self.config.log, "a") as file:
                print(*self._action, file=file)

    def observe(self, images: bool = False) -> Observation:
        """Proprioception is position (3), rotation (3, zero) and opening (1)."""
        proprio = np.r_[self._scene.position, 0, 0, 0, self._scene.gripper].astype(np.float32)
        size = self.config.image_size
        pictures = tuple(self.render(camera, size, size) for camera in self.cameras) if images else ()
        return Observation(t=self._steps / self.control_hz, proprio=proprio, action=self._action, images=pictures)

    def render(self, camera: str, height: int, width: int) -> Image:
        """A grey picture whose brightness is the point's x."""
        if camera not in self.cameras:
            raise unknown("camera", camera, self.cameras)
        grey = int(np.clip(128 + 500 * self._scene.position[0], 0, 255))
        pixels = np.full((height, width, 3), grey, np.uint8)
        return Image(camera=camera, t=self._steps / self.control_hz, pixels=pixels)

    def success(self) -> bool:
        """The point is within 2 cm of the task's place."""
        return self.predicate(self.task)

    def predicate(self, goal: str) -> bool:
        """The point is within 2 cm of the goal's place. Raises StrettoError for a goal that is not a task."""
        if goal not in PLACES:
            raise unknown("goal", goal, PLACES)
        return bool(np.linalg.norm(self._scene.position - PLACES[goal]) < 0.02)

    def scene(self) -> DummyScene:
        """The door to simulator state."""
        return self._scene

    def close(self) -> None:
        """Nothing to close."""
