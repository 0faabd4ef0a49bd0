"""Pushing from inside: closed fingers lowered into the plate or the bowl move it without lifting it."""

import numpy as np

from stretto.envs.experts.libero_goal.grasp import leave
from stretto.envs.experts.libero_goal.motion import BOWL, PLATE, Action, Hand, approach, reach, rest, shifted, travel
from stretto.envs.libero_scene import DOWN

_INSIDE = {PLATE: (0.010, 0.06, 0.035), BOWL: (0.03, 0.05, 0.06)}
"""For each: the tips' height over its origin while pushing; how far from its middle, and how high, still is inside."""


def push(hand: Hand, name: str, target: np.ndarray, close: float = 0.01) -> Action:
    """The next action of pushing `name` until its middle is within `close` (m) of `target`; then rises and rests."""
    height, radius, depth = _INSIDE[name]
    thing = hand.scene.position(name)
    offset = hand.position - thing
    away = float(np.linalg.norm(offset[:2]))
    left = target[:2] - thing[:2]
    if np.linalg.norm(left) < close:
        return rise(hand)
    if away < radius and offset[2] < depth and hand.command > 0.9 and hand.angle(DOWN) < 0.25:
        if offset[2] > height + 0.016:
            return reach(hand, shifted(thing, 0, 0, height), DOWN, 1.0, 0.5)
        ahead = hand.position[:2] + left * (0.06 / max(0.03, float(np.linalg.norm(left))))
        return reach(hand, np.array([*ahead, thing[2] + height]), DOWN, 1.0, 0.5)
    away_first = leave(hand)
    if away_first is not None:
        return away_first
    if hand.command > 0.9:
        onto = approach(hand, shifted(thing, 0, 0, height), DOWN, 1.0, 0.08 - height, 0.012, 0.6)
        if onto is not None:
            return onto
    return travel(hand, shifted(thing, 0, 0, 0.08), DOWN, 1.0)


def rise(hand: Hand) -> Action:
    """Straight up until clear of what stands on the table, then rest."""
    if hand.position[2] < 1.0:
        return reach(hand, shifted(hand.position, 0, 0, 0.1), hand.rotation, 0.0)
    return rest()
