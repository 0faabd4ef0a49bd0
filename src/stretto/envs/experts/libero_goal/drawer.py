"""Drawers: pulled open by the handle, pushed shut with closed fingers, the hand lying level in front of the cabinet.

The hand goes on past the handle until the drawer's front stops it, and closes then: where it closes follows from touch,
not from a depth that a learner of these actions would have to see to the centimetre.
"""

import numpy as np

from stretto.envs.experts.libero_goal.grasp import HANDLES, Grasp, take
from stretto.envs.experts.libero_goal.motion import (
    CABINET,
    Action,
    Hand,
    back_off,
    fingers,
    ramp,
    reach,
    rest,
    shifted,
    travel,
    turn_x,
)
from stretto.envs.libero_scene import DOWN

LEVEL = turn_x(-90) @ DOWN
"""The hand lies: fingers towards the cabinet, closing along the vertical."""

OPEN, PULLED = -0.14, -0.156
"""The joint where the suite calls a drawer open, and where pulling ends (m)."""

_PUSH = 0.04  # beyond the middle of a handle: more than the 1.3 cm to the drawer's front (m)
_HOVER = 0.15  # from where the hand goes straight onto a handle: clear of the rack beside the cabinet (m)


def place_of(hand: Hand, level: str) -> float:
    """How far the drawer is out: 0 shut, -0.16 wide open."""
    return hand.scene.joint(f"{CABINET}_{level}_level")


def gripped(hand: Hand, level: str) -> bool:
    """Whether the handle is between the fingers; contacts of a firm grip come and go."""
    if f"{CABINET}_cabinet_{level}" in hand.between:
        return True
    near = float(np.linalg.norm(hand.position - hand.scene.geom(HANDLES[level]))) < 0.025
    return near and hand.command > 0.9 and hand.opening > 0.01


def open_drawer(hand: Hand, level: str) -> Action:
    """The next action of opening; lets go and backs off 8 cm at the end."""
    out = place_of(hand, level)
    handle = hand.scene.geom(HANDLES[level])
    if gripped(hand, level) and hand.command > -0.3 and out > PULLED and not hand.letting_go:
        if not hand.firm and out > -0.01:
            return reach(hand, handle, LEVEL, 1.0, 0.3)
        return reach(hand, np.array([handle[0], hand.position[1] + 0.1, hand.position[2]]), LEVEL, 1.0)
    if out < OPEN:
        return let_go(hand, level)
    far = float(np.linalg.norm((hand.position - handle)[:2]))
    lying = turn_x(-90 * (1 - ramp(far, _HOVER + 0.06, _HOVER + 0.14))) @ DOWN  # a lying hand must pass higher
    grasp = Grasp(handle, lying, width=0.07, hover=_HOVER, speed=0.4, push=_PUSH)
    return take(hand, f"{CABINET}_cabinet_{level}", grasp)


def let_go(hand: Hand, level: str) -> Action:
    """Opens the fingers around a handle and backs off; rests when clear."""
    gap = float(np.linalg.norm(hand.position - hand.scene.geom(HANDLES[level])))
    if gap > 0.075 or not hand.tilted:
        return rest()
    if hand.command > -0.6:
        return np.concatenate([np.zeros(6), [-1.0]])
    return back_off(hand, fingers(hand, 0.07))


def close_drawer(hand: Hand, level: str) -> Action:
    """The next action of pushing a drawer shut with the finger tips on its handle."""
    handle = hand.scene.geom(HANDLES[level])
    error = handle - hand.position
    aside = float(np.hypot(error[0], error[2]))
    if gripped(hand, level) and hand.command > -0.3:
        return reach(hand, shifted(hand.position, 0, -0.1, 0), LEVEL, 1.0)
    ahead = -error[1]
    if aside < 0.02 and -0.02 < ahead < 0.16 and hand.angle(LEVEL) < 0.3:
        if hand.command < 0.9 and ahead < 0.05:
            return back_off(hand, 1.0)
        return reach(hand, np.array([handle[0], hand.position[1] - 0.1, handle[2]]), LEVEL, 1.0)
    if hand.tilted and float(np.linalg.norm(error)) < 0.07:
        return back_off(hand, -1.0 if hand.between else 1.0)
    return travel(hand, shifted(handle, 0, 0.09, 0), LEVEL, 1.0)
