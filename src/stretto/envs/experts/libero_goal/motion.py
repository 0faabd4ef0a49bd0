"""Moving the hand: one snapshot of the scene, the servo, and travel that keeps clear of what stands around.

Every function maps the present state to one action of seven numbers; nothing is remembered. A pose is reached by
commanding the remaining error, so the same call serves the first step and the last. Travel looks at the boxes of things
under the straight way and demands the height that fingers, palm and a carried object need there: it rises first when it
must, and goes straight otherwise.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from stretto.envs.libero_scene import Scene, rotation_vector

BOWL, CHEESE, BOTTLE, PLATE = "akita_black_bowl_1", "cream_cheese_1", "wine_bottle_1", "plate_1"
CABINET, KNOB, STOVE, RACK = "wooden_cabinet_1", "flat_stove_1_button", "flat_stove_1_burner", "wine_rack_1"
TABLE = 0.9
"""Height of the table's top (m)."""

_GRASPED = (BOWL, CHEESE, BOTTLE)
_STANDING = (BOWL, CHEESE, BOTTLE, PLATE, f"{CABINET}_base", STOVE, KNOB, RACK)
_DRAWERS = tuple(f"{CABINET}_cabinet_{level}" for level in ("top", "middle", "bottom"))
_PALM = 0.045  # the palm begins this far behind the finger tips
_BRAKE = 0.08  # seconds ahead that the servo looks, so that it does not overshoot
_WIDE, _THIN = 0.11, 0.04  # half the palm's width along and across the closing direction

Vec = Float[np.ndarray, "3"]
Mat = Float[np.ndarray, "3 3"]
Action = Float[np.ndarray, "7"]


def shifted(place: Vec, x: float, y: float, z: float) -> Vec:
    """A place moved by x, y, z (m)."""
    return place + np.array([x, y, z])


def turn_x(degrees: float) -> Mat:
    """Rotation about the world's x axis: negative tilts the hand towards +y, so that it points at the cabinet."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def turn_y(degrees: float) -> Mat:
    """Rotation about the world's y axis: positive points the fingers towards the robot."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def turn_z(degrees: float) -> Mat:
    """Rotation about the vertical."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@dataclass(frozen=True)
class Hand:
    """The hand in one state of the scene. Lengths in metres, the gripper's command from -1 (open) to +1 (closed)."""

    scene: Scene

    @cached_property
    def position(self) -> Vec:
        """The point between the finger tips."""
        return self.scene.grip_position

    @cached_property
    def rotation(self) -> Mat:
        """Its rotation; the third column points where the fingers point, the first where they close along."""
        return self.scene.grip_rotation

    @property
    def approach(self) -> Vec:
        """Where the fingers point."""
        return self.rotation[:, 2]

    @cached_property
    def command(self) -> float:
        """What the gripper is told: -1 open, +1 closed, a quarter a step."""
        return self.scene.gripper_command

    @cached_property
    def opening(self) -> float:
        """Distance between the fingers."""
        return self.scene.opening

    @cached_property
    def opening_speed(self) -> float:
        """Rate of the opening (m/s)."""
        return self.scene.opening_speed

    @cached_property
    def between(self) -> tuple[str, ...]:
        """Things that both fingers touch."""
        return self.scene.between_fingers()

    @cached_property
    def held(self) -> str | None:
        """The object in the hand: both fingers touch it and the gripper presses on it."""
        if self.command < 0.2 and self.lag > -0.001:
            return None
        touched = [name for name in self.between if name in _GRASPED]
        closed_on_something = self.command > 0.9 and self.opening > 0.003
        if not self.between and closed_on_something:  # contacts of a firm grip come and go
            touched = [name for name in _GRASPED if self.within(name, 0.012)]
        return touched[0] if touched else None

    def within(self, name: str, margin: float) -> bool:
        """Whether the point between the finger tips is in a thing's box widened by `margin`."""
        low, high = self.scene.box(name)
        return bool(np.all(self.position > low - margin) and np.all(self.position < high + margin))

    @cached_property
    def lag(self) -> float:
        """How much wider (m) the fingers are told to be than they are; negative while closing or holding."""
        return 0.04 * (1 - self.command) - self.opening

    @property
    def letting_go(self) -> bool:
        """Whether the fingers are on their way to a wider opening."""
        return self.lag > 0.004 or (self.lag > -0.002 and self.opening_speed > 0.02)

    @property
    def firm(self) -> bool:
        """Whether the gripper has finished closing."""
        return self.command > 0.9 and abs(self.opening_speed) < 0.01

    @property
    def empty(self) -> bool:
        """Whether the gripper has closed on nothing."""
        return self.firm and not self.between and self.opening < 0.003

    @property
    def tilted(self) -> bool:
        """Whether the hand points away from straight down by more than 20 degrees."""
        return bool(self.approach[2] > -0.94)

    def angle(self, rotation: Mat) -> float:
        """Angle (rad) between the hand's rotation and another."""
        return float(np.linalg.norm(rotation_vector(rotation @ self.rotation.T)))


