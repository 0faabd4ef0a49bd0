"""The door to LIBERO's simulator state: poses, joints, fingers, contacts and predicates, read only.

For experts, labels and scorers inside the world process. Nothing of it is part of an `Observation`. Positions are in
metres and rotations are 3x3 matrices, both in the world's frame (x away from the robot, y to its left, z up; the top of
the table is at z = 0.9). Every read is of the present state.

Needs: the objects that robosuite made; made by `envs.libero.Libero.scene`.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from stretto.core.errors import unknown
from stretto.envs.pictures import choose_gl

choose_gl()  # mujoco reads MUJOCO_GL once, when it is imported
mujoco: Any = importlib.import_module("mujoco")

DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""The gripper's rotation when it points straight down, its fingers closing along y."""

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_LEFT = ("gripper0_leftfinger", "gripper0_finger_joint1_tip")
_RIGHT = ("gripper0_rightfinger", "gripper0_finger_joint2_tip")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal of the suite: its instruction and the predicates that must hold together."""

    text: str
    states: tuple[tuple[str, ...], ...]


def rotation_vector(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """The axis times the angle (0 to pi) of a rotation matrix.

    >>> rotation_vector(np.eye(3)).tolist()
    [0.0, 0.0, 0.0]
    """
    quat, out = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(rotation, np.float64).ravel())
    mujoco.mju_quat2Vel(out, quat, 1.0)
    return out


def rotation_matrix(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation about an axis by its length (rad); the inverse of `rotation_vector`.

    >>> rotation_matrix(np.zeros(3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    quat, out = np.array([1.0, 0, 0, 0]), np.empty(9)
    mujoco.mju_quatIntegrate(quat, np.asarray(vector, np.float64), 1.0)
    mujoco.mju_quat2Mat(out, quat)
    return out.reshape(3, 3)


class Scene:
    """What is where now. `objects`: movable things; `fixtures`: cabinet, stove, rack."""

    def __init__(self, world: Any, goals: tuple[Goal, ...]) -> None:
        self._world = world
        self._goals = {goal.text: goal for goal in goals}
        self._model = world.sim.model._model
        self._data = world.sim.data._data
        self.objects = tuple(world.objects_dict)
        self.fixtures = tuple(world.fixtures_dict)
        self.goals = tuple(self._goals)
        self._owner = self._owners()
        self._shapes: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    # poses

    def position(self, name: str) -> Float[np.ndarray, "3"]:
        """Origin of a thing (`plate_1`) or a body (`wooden_cabinet_1_cabinet_top`); an object's is at its base."""
        return self._data.xpos[self._body(name)].copy()

    def rotation(self, name: str) -> Float[np.ndarray, "3 3"]:
        """Rotation of a thing or a body."""
        return self._data.xmat[self._body(name)].reshape(3, 3).copy()

    def velocity(self, name: str) -> Float[np.ndarray, "6"]:
        """Linear (m/s), then angular velocity (rad/s) of a thing or a body, in the world's axes."""
        out = np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self._model, self._data, kind, self._body(name), out, 0)
        return np.concatenate([out[3:], out[:3]])

    def site(self, name: str) -> Float[np.ndarray, "3"]:
        """Position of a site (`wine_rack_1_top_region`)."""
        return self._data.site_xpos[self._id(mujoco.mjtObj.mjOBJ_SITE, "site", name)].copy()

    def site_rotation(self, name: str) -> Float[np.ndarray, "3 3"]:
        """Rotation of a site."""
        return self._data.site_xmat[self._id(mujoco.mjtObj.mjOBJ_SITE, "site", name)].reshape(3, 3).copy()

    def geom(self, name: str) -> Float[np.ndarray, "3"]:
        """Centre of a geom (`wooden_cabinet_1_g29`)."""
        return self._data.geom_xpos[self._id(mujoco.mjtObj.mjOBJ_GEOM, "geom", name)].copy()

    def joint(self, name: str) -> float:
        """Place of a hinge (rad) or slide (m) joint."""
        return float(self._data.qpos[self._model.jnt_qposadr[self._id(mujoco.mjtObj.mjOBJ_JOINT, "joint", name)]])

    def joint_anchor(self, name: str) -> Float[np.ndarray, "3"]:
        """A point on a joint's axis."""
        return self._data.xanchor[self._id(mujoco.mjtObj.mjOBJ_JOINT, "joint", name)].copy()

    # the arm

    @property
    def grip_position(self) -> Float[np.ndarray, "3"]:
        """The point between the finger tips."""
        return self.site("gripper0_grip_site")

    @property
    def grip_rotation(self) -> Float[np.ndarray, "3 3"]:
        """The gripper's rotation; DOWN when it points straight down."""
        return self.site_rotation("gripper0_grip_site")

    @property
    def grip_velocity(self) -> Float[np.ndarray, "3"]:
        """Velocity of the gripper's body (m/s)."""
        return self.velocity("gripper0_eef")[:3]

    @property
    def fingers(self) -> Float[np.ndarray, "2"]:
        """The two finger joints (m): 0.04 and -0.04 when wide open."""
        return self._data.qpos[self._world.robots[0]._ref_gripper_joint_pos_indexes].copy()

    @property
    def opening(self) -> float:
        """Distance between the fingers (m): 0 to 0.08."""
        fingers = self.fingers
        return float(fingers[0] - fingers[1])

    @property
    def opening_speed(self) -> float:
        """Rate of the opening (m/s); negative while closing."""
        speeds = self._data.qvel[self._world.robots[0]._ref_gripper_joint_vel_indexes]
        return float(speeds[0] - speeds[1])

    @property
    def gripper_command(self) -> float:
        """Where the gripper is told to be: -1 wide open, +1 closed; it changes by 0.25 in a control step."""
        return -float(np.asarray(self._world.robots[0].gripper.current_action)[0])

    @property
    def arm_joints(self) -> Float[np.ndarray, "7"]:
        """The arm's seven joints (rad)."""
        return self._data.qpos[self._world.robots[0]._ref_joint_pos_indexes].copy()

    # contacts

    def contacts(self) -> set[tuple[str, str]]:
        """Pairs of things (or bodies of the robot) that touch now, each pair in both orders."""
        contact = self._data.contact
        pairs = set()
        for one, other in contact.geom[contact.dist <= 0]:
            a, b = self._owner[one], self._owner[other]
            pairs |= {(a, b), (b, a)}
        return pairs

    def touching(self, one: str, other: str) -> bool:
        """Whether two things touch."""
        return (one, other) in self.contacts()

    def between_fingers(self) -> tuple[str, ...]:
        """Things that both fingers touch: objects, or bodies of fixtures such as a drawer or the knob."""
        pairs = self.contacts()
        left = {b for a, b in pairs if a in _LEFT}
        right = {b for a, b in pairs if a in _RIGHT}
        return tuple(sorted(left & right))

    def clearance(self, name: str) -> float:
        """Height (m) of an object's lowest points above what is under them, the robot apart; 0 when it stands."""
        body = self._body(name)
        points = self._points(body)
        low = points[points[:, 2] < points[:, 2].min() + 0.005]
        low = low + np.array([0.0, 0.0, 0.001])
        below = [self._drop(point, body) for point in low[:: max(1, len(low) // 12)]]
        return max(0.0, min(below) - 0.001)

    def lowest(self, name: str) -> float:
        """Height (m, world) of an object's lowest point."""
        return float(self._points(self._body(name))[:, 2].min())

    def box(self, name: str) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """The lowest and highest corner, along the world's axes, of a thing's or body's collision boxes."""
        points = self._points(self._body(name))
        return points.min(0), points.max(0)

    # goals

    def predicate(self, goal: str) -> bool:
        """The suite's own predicate of one of `goals`. Raises StrettoError for another."""
        if goal not in self._goals:
            raise unknown("goal of this scene", goal, self.goals)
        return all(self.holds(*state) for state in self._goals[goal].states)

    def holds(self, *state: str) -> bool:
        """One of the suite's predicates: `holds("on", "plate_1", "main_table_stove_front_region")`."""
        return bool(self._world._eval_predicate(list(state)))

    # inside

    def _owners(self) -> list[str]:
        """For each geom the thing it belongs to: the object, the fixture's body, or the robot's body."""
        model, names = self._model, []
        for geom in range(model.ngeom):
            body = model.body(model.geom_bodyid[geom]).name
            thing = next((name for name in self.objects if body.startswith(name)), body)
            names.append(thing)
        return names

    def _body(self, name: str) -> int:
        for candidate in (name, f"{name}_main"):
            found = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, candidate)
            if found >= 0:
                return found
        raise unknown("body", name, [self._model.body(i).name for i in range(self._model.nbody)])

    def _id(self, kind: Any, word: str, name: str) -> int:
        found = mujoco.mj_name2id(self._model, kind, name)
        if found < 0:
            counts = {"site": self._model.nsite, "geom": self._model.ngeom, "joint": self._model.njnt}
            known = [mujoco.mj_id2name(self._model, kind, i) or "" for i in range(counts[word])]
            raise unknown(word, name, known)
        return found

    def _points(self, body: int) -> Float[np.ndarray, "points 3"]:
        """Corners of a body's collision boxes."""
        if body not in self._shapes:
            here = (self._model.geom_bodyid == body) & (self._model.geom_contype > 0)
            geoms = np.flatnonzero(here & (self._model.geom_group == 0))
            self._shapes[body] = geoms, self._model.geom_size[geoms][:, None, :] * _CORNERS
        geoms, corners = self._shapes[body]
        rotation = self._data.geom_xmat[geoms].reshape(-1, 3, 3)
        return (corners @ rotation.transpose(0, 2, 1) + self._data.geom_xpos[geoms][:, None, :]).reshape(-1, 3)

    def _drop(self, point: Float[np.ndarray, "3"], body: int) -> float:
        """Distance straight down from `point` to the first collision geom that is not `body`'s nor the robot's."""
        geom, start, gone = np.zeros(1, np.int32), np.array(point, float), 0.0
        groups = np.array([1, 0, 0, 0, 0, 0], np.uint8)
        for _ in range(8):
            hit = mujoco.mj_ray(self._model, self._data, start, np.array([0.0, 0.0, -1.0]), groups, 1, body, geom)
            if hit < 0:
                return float(point[2])
            gone += hit
            if not self._owner[geom[0]].startswith(("gripper0", "robot0")):
                return gone
            start[2] -= hit + 1e-4
            gone += 1e-4
        return gone
