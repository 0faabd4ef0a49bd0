"""Placements wider than the suite's: whoever learns in these must look where things are, not remember it.

The suite moves things by a centimetre or two, so little that a policy may know by heart where to reach. Needs simulator
state, before an episode begins; official init states are never opened.
"""

import numpy as np

from stretto.envs.experts.libero_goal.motion import BOTTLE, BOWL, CABINET, CHEESE, KNOB, PLATE, RACK, STOVE, Vec
from stretto.envs.libero import Libero

THINGS = {BOWL: 0.04, CHEESE: 0.04, BOTTLE: 0.04, PLATE: 0.02}
"""How far each is moved along x and y, at most (m); a plate farther off is not pushed to its goal in one go."""
_FIXED = (f"{CABINET}_base", STOVE, KNOB, RACK)

_MARGIN = 0.012  # kept free between two things (m)
_TRIES = 12


def scatter(env: Libero, rng: np.random.Generator) -> None:
    """Moves each thing by what `THINGS` allows, where there is room for it; the world comes to rest."""
    scene = env.scene()
    boxes = {name: scene.box(name) for name in (*THINGS, *_FIXED)}
    places: dict[str, tuple[float, ...]] = {}
    for name in rng.permutation(list(THINGS)):
        (low, high), here = boxes[name], scene.position(name)
        others = [box for other, box in boxes.items() if other != name]
        for _ in range(_TRIES):
            move = np.array([*rng.uniform(-THINGS[name], THINGS[name], 2), 0.0])
            if not any(_meet((low + move, high + move), box) for box in others):
                boxes[name], places[name] = (low + move, high + move), tuple(here + move)
                break
    env.arrange(places)


def _meet(one: tuple[Vec, Vec], other: tuple[Vec, Vec]) -> bool:
    """Whether two boxes, seen from above, come closer than the margin."""
    return bool(np.all(one[0][:2] - _MARGIN < other[1][:2]) and np.all(other[0][:2] - _MARGIN < one[1][:2]))
