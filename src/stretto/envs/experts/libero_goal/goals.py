"""The ten goals of LIBERO-Goal and "put it down": a table from instruction to the next action.

Each goal first clears its own way: it puts down what it does not need, backs out of a handle, shuts a drawer that hangs
over its work, takes the bowl from where it blocks.
"""

from collections.abc import Callable

import numpy as np

from stretto.envs.experts.libero_goal.drawer import OPEN, close_drawer, open_drawer, place_of
from stretto.envs.experts.libero_goal.grasp import HANDLES, bottle_grasp, bowl_grasp, cheese_grasp, leave
from stretto.envs.experts.libero_goal.motion import (
    BOTTLE,
    BOWL,
    CABINET,
    CHEESE,
    PLATE,
    Action,
    Hand,
    ramp,
    reach,
    rest,
    shifted,
    turn_x,
)
from stretto.envs.experts.libero_goal.pick_place import (
    bottle_place,
    bowl_place,
    cheese_place,
    near_object,
    pick_place,
    put_down,
    withdraw,
)
from stretto.envs.experts.libero_goal.push import push
from stretto.envs.experts.libero_goal.stove import turn_on
from stretto.envs.libero_scene import DOWN

PUT_DOWN = "put it down"


def middle_drawer(hand: Hand, goal: str) -> Action:
    """Open the middle drawer of the cabinet."""
    return either(_first(hand, None), lambda: _shut(hand, ("top", "bottom")), lambda: open_drawer(hand, "middle"))


def bowl_on(where: str) -> Callable[[Hand, str], Action]:
    """Put the bowl on the stove, the cabinet or the plate."""

    def act(hand: Hand, goal: str) -> Action:
        first = _first(hand, BOWL)
        if first is None and hand.held != BOWL:
            first = _uncover(hand, BOWL)
        if first is not None:
            return first
        return pick_place(hand, BOWL, bowl_place(hand, where), bowl_grasp(hand), goal)

    return act


def bottle_on(where: str) -> Callable[[Hand, str], Action]:
    """Put the wine bottle on the cabinet or in the rack."""
    tilt, height = {"cabinet": (-45.0, 0.07), "rack": (-58.5, 0.08)}[where]

    def act(hand: Hand, goal: str) -> Action:
        first = _first(hand, BOTTLE)
        if first is not None:
            return first
        return pick_place(hand, BOTTLE, bottle_place(hand, where), bottle_grasp(hand, tilt, height), goal)

    return act


def bowl_in_drawer(hand: Hand, goal: str) -> Action:
    """Open the top drawer and put the bowl inside.

    The bowl often stands half under the open drawer: then the hand leans, and draws it aside while it lifts it.
    """
    first = _first(hand, BOWL)
    if first is not None:
        return first
    scene = hand.scene
    if scene.predicate(goal) and hand.held != BOWL:
        return either(withdraw(hand), rest)
    bowl, side = scene.position(BOWL), scene.box(f"{CABINET}_cabinet_top")[0][0]
    if place_of(hand, "top") > OPEN:
        if hand.held == BOWL:
            return put_down(hand, BOWL)
        if bowl[2] < 0.95 and bowl[0] > side + 0.04 and bowl[1] < 0.07:
            return either(_uncover(hand, BOWL), lambda: push(hand, BOWL, np.array([-0.13, 0.085]), 0.01))
        return either(_shut(hand, ("middle", "bottom")), lambda: open_drawer(hand, "top"))
    under = ramp(bowl[0] - side, -0.08, -0.05) * (1 - ramp(bowl[1], 0.10, 0.13)) * (1 - ramp(bowl[2], 0.98, 1.02))
    if hand.held == BOWL and hand.firm and under > 0.0:
        return reach(hand, shifted(hand.position, side - 0.075 - bowl[0], 0.04 - bowl[1], 0.08), hand.rotation, 1.0)
    aside = side - 0.06 - hand.position[0]  # to where the hand, coming from the handle, can go down beside the drawer
    if hand.held is None and hand.tilted and aside < -0.02 and hand.position[1] > 0.10:
        turned = turn_x(-90 * ramp(-aside, 0.02, 0.14)) @ DOWN
        return reach(hand, shifted(hand.position, aside - 0.03, 0.13 - hand.position[1], 0.02), turned, -1.0)
    return pick_place(hand, BOWL, bowl_place(hand, "drawer"), bowl_grasp(hand, lean=under), goal)


