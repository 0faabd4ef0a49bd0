"""A bed of noise from end to end under some sessions, the same for the same seed."""

import numpy as np
from jaxtyping import Float32

from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE
from stretto.core.sound import level_dbfs
from stretto.data import rooms
from stretto.data.hearing import BEDS

BEDDED = 0.2
"""Share of sessions that have one."""


def bedded(samples: Float32[np.ndarray, " samples"], seed: int) -> Float32[np.ndarray, " samples"]:
    """The sound of a session, some with a noise of -65 to -40 dBFS."""
    rng = generator(seed, "bed")
    if rng.random() >= BEDDED:
        return samples
    bed = rooms.bed(BEDS[int(rng.integers(len(BEDS)))], len(samples), HEARING_RATE, int(rng.integers(2**31)))
    bed = bed * 10 ** ((rng.uniform(-65, -40) - level_dbfs(bed.astype(np.float32))) / 20)
    return np.clip(samples + bed, -1, 1).astype(np.float32)
