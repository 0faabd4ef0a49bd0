"""One control period of a robosuite world, without computing anything twice that stays the same.

In each of a period's 25 physics steps robosuite brings all derived quantities up to date three times: before the
controller, inside it, and in the step itself. Positions, velocities and contacts are the same each time. Only the
constraint solver moves on, because each call starts from the last one's result, so that alone is repeated here. The
controller's own law is robosuite's; what it reads of the simulator is read once. The states that follow are the suite's
own, bit for bit (a test holds it), at half of the time.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from stretto.envs.libero_scene import mujoco

_SAME = int(mujoco.mjtStage.mjSTAGE_VEL)
"""The last stage of MuJoCo's forward pass that controls have no part in."""


def step(world: Any, action: Float[np.ndarray, " actions"]) -> None:
    """`world.step(action)` of a robosuite world with one arm, OSC_POSE and no observables to keep up to date."""
    model, data = world.sim.model._model, world.sim.data._data
    robot = world.robots[0]
    reading = _Reading(robot, model, data)
    low, high = robot.torque_limits
    joints = robot._ref_joint_actuator_indexes
    grip, middle, half = _gripper(robot)
    world.timestep += 1
    for substep in range(int(world.control_timestep / world.model_timestep)):
        mujoco.mj_forward(model, data)
        mujoco.mj_forwardSkip(model, data, _SAME, 1)
        reading.update()
        if substep == 0:
            robot.controller.set_goal(action[: robot.controller.control_dim])
        data.ctrl[joints] = np.clip(robot.controller.run_controller(), low, high)
        data.ctrl[grip] = middle + half * robot.gripper.format_action(action[robot.controller.control_dim :])
        mujoco.mj_step2(model, data)
    world.cur_time += world.control_timestep
    world._post_action(action)


class _Reading:
    """What the controller reads of the simulator: the hand's pose and velocity, joints, Jacobian, mass matrix."""

    def __init__(self, robot: Any, model: Any, data: Any) -> None:
        self.controller, self.model, self.data = robot.controller, model, data
        self.site = robot.sim.model.site_name2id(self.controller.eef_name)
        self.mass = np.zeros((model.nv, model.nv))
        self.jacobian = np.zeros((6, model.nv))

    def update(self) -> None:
        """The controller's own `update`, of which it then needs none."""
        to, data = self.controller, self.data
        mujoco.mj_jacSite(self.model, data, self.jacobian[:3], self.jacobian[3:], self.site)
        mujoco.mj_fullM(self.model, self.mass, data.qM)
        to.ee_pos = data.site_xpos[self.site].copy()
        to.ee_ori_mat = data.site_xmat[self.site].reshape(3, 3).copy()
        to.ee_pos_vel = self.jacobian[:3] @ data.qvel
        to.ee_ori_vel = self.jacobian[3:] @ data.qvel
        to.joint_pos, to.joint_vel = data.qpos[to.qpos_index], data.qvel[to.qvel_index]
        to.J_pos, to.J_ori = self.jacobian[:3][:, to.qvel_index], self.jacobian[3:][:, to.qvel_index]
        to.J_full = np.vstack([to.J_pos, to.J_ori])
        to.mass_matrix = self.mass[to.qvel_index, :][:, to.qvel_index]  # in the same order in memory as robosuite's
        to.new_update = False


def _gripper(robot: Any) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Its actuators, and the middle and half of their ranges."""
    grip = [robot.sim.model.actuator_name2id(name) for name in robot.gripper.actuators]
    low, high = robot.sim.model.actuator_ctrlrange[grip].T
    return grip, 0.5 * (high + low), 0.5 * (high - low)
