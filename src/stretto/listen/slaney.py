"""Triangles on Slaney's mel scale, as Whisper, Smart-Turn and the speech embedding were trained on them.

The scale is linear up to 1 kHz (15 mel), then logarithmic, 27 mel for a factor of 6.4. Each triangle has an area of 1
in hertz, so a wide band counts no more than a narrow one.

Source: Slaney 1998 (Auditory Toolbox). Needs: numpy.
"""

import numpy as np
from jaxtyping import Float64

from stretto.core.signals import HEARING_RATE


def bank(bands: int, low: float, high: float, size: int) -> Float64[np.ndarray, "bins bands"]:
    """Weights of `bands` triangles from `low` to `high` Hz over the size // 2 + 1 bins of a spectrum at 16 kHz."""
    hertz = np.linspace(0, HEARING_RATE / 2, size // 2 + 1)[:, None]
    edges = _hertz(np.linspace(_mel(low), _mel(high), bands + 2))
    width = np.diff(edges)
    rising, falling = (hertz - edges[:-2]) / width[:-1], (edges[2:] - hertz) / width[1:]
    triangles: np.ndarray = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return triangles


def _mel(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1_000 else 15 + 27 * float(np.log(hertz / 1_000) / np.log(6.4))


def _hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < 15, 200 * mels / 3, 1_000 * np.exp(np.log(6.4) / 27 * (mels - 15)))
