"""Moving the hand: one snapshot of the scene, the servo, and travel that keeps clear of what stands around.

Every function maps the present state to one action of seven numbers; nothing is remembered. A pose is reached by
commanding the remaining error, so the same call serves the first step and the last. Travel looks at the boxes of things
under the straight way and demands the height that fingers, palm and a carried object need there: it rises first when it
must, and goes straight otherwise. Nothing switches that could blend: a policy is to learn from these actions, and it
cannot learn what jumps between states that look alike.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from stretto.envs.libero_scene import Scene, rotation_matrix, rotation_vector

BOWL, CHEESE, BOTTLE, PLATE = "akita_black_bowl_1", "cream_cheese_1", "wine_bottle_1", "plate_1"
CABINET, KNOB, STOVE, RACK = "wooden_cabinet_1", "flat_stove_1_button", "flat_stove_1_burner", "wine_rack_1"
TABLE = 0.9
"""Height of the table's top (m)."""

_GRASPED = (BOWL, CHEESE, BOTTLE)
_STANDING = (BOWL, CHEESE, BOTTLE, PLATE, f"{CABINET}_base", STOVE, KNOB, RACK)
_DRAWERS = tuple(f"{CABINET}_cabinet_{level}" for level in ("top", "middle", "bottom"))
SHOULDER = np.array([-0.66, 0.0])
"""Where the arm stands; farther than 70 cm from it the elbow straightens, and a straight elbow does not bend again."""
_PALM = 0.045  # the palm begins this far behind the finger tips
_BRAKE = 0.08  # seconds ahead that the servo looks, so that it does not overshoot
_SLOPE = 3.0  # by how much less high for each metre that a thing is passed by
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
        if not touched and closed_on_something:  # contacts of a firm grip come and go
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
    def still(self) -> bool:
        """Whether it hardly moves (less than 4 cm/s)."""
        return bool(np.linalg.norm(self.scene.grip_velocity) < 0.04)

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
        """Whether the hand points away from straight down by more than 35 degrees."""
        return bool(self.approach[2] > -0.82)

    def angle(self, rotation: Mat) -> float:
        """Angle (rad) between the hand's rotation and another."""
        return float(np.linalg.norm(rotation_vector(rotation @ self.rotation.T)))


def rest() -> Action:
    """The zero command: stand still, keep the fingers as they are."""
    return np.zeros(7)


