"""Episodes made by hand: an arm that moves as told, a voice that sounds when told, to the millisecond.

Position is the integral of a speed that is given as a function of time, commands are non-zero in the stretches that are
named, predicates and the object in the hand change when told. Nothing is simulated, so what a scorer should find is
known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from stretto.bench.duplex.facts import VOICE_RATE, Episode, Said, Truth
from stretto.core.rng import generator
from stretto.core.signals import Sound
from stretto.runtime.world import Step
from stretto.sessions.trace import Tick

DT = 0.05
FINE = 50
"""Pieces of a control period in which the speed is integrated."""

Speed = Callable[[Float[np.ndarray, " times"]], Float[np.ndarray, " times"]]
Span = tuple[float, float]


def constant(*stretches: tuple[float, float, float]) -> Speed:
    """A speed (cm/s) that is `v` in each (start, end, v) and else 0."""

    def speed(times: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
        return sum((v * ((times >= a) & (times < b)) for a, b, v in stretches), np.zeros(len(times)))

    return speed


@dataclass(kw_only=True)
class Puppet:
    """What an episode of `seconds` is made of.

    `speed`: cm/s over time. `commands`: stretches in which the commands are not zero, of size `size`, alternating by
    `jolt` where that is above 0. `holds`: goals with the spans in which they hold; `held`: (start, end, height in cm at
    the end) of an object in the hand; `sounds`: spans of voice; `late`: how many ticks were late.
    """

    seconds: float = 20.0
    speed: Speed = field(default_factory=lambda: constant())
    commands: Sequence[Span] = ()
    size: float = 0.5
    jolts: Sequence[tuple[float, float]] = ()
    holds: dict[str, Span] = field(default_factory=dict)
    held: tuple[float, float, float] | None = None
    said: Sequence[Said] = ()
    sounds: Sequence[Span] = ()
    voice: Sound | None = None
    late: int = 0

    def episode(self) -> Episode:
        """The episode as a scorer sees it."""
        count = round(self.seconds / DT)
        times = np.arange(count * FINE) * (DT / FINE) + DT / FINE / 2
        travelled = np.cumsum(self.speed(times)) * (DT / FINE) / 100
        steps = [self._step(k, float(travelled[(k + 1) * FINE - 1])) for k in range(count)]
        return Episode(
            steps=steps,
            truth=[self._truth(k * DT) for k in range(count + 1)],
            said=self.said,
            voice=self.voice or buzz(self.sounds, self.seconds),
            ticks=[Tick(0.2 * k, 0.2 * k, 0.2 * k + (0.3 if k <= self.late else 0.01)) for k in range(1, 101)],
            seconds=self.seconds,
        )

    def _step(self, k: int, x: float) -> Step:
        t, action = k * DT, np.zeros(7)
        if any(a - 1e-9 <= t < b - 1e-9 for a, b in self.commands):
            action[0] = self.size
        for at, size in self.jolts:
            action[0] += size if abs(t - at) < DT / 2 else 0.0
        proprio = np.array([x, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0], np.float32)
        return Step(t=t, action=action, proprio=proprio, success=False, halted=False)

    def _truth(self, t: float) -> Truth:
        goals = frozenset(goal for goal, (a, b) in self.holds.items() if a <= t < b)
        if self.held is None or not self.held[0] <= t < self.held[1]:
            return Truth(t=t, holds=goals)
        last = t >= self.held[1] - DT - 1e-9
        return Truth(t=t, holds=goals, held="bowl", contact=True, height=self.held[2] / 100 if last else 0.1)


def buzz(spans: Sequence[Span], seconds: float) -> Sound:
    """Noise like a voice's level in the spans, silence elsewhere."""
    samples = np.zeros(round(seconds * VOICE_RATE), np.float32)
    rng = generator(0, "buzz")
    for start, end in spans:
        a, b = round(start * VOICE_RATE), min(len(samples), round(end * VOICE_RATE))
        samples[a:b] = rng.normal(0, 0.08, b - a)
    return Sound(samples=samples, rate=VOICE_RATE)


def placed(pieces: Sequence[tuple[float, Sound]], seconds: float) -> Sound:
    """Sounds of the voice's rate at their times."""
    samples = np.zeros(round(seconds * VOICE_RATE), np.float32)
    for start, sound in pieces:
        a = round(start * VOICE_RATE)
        b = min(len(samples), a + len(sound.samples))
        samples[a:b] += sound.samples[: b - a]
    return Sound(samples=samples, rate=VOICE_RATE)
