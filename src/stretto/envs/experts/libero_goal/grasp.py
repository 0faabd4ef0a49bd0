"""Grasping: where each thing is taken, and the phases of a grasp read off the state.

A grasp is a pose of the hand relative to the thing as it lies now. The phases need no memory: fingers that open at the
grasp pose are letting go or trying again, so they go on opening while the hand backs off; fingers that stand open there
begin to close; fingers that have closed on nothing open. Hence a missed grasp is tried again wherever the thing is now.

Thin rims need the whole of the closing: an object counts as grasped when both fingers touch it, the gripper is told to
be closed, and the fingers have come to rest.
"""

from dataclasses import dataclass

import numpy as np

from stretto.envs.experts.libero_goal.motion import (
    BOTTLE,
    BOWL,
    CABINET,
    CHEESE,
    KNOB,
    Action,
    Hand,
    Mat,
    Vec,
    approach,
    back_off,
    fingers,
    reach,
    shifted,
    travel,
    turn_x,
    turn_y,
    turn_z,
)
from stretto.envs.libero_scene import DOWN

SIDEWAYS = turn_z(90) @ DOWN
"""Straight down, the fingers closing along x."""

HANDLES = {"top": f"{CABINET}_g18", "middle": f"{CABINET}_g29", "bottom": f"{CABINET}_g40"}


_CHEESE = (0.041, 0.021, 0.009)  # half its length along its own axes


@dataclass(frozen=True)
class Grasp:
    """A pose of the hand for taking something; `width`: how far the fingers open before (0.08 is wide); `push`: how far
    beyond the pose (m) the hand may go on until something stops it.
    """

    position: Vec
    rotation: Mat
    width: float = 0.08
    hover: float = 0.09
    speed: float = 0.5
    precision: float = 0.012
    push: float = 0.0


def bowl_grasp(hand: Hand, side: float = 1.0, lean: float = 0.0) -> Grasp:
    """The rim at +y (`side` 1) or -y (-1), one finger inside. With `lean` 1 the hand takes it farther towards the robot
    and leans back and to the robot, 20 degrees each: 4 cm clear of a drawer that hangs over the bowl.
    """
    off, height = np.radians(50 * lean), 0.042 - 0.004 * lean
    place = shifted(hand.scene.position(BOWL), -0.045 * np.sin(off), 0.045 * side * np.cos(off), height)
    return Grasp(place, turn_x(-20 * lean) @ turn_y(-20 * lean) @ DOWN, hover=0.07 + 0.06 * lean)


def cheese_grasp(hand: Hand) -> Grasp:
    """From above, across the short side."""
    axes = hand.scene.rotation(CHEESE)
    flat = [axis for axis in range(3) if abs(axes[2, axis]) < 0.7]
    short = axes[:, min(flat, key=lambda axis: _CHEESE[axis])]
    yaw = (np.degrees(np.arctan2(short[1], short[0])) % 180) - 90
    return Grasp(hand.scene.position(CHEESE), turn_z(yaw) @ DOWN, hover=0.07)


def bottle_grasp(hand: Hand, tilt: float, height: float) -> Grasp:
    """The bottle's body, `height` above its base, `tilt` degrees off the plane across it, fingers closing along x."""
    scene = hand.scene
    axis, base = scene.rotation(BOTTLE)[:, 2], scene.position(BOTTLE)
    return Grasp(base + height * axis, _tip(axis) @ turn_x(tilt) @ SIDEWAYS, hover=0.10)


def _tip(axis: Vec) -> Mat:
    """The smallest rotation that takes the vertical to `axis`."""
    return smallest_turn(np.array([0.0, 0.0, 1.0]), axis)


def smallest_turn(a: Vec, b: Vec) -> Mat:
    """The smallest rotation that takes direction `a` to direction `b`."""
    cross, dot = np.cross(a, b), float(a @ b)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.eye(3) + skew + skew @ skew / max(1 + dot, 1e-6)


def take(hand: Hand, name: str, grasp: Grasp) -> Action:
    """The next action towards holding `name` (an object, or the body of a drawer or knob)."""
    axis = grasp.rotation[:, 2]
    depth = float((hand.position - grasp.position) @ axis)
    place = grasp.position + float(np.clip(depth, 0.0, grasp.push)) * axis
    error = place - hand.position
    along = float(error @ axis)
    aside = float(np.linalg.norm(error - along * axis))
    angle = hand.angle(grasp.rotation)
    near = aside < grasp.precision and abs(along) < 0.012 and angle < 0.15 and hand.still
    closing = hand.command > fingers_command(grasp.width) + 0.2 and aside < 0.03 and abs(along) < 0.03 and angle < 0.3
    if near or closing:
        opening = hand.command < 0.5 and hand.lag > -0.012  # fingers that close press on what they touch
        if name in hand.between and opening:
            return np.concatenate([np.zeros(6), [-1.0]])
        if hand.empty or hand.letting_go:
            return back_off(hand, -1.0)
        return reach(hand, place, grasp.rotation, 1.0)
    ready = abs(hand.opening - grasp.width) < 0.012 or (hand.opening > grasp.width - 0.012 and grasp.width > 0.07)
    wide = fingers(hand, grasp.width)
    end = grasp.position + grasp.push * axis
    onto = approach(hand, end, grasp.rotation, wide, grasp.hover + grasp.push, grasp.precision, grasp.speed)
    if onto is not None:
        return onto if ready or along > 0.06 else back_off(hand, wide, 0.5)
    first = leave(hand, name)
    if first is not None:
        return first
    start = grasp.position - grasp.hover * axis
    return travel(hand, start, grasp.rotation, wide)


def fingers_command(width: float) -> float:
    """The gripper's command that holds the fingers `width` apart."""
    return 1 - width / 0.04


def leave(hand: Hand, wanted: str | None = None) -> Action | None:
    """Backs out along the fingers while they are around a handle, the knob or, tilted, a bottle; else None."""
    for body in hand.between:
        if body != wanted and body.startswith((CABINET, KNOB)):
            return back_off(hand, -1.0)
    if not hand.tilted:
        return None
    scene = hand.scene
    places = [(f"{CABINET}_cabinet_{level}", scene.geom(geom)) for level, geom in HANDLES.items()]
    places += [(BOTTLE, scene.position(BOTTLE) + s * scene.rotation(BOTTLE)[:, 2]) for s in (0.02, 0.06, 0.1, 0.14)]
    places += [(BOWL, shifted(scene.position(BOWL), 0, 0, 0.03))]
    for name, place in places:
        if np.linalg.norm(place - hand.position) < (0.04 if name == wanted else 0.07):
            return back_off(hand, fingers(hand, 0.08))
    return None