def fingers(hand: Hand, width: float) -> float:
    """The gripper's component that brings the fingers `width` apart (0.08 is wide open) and keeps them there."""
    if width >= 0.08:
        return -1.0
    error = 1 - width / 0.04 - hand.command
    return 0.0 if abs(error) < 0.13 else float(np.sign(error))


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, straight between."""
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def reach(hand: Hand, position: Vec, rotation: Mat, grip: float, speed: float = 1.0, sideways: float = 1.0) -> Action:
    """Towards a pose; full speed is 25 cm/s, sideways and vertically apart, and is left softly in the last centimetres.

    `speed` limits the translation, `sideways` scales its horizontal part.
    """
    error = position - hand.position - _BRAKE * hand.scene.grip_velocity
    move = np.concatenate([sideways * _soft(error[:2], 0.025), _soft(error[2:], 0.025)])
    turn = rotation_vector(rotation @ hand.rotation.T)
    return np.concatenate([np.clip(move, -speed, speed), _soft(turn, 0.25), [grip]])


def _soft(error: np.ndarray, scale: float) -> np.ndarray:
    """An error as a share of full speed, in its direction: in proportion at first, 3/4 at `scale`, never above 1."""
    size = float(np.linalg.norm(error))
    return error * (np.tanh(size / scale) / max(size, 1e-9))


def back_off(hand: Hand, grip: float, speed: float = 1.0) -> Action:
    """Straight back along the fingers, rotation kept."""
    return reach(hand, hand.position - 0.1 * hand.approach, hand.rotation, grip, speed)


def travel(hand: Hand, position: Vec, rotation: Mat, grip: float, ignore: tuple[str, ...] = ()) -> Action:
    """Towards a pose in free space, over what stands on the way; things in `ignore` do not count.

    Everything blends, so that like states are answered alike: sideways as the needed height is gained, turning a little
    earlier, down onto the position as the hand comes to be above it.
    """
    here, there = hand.position, position
    ahead = there[:2] - here[:2]
    far = float(np.linalg.norm(ahead))
    angle = hand.angle(rotation)
    away = max(ramp(far, 0.015, 0.045), ramp(angle, 0.3, 0.6))
    boxes, carried = _boxes(hand, ignore), hand.held
    near = here[:2] + ahead * min(1.0, 0.03 / max(far, 1e-6))
    need_now = _needed(hand, boxes, here[:2], near, rotation, carried)
    need = max(need_now, _needed(hand, boxes, here[:2], there[:2], rotation, carried))
    height = there[2] + away * max(0.0, need + 0.01 - there[2])
    lack = min(need_now, height - 0.01) - here[2]
    out, inwards = float(np.linalg.norm(here[:2] - SHOULDER)), float(np.linalg.norm(there[:2] - SHOULDER))
    stretched = ramp(out, 0.62, 0.68) * ramp(out - inwards, 0.02, 0.06)  # turning now would straighten the elbow
    turned = _part(hand.rotation, rotation, (1 - ramp(lack, 0.03, 0.09)) * (1 - stretched))
    sideways = (1 - ramp(lack, -0.01, 0.02)) * (1 - 0.8 * ramp(angle, 0.5, 1.0) * (1 - stretched))
    return reach(hand, np.array([*there[:2], height]), turned, grip, sideways=sideways)


def approach(
    hand: Hand, position: Vec, rotation: Mat, grip: float, hover: float, tolerance: float, speed: float = 1.0
) -> Action | None:
    """Onto a pose along the fingers, through a funnel: the farther aside, the farther back, up to `hover` (m).

    Within `tolerance` (m) aside the hand goes all the way, at `speed` at the end. None outside the funnel's mouth.
    """
    axis = rotation[:, 2]
    error = position - hand.position
    depth = float(error @ axis)
    aside, angle = float(np.linalg.norm(error - depth * axis)), hand.angle(rotation)
    if aside > 0.04 or angle > 0.4 or not -0.03 < depth < hover + 0.03:
        return None
    back = hover * max(ramp(aside, 0.7 * tolerance, 0.7 * tolerance + 0.02), ramp(angle, 0.15, 0.3))
    onto = reach(hand, position - back * axis, rotation, grip, speed + (1 - speed) * ramp(depth, 0.04, 0.08))
    late = ramp(back - depth, 0.01, 0.04)  # too deep for being so far aside: first out
    out = float(onto[:3] @ axis) * axis
    onto[:3] = out + (1 - late) * (onto[:3] - out)
    return onto


def _part(now: Mat, wanted: Mat, share: float) -> Mat:
    """The rotation that lies at a share (0 to 1) of the way from one to another."""
    if share in (0.0, 1.0):
        return wanted if share else now
    return rotation_matrix(share * rotation_vector(wanted @ now.T)) @ now


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
    """The height that the finger tips need on the way from `a` to `b` (horizontal places).

    What is not met, but passed closely, counts too, the less the farther off.
    """
    now = hand.rotation
    wide = np.maximum(np.abs(now[:2, 0]), np.abs(rotation[:2, 0])) * _WIDE
    palm = np.maximum(wide, _THIN)
    lying = ramp(max(now[2, 2], rotation[2, 2]), -0.7, -0.52)  # then its palm's edge is its lowest part
    low, high = (np.array(side) for side in zip(*boxes, strict=True))
    way = a + np.linspace(0, 1, 2 + int(np.linalg.norm(b - a) / 0.02))[:, None] * (b - a)

    def over(place: np.ndarray, margin: np.ndarray | float, above: float) -> float:
        gap = np.maximum(np.maximum(low[:, :2] - place[:, None], place[:, None] - high[:, :2]) - margin, 0)
        return float((high[:, 2] + above - _SLOPE * np.linalg.norm(gap, axis=-1).min(0)).max())

    heights = [TABLE + 0.02, over(way, 0.03, 0.025), over(way, palm, 0.01 - _PALM + lying * (0.10 + _PALM))]
    if held is not None:
        bottom, top = hand.scene.box(held)
        below = hand.position[2] - bottom[2]
        half, middle = (top - bottom)[:2] / 2 + 0.015, (top + bottom)[:2] / 2 - hand.position[:2]
        heights += [over(way + middle, half, 0.02 + below), TABLE + 0.02 + below]
    return max(heights)
