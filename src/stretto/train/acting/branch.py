"""What would the expert do from here? The world is asked, and then put back as it was.

A chunk is a stretch of actions, so its label must be one: what the expert does after the actions that are already
committed, step by step, in the states that these bring about. The present state of the simulation is kept (positions,
velocities, warm start, the controller's goal, the gripper's command), the answer is played, and all of it is restored.

Privileged: it reads and writes simulator state. Needs a `Libero`, whose simulation it reaches into.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from stretto.core.protocols import Expert
from stretto.envs.libero import Libero
from stretto.envs.libero_scene import mujoco

_ALL = int(mujoco.mjtState.mjSTATE_INTEGRATION)


@dataclass(frozen=True)
class Moment:
    """A moment of a simulation that can be returned to."""

    state: np.ndarray
    controller: dict[str, Any]
    gripper: np.ndarray
    last: np.ndarray
    steps: int


def remember(env: Libero) -> Moment:
    """The present moment."""
    world = env._world
    model, data = world.sim.model._model, world.sim.data._data
    state = np.empty(mujoco.mj_stateSize(model, _ALL))
    mujoco.mj_getState(model, data, state, _ALL)
    robot = world.robots[0]
    return Moment(
        state=state,
        controller={k: v.copy() for k, v in vars(robot.controller).items() if isinstance(v, np.ndarray)},
        gripper=np.array(robot.gripper.current_action),
        last=env._last.copy(),
        steps=env._steps,
    )


def recall(env: Libero, moment: Moment) -> None:
    """Go back to a moment of the present episode."""
    world = env._world
    model, data = world.sim.model._model, world.sim.data._data
    mujoco.mj_setState(model, data, moment.state, _ALL)
    mujoco.mj_forward(model, data)
    robot = world.robots[0]
    vars(robot.controller).update({k: v.copy() for k, v in moment.controller.items()})
    robot.controller.update(force=True)
    mujoco.mj_setState(model, data, moment.state, _ALL)  # the forward passes have moved the warm start
    robot.gripper.current_action = moment.gripper.copy()
    env._last, env._steps = moment.last.copy(), moment.steps


def answer(
    env: Libero, expert: Expert, goal: str, committed: Float[np.ndarray, "steps 7"], horizon: int
) -> Float[np.ndarray, "horizon 7"]:
    """The next `horizon` actions: those `committed`, then the expert's; at rest where it is done or asked nothing."""
    moment, scene, actions = remember(env), env.scene(), []
    for step in range(horizon):
        asked = bool(goal) and not expert.done(scene, goal)
        action = committed[step] if step < len(committed) else expert.act(scene, goal) if asked else np.zeros(7)
        actions.append(action)
        env.apply(np.asarray(action, np.float64))
    recall(env, moment)
    return np.array(actions)
