"""A microphone that is pushed from outside: what arrives in pieces, late and uneven, is read tick by tick.

Pieces that follow each other are laid end to end, so words stay whole however the pieces arrive. After a gap the stream
begins again a little ahead of now (`lead_s`), which is how late the next piece may be. Of what waits unread at most
`ahead_s` are kept: a client that sends faster than time passes loses the oldest, so that a stop word is never heard
seconds late. `taps` see every piece as it arrives, without waiting for a tick: a reflex listens there.
"""

import threading
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from stretto.core.signals import HEARING_RATE, Sound
from stretto.core.sound import resample

LEAD_S = 0.04
"""How far ahead of now a stream begins."""
AHEAD_S = 10.0
"""How much may wait unread, unless the client asks for less."""


class Microphone:
    """Mono sound at the hearing rate, in session time. May be pushed from another thread than it is read in."""

    def __init__(self, lead_s: float = LEAD_S, ahead_s: float = AHEAD_S) -> None:
        self.ahead_s = ahead_s
        self.taps: list[Callable[[float, np.ndarray], None]] = []
        self._lead = round(lead_s * HEARING_RATE)
        self._lock = threading.Lock()
        self._now: Callable[[], float] = lambda: 0.0
        self._samples = np.zeros(0, np.float32)
        self._base, self._cursor = 0, -1

    def open(self, now: Callable[[], float]) -> None:
        """A session begins at its time 0; `now` tells its time. Nothing of an earlier one is left."""
        with self._lock:
            self._now = now
            self._samples, self._base, self._cursor = np.zeros(0, np.float32), 0, -1

    def push(self, samples: Float32[np.ndarray, " samples"]) -> float:
        """The next piece of the stream. Returns the seconds of older sound that had to be dropped for it."""
        with self._lock:
            now = round(self._now() * HEARING_RATE)
            if self._cursor < self._base:
                self._cursor = max(self._base, now) + self._lead
            start = self._cursor
            self._add(start, samples)
            self._cursor += len(samples)
            late = self._cursor - max(self._base, now) - round(self.ahead_s * HEARING_RATE) - self._lead
            if late > 0:
                self._samples = self._samples[late:]
                self._cursor -= late
                start = max(self._base, start - late)
        for tap in self.taps:
            tap(start / HEARING_RATE, samples)
        return max(0, late) / HEARING_RATE

    def clear(self) -> None:
        """Forget what waits unread."""
        with self._lock:
            self._samples, self._cursor = np.zeros(0, np.float32), -1

    def add(self, t: float, sound: Sound) -> None:
        """Mix a sound in at session time `t`, beside the stream; what of it is past is lost."""
        with self._lock:
            self._add(round(t * HEARING_RATE), resample(sound.samples, sound.rate, HEARING_RATE))

    def read(self, start: float, end: float) -> Float32[np.ndarray, " samples"]:
        """What is heard from `start` to `end`, silence where nothing came; it is forgotten with all that was before."""
        first, last = round(start * HEARING_RATE), round(end * HEARING_RATE)
        with self._lock:
            out = np.zeros(last - first, np.float32)
            piece = self._samples[max(0, first - self._base) : max(0, last - self._base)]
            at = max(0, self._base - first)
            out[at : at + len(piece)] = piece
            self._samples = self._samples[max(0, last - self._base) :]
            self._base = last
        return np.clip(out, -1, 1)

    def _add(self, start: int, samples: np.ndarray) -> None:
        samples = samples[max(0, self._base - start) :]
        first = max(start, self._base) - self._base
        missing = first + len(samples) - len(self._samples)
        if missing > 0:
            self._samples = np.concatenate([self._samples, np.zeros(missing, np.float32)])
        self._samples[first : first + len(samples)] += samples
