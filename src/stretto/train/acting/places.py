"""Where things are, as numbers: labels for an auxiliary loss on the image tokens. Simulator state, training only."""

import numpy as np
from jaxtyping import Float

from stretto.envs.experts.libero_goal.motion import BOTTLE, BOWL, CABINET, CHEESE, KNOB, PLATE, STOVE
from stretto.envs.libero_scene import Scene
from stretto.train.acting.readout import CENTRE

THINGS = (BOWL, CHEESE, BOTTLE, PLATE)
DRAWERS = tuple(f"{CABINET}_{level}_level" for level in ("top", "middle", "bottom"))


def places(scene: Scene) -> Float[np.ndarray, "22"]:
    """Four things (x y z each), stove, cabinet and rack (x y each), three drawers and the knob; decimetres and rad."""
    things = np.concatenate([scene.position(name) - CENTRE for name in THINGS])
    fixed = np.concatenate([(scene.position(name) - CENTRE)[:2] for name in (STOVE, f"{CABINET}_base", "wine_rack_1")])
    joints = np.array([scene.joint(name) for name in DRAWERS])
    return np.clip(np.concatenate([10 * things, 10 * fixed, 10 * joints, [scene.joint(KNOB)]]), -8, 8)