def push_plate(hand: Hand, goal: str) -> Action:
    """Push the plate to the front of the stove."""
    target = hand.scene.site("main_table_stove_front_region")
    return either(_first(hand, None), lambda: _uncover(hand, PLATE), lambda: push(hand, PLATE, target))


def cheese_in_bowl(hand: Hand, goal: str) -> Action:
    """Put the cream cheese in the bowl."""
    first = _first(hand, CHEESE)
    if first is not None:
        return first
    return pick_place(hand, CHEESE, cheese_place(hand), cheese_grasp(hand), goal)


def stove_on(hand: Hand, goal: str) -> Action:
    """Turn on the stove."""
    return either(_first(hand, None), lambda: turn_on(hand))


def put_it_down(hand: Hand, goal: str) -> Action:
    """Put down what is held, let go of a handle, draw back, rest."""
    if hand.held is not None:
        return put_down(hand, hand.held)
    if hand.between:
        return either(leave(hand), lambda: withdraw(hand), rest)
    if near_object(hand) < 0.06 and hand.command < 0.9:
        return either(withdraw(hand, 0.06), rest)
    return rest()


def either(first: Action | None, *others: Callable[[], Action | None]) -> Action:
    """The first of several actions that is one; the last always is."""
    for other in others:
        if first is not None:
            break
        first = other()
    assert first is not None
    return first


def _first(hand: Hand, needed: str | None) -> Action | None:
    """Puts down what is held and not needed, and leaves what the open fingers are around; else None."""
    if hand.held is not None:
        return put_down(hand, hand.held) if hand.held != needed else None
    for name in (BOWL, CHEESE, BOTTLE):
        together = {name, needed} == {BOWL, CHEESE}  # the one may lie in the other
        if name != needed and not together and hand.within(name, 0.012):
            return withdraw(hand)
    return None


def _shut(hand: Hand, levels: tuple[str, ...]) -> Action | None:
    """Shuts the drawers among `levels` that stand open; None when all are shut."""
    for level in levels:
        if place_of(hand, level) < -0.02:
            return close_drawer(hand, level)
    return None


def _uncover(hand: Hand, name: str) -> Action | None:
    """Shuts a drawer that hangs over a thing on the table; None when nothing does."""
    scene = hand.scene
    low, high = scene.box(name)
    for level in ("top", "middle", "bottom"):
        if place_of(hand, level) > -0.02:
            continue
        over_low, over_high = scene.box(f"{CABINET}_cabinet_{level}")
        margin = 0.04
        meets = np.all(low[:2] - margin < over_high[:2]) and np.all(over_low[:2] < high[:2] + margin)
        if meets and low[2] < over_low[2]:
            return close_drawer(hand, level)
    return None


GOALS: dict[str, Callable[[Hand, str], Action]] = {
    "open the middle drawer of the cabinet": middle_drawer,
    "put the bowl on the stove": bowl_on("stove"),
    "put the wine bottle on top of the cabinet": bottle_on("cabinet"),
    "open the top drawer and put the bowl inside": bowl_in_drawer,
    "put the bowl on top of the cabinet": bowl_on("cabinet"),
    "push the plate to the front of the stove": push_plate,
    "put the cream cheese in the bowl": cheese_in_bowl,
    "turn on the stove": stove_on,
    "put the bowl on the plate": bowl_on("plate"),
    "put the wine bottle on the rack": bottle_on("rack"),
    PUT_DOWN: put_it_down,
}


def finished(hand: Hand, goal: str) -> bool:
    """Whether a goal holds, nothing is in the hand, and the finger tips are clear of movable things and handles."""
    if hand.held is not None or hand.between:
        return False
    if goal == PUT_DOWN:
        return near_object(hand) > 0.05 or hand.opening < 0.003
    if not hand.scene.predicate(goal):
        return False
    places = [hand.scene.geom(geom) for geom in HANDLES.values()] + [hand.scene.geom("flat_stove_1_g20")]
    handles = min(float(np.linalg.norm(place - hand.position)) for place in places)
    return near_object(hand) > 0.05 and handles > 0.065