def rest() -> Action:
    """The zero command: stand still, keep the fingers as they are."""
    return np.zeros(7)


def fingers(hand: Hand, width: float) -> float:
    """The gripper's component that brings the fingers `width` apart (0.08 is wide open) and keeps them there."""
    error = 1 - width / 0.04 - hand.command
    return 0.0 if abs(error) < 0.13 else float(np.sign(error))


def reach(hand: Hand, position: Vec, rotation: Mat, grip: float, speed: float = 1.0) -> Action:
    """Towards a pose. `speed` limits each axis of the translation (1 is 25 cm/s)."""
    move = np.clip((position - hand.position - _BRAKE * hand.scene.grip_velocity) / 0.05 * 2, -speed, speed)
    turn = np.clip(rotation_vector(rotation @ hand.rotation.T) / 0.5 * 2, -1, 1)
    return np.concatenate([move, turn, [grip]])


def back_off(hand: Hand, grip: float, speed: float = 1.0) -> Action:
    """Straight back along the fingers, rotation kept."""
    return reach(hand, hand.position - 0.1 * hand.approach, hand.rotation, grip, speed)


def travel(hand: Hand, position: Vec, rotation: Mat, grip: float, ignore: tuple[str, ...] = ()) -> Action:
    """Towards a pose in free space, over what stands on the way; things in `ignore` do not count.

    The last stretch, straight down onto the position, begins above it.
    """
    here, there = hand.position, position
    ahead = there[:2] - here[:2]
    far = float(np.linalg.norm(ahead))
    if far < 0.015 and hand.angle(rotation) < 0.3:
        return reach(hand, there, rotation, grip)
    boxes = _boxes(hand, ignore)
    carried = hand.held
    near = here[:2] + ahead * min(1.0, 0.07 / max(far, 1e-6))
    need_now = _needed(hand, boxes, here[:2], near, rotation, carried)
    need = max(need_now, _needed(hand, boxes, here[:2], there[:2], rotation, carried))
    target = np.array([*there[:2], max(need + 0.01, there[2])])
    if here[2] < need_now:
        target[:2] = here[:2]
    return reach(hand, target, rotation if here[2] > need_now - 0.06 else hand.rotation, grip)


def _boxes(hand: Hand, ignore: tuple[str, ...]) -> list[tuple[Vec, Vec]]:
    """Boxes of all that stands around, apart from `ignore` and what is in the hand."""
    scene, out = hand.scene, []
    for name in _STANDING:
        if name not in ignore and name != hand.held and name not in hand.between:
            out.append(scene.box(name))
    for name in _DRAWERS:
        if name not in ignore:
            out.append(scene.box(name))
    return out


def _needed(
    hand: Hand, boxes: list[tuple[Vec, Vec]], a: np.ndarray, b: np.ndarray, rotation: Mat, held: str | None
) -> float:
    """The height that the finger tips need on the way from `a` to `b` (horizontal places)."""
    now = hand.rotation
    wide = np.maximum(np.abs(now[:2, 0]), np.abs(rotation[:2, 0])) * _WIDE
    palm = np.maximum(wide, _THIN)
    steep = max(now[2, 2], rotation[2, 2]) > -0.6  # the hand lies: its palm's edge is its lowest part
    heights = [TABLE + 0.02]
    for low, high in boxes:
        if _crosses(low, high, a, b, np.full(2, 0.03)):
            heights.append(high[2] + 0.025)
        if _crosses(low, high, a, b, palm):
            heights.append(high[2] + (0.11 if steep else 0.01 - _PALM))
    if held is not None:
        low, high = hand.scene.box(held)
        below = hand.position[2] - low[2]
        half, middle = (high - low)[:2] / 2 + 0.015, (high + low)[:2] / 2 - hand.position[:2]
        for other_low, other_high in boxes:
            if _crosses(other_low, other_high, a + middle, b + middle, half):
                heights.append(other_high[2] + 0.02 + below)
        heights.append(TABLE + 0.02 + below)
    return max(heights)


def _crosses(low: Vec, high: Vec, a: np.ndarray, b: np.ndarray, margin: np.ndarray) -> bool:
    """Whether the segment from `a` to `b` meets a box widened by `margin`, seen from above."""
    low2, high2, step = low[:2] - margin, high[:2] + margin, b - a
    start, end = 0.0, 1.0
    for axis in range(2):
        if abs(step[axis]) < 1e-9:
            if not low2[axis] <= a[axis] <= high2[axis]:
                return False
            continue
        t0, t1 = sorted(((low2[axis] - a[axis]) / step[axis], (high2[axis] - a[axis]) / step[axis]))
        start, end = max(start, t0), min(end, t1)
    return bool(start <= end)
