"""One control period of a robosuite world, without computing anything thrice.

In each of a period's 25 physics steps robosuite brings all derived quantities up to date three times: before the
controller, inside it, and in the step itself. Positions, velocities and contacts are the same each time. Only the
constraint solver moves on, because each call starts from the last one's result, so that alone is repeated here: the
states that follow are the suite's own, bit for bit (a test holds it), at about 0.7 of the time.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from stretto.envs.libero_scene import mujoco

_SAME = int(mujoco.mjtStage.mjSTAGE_VEL)
"""The last stage of MuJoCo's forward pass that controls have no part in."""


def step(world: Any, action: Float[np.ndarray, " actions"]) -> None:
    """`world.step(action)` of a robosuite world that has no observables to keep up to date."""
    sim = world.sim
    model, data = sim.model._model, sim.data._data
    world.timestep += 1
    sim.forward = lambda: mujoco.mj_forwardSkip(model, data, _SAME, 1)  # what the controller calls in between
    try:
        for substep in range(int(world.control_timestep / world.model_timestep)):
            mujoco.mj_forward(model, data)
            world._pre_action(action, substep == 0)
            mujoco.mj_step2(model, data)
    finally:
        del sim.forward
    world.cur_time += world.control_timestep
    world._post_action(action)
