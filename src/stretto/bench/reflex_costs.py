"""Card "reflex-costs": what a frame of the reflex and a short look at a sentence take, with the simulator beside.

Each trial: LIBERO plays in its own process at 20 Hz with both cameras while a sentence of the development split is
heard, 32 ms by 32 ms as it sounds, and then read through the short window. Scored runs draw from it (parts `spotter`,
from a frame's last sample to the flag, and `glance`), as they draw the other parts from the card "latency".
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.bench.card import Trial
from stretto.core.clock import WallClock
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, SkillRequest
from stretto.core.sound import at_rate, pad
from stretto.data import talk_wide
from stretto.data.voices import speaker
from stretto.listen.spotter.features import FRAME
from stretto.listen.whisper import Whisper
from stretto.runtime.process import WorldProcess
from stretto.runtime.reflex import Reflex
from stretto.runtime.world import World

VOICE = "flite-kal"
PER_TRIAL = 6
"""Frames kept of a trial."""


@dataclass
class State:
    """What the worker keeps."""

    world: WorldProcess
    reflex: Reflex
    glimpse: Whisper
    voice: Any


class ReflexCosts:
    """Forty sentences."""

    name = "reflex-costs"
    clock = "wall"
    parallel = False
    seconds_per_trial = 6.0

    def trials(self, n: int | None) -> list[Trial]:
        """A sentence each."""
        return [Trial(f"sentence{index}", {"unit": index}) for index in range(n or 40)]

    def open(self) -> State:
        """A world that moves, and all networks warm."""
        glimpse = Whisper.Config(window_s=8.0, prompt="Stop now. Wait. Pause. Go on.").build()
        voice = speaker(VOICE)
        glimpse.recognise(voice.speak("Hello there.").sound)
        return State(WorldProcess(World.Config(cameras_hz=5.0)), Reflex.Config().build(), glimpse, voice)

    def run(self, trial: Trial, state: State) -> list[dict[str, Any]]:
        """One sentence beside a moving arm."""
        unit = trial.params["unit"]
        said = talk_wide.draw(("stop", "pause", "hard")[unit % 3], unit, "dev").text
        sound = pad(at_rate(state.voice.speak(said).sound, HEARING_RATE), 0.3, 0.3)
        clock = WallClock()
        state.world.reset(str(unit % 10), unit, "dev")
        state.world.go(clock.epoch)
        state.world.post(SkillRequest(verb="start", goal=state.world.tasks[unit % 10]), 0.0)
        state.reflex.start()
        frames = []
        for begin in range(0, len(sound.samples) - FRAME, FRAME):
            clock.wait_until((begin + FRAME) / HEARING_RATE)
            start = time.perf_counter()
            state.reflex.hear(begin / HEARING_RATE, sound.samples[begin : begin + FRAME])
            frames.append(time.perf_counter() - start)
        start = time.perf_counter()
        state.glimpse.recognise(sound)
        looks = [time.perf_counter() - start]
        kept = generator(0, "reflex costs", unit).choice(np.array(frames[2:]), PER_TRIAL, replace=False)
        rows = [("spotter", value) for value in kept] + [("glance", value) for value in looks]
        state.world.advance(clock.now())
        return [
            {"row": "delay_s", "arm": "reflex", "part": part, "unit": f"{part}/{unit}.{index}", "seed": unit}
            | {"value": round(float(value), 6)}
            for index, (part, value) in enumerate(rows)
        ]

    def close(self, state: State) -> None:
        """End the world."""
        state.world.close()
