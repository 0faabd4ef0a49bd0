"""Putting a thing somewhere: take it, carry it over what stands around, lower it, let go, draw back.

A place is a pose of the *object*; the hand's pose follows from how the object lies in the hand, so that it does not
matter how it was taken, or by which goal. Letting go begins within the tolerance of the place and, once begun, goes on
within a wider one.
"""

from dataclasses import dataclass

import numpy as np

from stretto.envs.experts.libero_goal.grasp import (
    Grasp,
    smallest_turn,
    take,
)
from stretto.envs.experts.libero_goal.motion import (
    BOWL,
    CABINET,
    CHEESE,
    KNOB,
    PLATE,
    RACK,
    SHOULDER,
    STOVE,
    TABLE,
    Action,
    Hand,
    Mat,
    Vec,
    back_off,
    ramp,
    reach,
    rest,
    shifted,
    travel,
    turn_x,
)

UP = np.array([0.0, 0.0, 1.0])
_X = np.array([1.0, 0.0, 0.0])
_KEEP_FREE = [
    (np.array([-0.10, -0.2, 0.0]), np.array([0.17, 0.10, 0.0])),  # under the drawers
    (np.array([-0.11, 0.14, 0.0]), np.array([0.02, 0.28, 0.0])),  # where the plate is pushed
]
RACK_TILT = 58.5
"""Degrees by which a standing bottle is turned about x to lie in the rack."""


@dataclass(frozen=True)
class Place:
    """Where an object's origin shall be, and its own z axis; `drop`: the height (m) from which it is let go.

    `closing`: where the fingers shall close along, as nearly as the axis allows (either way round); None: as they do.
    """

    position: Vec
    axis: Vec
    tolerance: float = 0.012
    drop: float = 0.006
    closing: Vec | None = None


def carry(hand: Hand, name: str, place: Place, settled: bool = False) -> Action:
    """The next action of bringing the held object to its place and letting go there.

    `settled`: the object is already where it may be let go, whatever its distance to the place.
    """
    scene = hand.scene
    base, axis = scene.position(name), scene.rotation(name)[:, 2]
    error = place.position - base
    slack = 1.0 if hand.command > 0.9 else 2.5
    level = float(np.linalg.norm(error[:2])) < place.tolerance * slack
    lean = float(np.arccos(np.clip(axis @ place.axis, -1, 1)))
    turn = smallest_turn(axis, place.axis)
    turn = _twist(turn @ hand.rotation[:, 0], place) @ turn
    goal, rotation = place.position + turn @ (hand.position - base), turn @ hand.rotation
    low = base[2] - place.position[2] < place.drop * slack or scene.clearance(name) < 0.004 * slack
    if (settled and hand.command < 0.9) or (
        level and low and lean < 0.2 * slack and (hand.still or hand.command < 0.9)
    ):
        return reach(hand, hand.position, hand.rotation, -1.0)
    if hand.command < 0.9 or hand.opening_speed < -0.1:
        return reach(hand, hand.position, hand.rotation, 1.0)
    above = base[2] - place.position[2]
    aside = float(np.linalg.norm(error[:2]))
    if aside > 0.05 or above > 0.11 or lean > 0.6:
        return travel(hand, shifted(goal, 0, 0, 0.05), rotation, 1.0)
    back = 0.054 * max(ramp(aside, 0.7 * place.tolerance, 0.7 * place.tolerance + 0.02), ramp(lean, 0.2, 0.4))
    speed = 0.35 + 0.65 * ramp(above, 0.03, 0.07)
    sideways = 1 - ramp(back - above, 0.01, 0.04)
    return reach(hand, shifted(goal, 0, 0, back - 0.004), rotation, 1.0, speed, sideways)


def _twist(closing: Vec, place: Place) -> Mat:
    """The turn about the place's axis that brings the fingers' closing direction to the wanted one."""
    if place.closing is None:
        return np.eye(3)
    wanted = place.closing - (place.closing @ place.axis) * place.axis
    now = closing - (closing @ place.axis) * place.axis
    wanted, now = wanted / np.linalg.norm(wanted), now / max(float(np.linalg.norm(now)), 1e-6)
    if now @ wanted < 0:
        wanted = -wanted
    return smallest_turn(now, wanted)


