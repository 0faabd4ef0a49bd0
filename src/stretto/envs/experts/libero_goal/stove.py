"""The stove: the knob's fin is gripped beside its axis and turned, the hand following the arc."""

import numpy as np

from stretto.envs.experts.libero_goal.grasp import Grasp, take
from stretto.envs.experts.libero_goal.motion import KNOB, Action, Hand, back_off, reach, rest, turn_y, turn_z
from stretto.envs.libero_scene import DOWN

ON, TURNED = 0.5, 0.75
"""Where the suite calls the stove on, and where turning ends (rad)."""

_ARM, _HEIGHT, _MOST, _LEAN = 0.02, 0.942, 50.0, 20.0


def turn_on(hand: Hand) -> Action:
    """The next action of turning the stove on; lets go and rises at the end."""
    angle = hand.scene.joint(KNOB)
    if gripped(hand) and angle < TURNED and not hand.letting_go:
        place, rotation = _pose(hand, angle + (0.35 if hand.command > 0.9 else 0.0))
        lead = place + 0.5 * (place - hand.position)
        return reach(hand, lead, rotation, 1.0)
    if angle >= ON:
        return let_go(hand)
    return take(hand, KNOB, Grasp(*_pose(hand, angle), width=0.08, hover=0.07, speed=0.4, precision=0.006))


def gripped(hand: Hand) -> bool:
    """Whether the fin is between the fingers; contacts of a firm grip come and go."""
    if KNOB in hand.between:
        return hand.command > -0.3
    near = float(np.linalg.norm((hand.position - hand.scene.joint_anchor(KNOB))[:2])) < 0.045
    return bool(near and hand.position[2] < _HEIGHT + 0.02 and hand.command > 0.9 and 0.01 < hand.opening < 0.05)


def let_go(hand: Hand) -> Action:
    """Opens and rises until the hand is clear of the knob."""
    axis = hand.scene.joint_anchor(KNOB)
    if np.linalg.norm((hand.position - axis)[:2]) > 0.07 or hand.position[2] > _HEIGHT + 0.06:
        return rest()
    if hand.command > -0.9:
        return np.concatenate([np.zeros(6), [-1.0]])
    return back_off(hand, -1.0)


def _pose(hand: Hand, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The hand's pose on the fin when the knob stands at `angle`."""
    axis = hand.scene.joint_anchor(KNOB)
    place = np.array([axis[0] + _ARM * np.cos(angle), axis[1] + _ARM * np.sin(angle), _HEIGHT])
    return place, turn_z(min(np.degrees(angle), _MOST)) @ turn_y(_LEAN) @ DOWN
