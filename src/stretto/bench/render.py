"""Card "render": one picture by the fast path against the suite's own camera observable, same size, same state.

Both arms look at the same moment of the same episode, one after the other, in an order drawn per trial. The suite's arm
calls the camera sensor that the suite itself calls at every control step. Pictures differ by a few grey levels
(envs/pictures.py); the card is about time only.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.bench.card import Trial
from stretto.core.rng import generator
from stretto.envs.libero import Libero

SIZE = 128
CAMERAS = {"front": "agentview", "wrist": "robot0_eye_in_hand"}


@dataclass
class Cameras:
    """The fast world, and the suite's own environment with its camera observables on, both warm."""

    fast: Libero
    suite: Any
    sensors: dict[str, Any]


class Render:
    """60 moments of random motion, both cameras by turns."""

    name = "render"
    clock = "wall"
    parallel = False
    seconds_per_trial = 0.5

    def trials(self, n: int | None) -> list[Trial]:
        """One trial per moment."""
        return [Trial(f"moment{i}", {"unit": i}) for i in range(n or 60)]

    def open(self) -> Cameras:
        """Build both and take one picture with each."""
        fast = Libero.Config(image_size=SIZE).build()
        fast.reset("8", 0, "dev")
        suite = _suite_env(fast)
        sensors = {ours: suite.env._observables[f"{theirs}_image"]._sensor for ours, theirs in CAMERAS.items()}
        cameras = Cameras(fast, suite, sensors)
        for camera in CAMERAS:
            fast.render(camera, SIZE, SIZE)
            sensors[camera]({})
        return cameras

    def run(self, trial: Trial, state: Cameras) -> list[dict[str, Any]]:
        """Move on a little, put both into the same state, then time one picture each."""
        unit = trial.params["unit"]
        rng = generator(0, "render", unit)
        for _ in range(3):
            state.fast.apply(rng.uniform(-0.5, 0.5, 7))
        state.suite.env.sim.set_state_from_flattened(state.fast.state())
        state.suite.env.sim.forward()
        camera = list(CAMERAS)[unit % 2]
        arms = {
            "fast": lambda: state.fast.render(camera, SIZE, SIZE).pixels,
            "suite": lambda: state.sensors[camera]({}),
        }
        rows = []
        for arm in rng.permutation(list(arms)):
            start = time.perf_counter()
            picture = np.asarray(arms[str(arm)]())
            seconds = time.perf_counter() - start
            assert picture.shape[:2] == (SIZE, SIZE)
            rows.append(
                {"row": "image_s", "arm": str(arm), "unit": unit, "seed": 0, "value": seconds, "camera": camera}
            )
        return rows

    def close(self, state: Cameras) -> None:
        """Free the renderers."""
        state.fast.close()
        state.suite.close()


def _suite_env(fast: Libero) -> Any:
    from libero.libero.envs.env_wrapper import OffScreenRenderEnv

    env = OffScreenRenderEnv(
        bddl_file_name=str(fast.task_file), camera_heights=SIZE, camera_widths=SIZE, ignore_done=True
    )
    env.seed(0)
    env.reset()
    return env