def withdraw(hand: Hand, distance: float = 0.07) -> Action | None:
    """Opens and draws back until no movable thing is near the finger tips; None when the hand is clear."""
    if hand.command > -0.9:
        return np.concatenate([np.zeros(6), [-1.0]])
    if near_object(hand) < distance:
        return back_off(hand, -1.0)
    return None


def near_object(hand: Hand) -> float:
    """Distance from the finger tips to the nearest box of a movable thing."""
    best = np.inf
    for name in hand.scene.objects:
        low, high = hand.scene.box(name)
        best = min(best, float(np.linalg.norm(hand.position - np.clip(hand.position, low, high))))
    return best


def pick_place(hand: Hand, name: str, place: Place, grasp: Grasp, goal: str) -> Action:
    """The next action of the goal `goal`: `name` to `place`, taken by `grasp` when it is not in the hand."""
    if hand.held == name:
        return carry(hand, name, place, hand.scene.predicate(goal))
    if hand.scene.predicate(goal):
        away = withdraw(hand)
        return rest() if away is None else away
    return take(hand, name, grasp)


def free_spot(hand: Hand, name: str) -> Vec:
    """The nearest place on the table, well in reach, where an object may stand out of the way of other goals."""
    scene = hand.scene
    low, high = scene.box(name)
    radius = float((high - low)[:2].max()) / 2 + 0.015
    here = scene.position(name)[:2]
    others = [scene.box(other) for other in scene.objects if other != name]
    others += [scene.box(body) for body in (f"{CABINET}_base", STOVE, KNOB, RACK)]
    others += _KEEP_FREE[:1] if name == CHEESE else _KEEP_FREE
    best, cost = np.array([-0.15, 0.1]), np.inf
    for x in np.arange(-0.30, 0.10, 0.02):
        for y in np.arange(-0.12, 0.33, 0.02):
            spot = np.array([x, y])
            room = min(float(np.linalg.norm(spot - np.clip(spot, a[:2], b[:2]))) for a, b in others)
            if room < radius or np.linalg.norm(spot - SHOULDER) > 0.70:
                continue
            far = float(np.linalg.norm(spot - here)) + 0.3 * max(0.0, radius + 0.05 - room)
            if far < cost:
                best, cost = spot, far
    return np.array([*best, TABLE])


def put_down(hand: Hand, name: str) -> Action:
    """The next action of putting the held object on a free spot of the table."""
    scene = hand.scene
    spot = free_spot(hand, name)
    origin = spot + np.array([0, 0, scene.position(name)[2] - scene.box(name)[0][2]])
    axis = scene.rotation(name)[:, 2]
    place = Place(origin, _upright(axis) if name == CHEESE else UP, tolerance=0.03)
    return carry(hand, name, place, settled=scene.clearance(name) < 0.01)


def _upright(axis: Vec) -> Vec:
    return UP if axis[2] >= 0 else -UP


def bowl_place(hand: Hand, where: str) -> Place:
    """Where the bowl goes: `stove`, `cabinet`, `plate` or `drawer`."""
    scene = hand.scene
    spot = {
        "stove": lambda: shifted(scene.site("flat_stove_1_cook_region"), 0, 0, 0.0),
        "cabinet": lambda: shifted(scene.site(f"{CABINET}_top_side"), 0, 0, 0.0),
        "plate": lambda: shifted(scene.position(PLATE), 0, 0, 0.006),
        "drawer": lambda: shifted(scene.site(f"{CABINET}_top_region"), 0, 0, -0.011),
    }[where]()
    return Place(np.asarray(spot), UP)


def bottle_place(hand: Hand, where: str) -> Place:
    """Where the bottle goes: standing on the `cabinet`, or lying in the `rack`."""
    scene = hand.scene
    if where == "cabinet":
        return Place(shifted(scene.site(f"{CABINET}_top_side"), 0, 0.03, 0.003), UP, closing=_X)
    along, off = np.array([0, -0.87, 0.49]), np.array([0, 0.49, 0.87])
    site = scene.site("wine_rack_1_top_region")
    return Place(site + 0.05 * along + 0.014 * off, turn_x(RACK_TILT) @ UP, tolerance=0.012, drop=0.012, closing=_X)


def cheese_place(hand: Hand) -> Place:
    """In the bowl: let go above its middle."""
    axis = hand.scene.rotation(CHEESE)[:, 2]
    return Place(shifted(hand.scene.position(BOWL), 0, 0, 0.055), _upright(axis), tolerance=0.012)
