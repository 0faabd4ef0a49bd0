"""A recorded session in memory: all streams, all events, the versions and seeds that made it.

State, actions and flags run at the control rate; pictures come more seldom and each carries its own time; sound runs at
its own rate from session time 0 on. How episodes lie on disk is another file's business (lerobot.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64

from stretto.core.errors import StrettoError
from stretto.core.signals import Event, Image, Sound


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Each control period: `proprio[k]` and `success[k]` at session time `t[k]`, `action[k]` from then on.

    `halted[k]` says that the arm was commanded to stand still. Raises StrettoError when lengths differ or are 0.
    """

    t: Float64[np.ndarray, " steps"]
    proprio: Float32[np.ndarray, "steps proprio"]
    action: Float32[np.ndarray, "steps actions"]
    success: Bool[np.ndarray, " steps"]
    halted: Bool[np.ndarray, " steps"]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("t", "proprio", "action", "success", "halted")}
        if len(set(lengths.values())) > 1 or not lengths["t"]:
            raise StrettoError(
                f"An episode needs streams of one length, at least 1, at the control rate; got {lengths}."
            )

    def __len__(self) -> int:
        return len(self.t)


@dataclass(frozen=True, kw_only=True, eq=False)
class Episode:
    """A recorded session.

    `task` is the instruction in words, `fps` the rate of pictures (Hz), `control_hz` that of `steps`. `images` holds
    each camera's pictures in the order of their times, `heard_sound` what the microphone heard, `spoken_sound` the
    agent's own voice.
    """

    task: str
    seed: int
    split: str
    steps: Steps
    fps: float = 5.0
    control_hz: float = 20.0
    versions: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, tuple[Image, ...]] = field(default_factory=dict)
    heard_sound: Sound | None = None
    spoken_sound: Sound | None = None
    events: tuple[Event, ...] = ()
