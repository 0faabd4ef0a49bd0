"""A noise: hum, music, a hiss that comes and goes. Nothing is to be done about it."""

import numpy as np

from stretto.core.signals import HEARING_RATE, Sound, Speech
from stretto.data import rooms
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms.side_talk import ignored

KINDS = ("white", "pink", "hum", "music")


def add(plot: Plot, draw: Draw) -> Plot:
    """One to three seconds."""
    number = len(plot.prompts)
    count = round(draw.between(1.0, 3.0, "noise", number) * HEARING_RATE)
    kind = draw.pick(KINDS, "noise kind", number)
    bed = rooms.bed(kind, count, HEARING_RATE, draw.seed % 2**31).astype(np.float32)
    sound = rooms.level(Sound(samples=bed, rate=HEARING_RATE), draw.between(-45, -25, "noise level", number))
    return ignored(plot, draw, "noise", Speech(text="", sound=sound, words=()))
