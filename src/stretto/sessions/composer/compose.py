"""From a seed to a plot, from a plot to a session: a teacher who knows the script acts and speaks in the live world.

What a session leaves is what an agent would have got, tick by tick (microphone, pictures as old as in life,
proprioception, what was being played), and what was said and done about it. The arm is moved by the expert, so
pictures, stops and switches agree with what was said; or by an agent, and the teacher notes (driven.py).

    composer = Composer.Config().build(voices)
    composed = composer.play(7)

Fresh placements only: official init states are never opened. Needs LIBERO and the split's voices; privileged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from stretto.core.clock import VirtualClock
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Context, Voice
from stretto.core.signals import Kind, Observation, Output, Sound, Speech, Word
from stretto.data.speech_cache import SpeechCache
from stretto.data.voices import speaker
from stretto.envs.experts.libero_goal import LiberoGoalExpert
from stretto.runtime.delays import from_card
from stretto.runtime.flight import Recorded
from stretto.runtime.world import World
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.driven import Driven
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms import MIDDLES, OPENINGS, term
from stretto.sessions.prompted import Prompted
from stretto.sessions.score import stop_word_end
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.director import Director
from stretto.sessions.watched import Watched

MORE = {"0": 0.2, "1": 0.4, "2": 0.3, "3": 0.1}
"""How many terms follow the first."""
LIMIT_S = 16.0
"""How long the arm may be about its last task."""
DONE_S = 1.2
"""How long a session goes on when that is done."""
EVERY = 2
"""Ticks from picture to picture."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that was said to the robot, in session seconds. What is to be done about it: `halts_at` (the end of the
    word that halts), `moves`, `says`; nothing when there is none of them."""

    role: str
    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()
    halts_at: float | None = None
    moves: bool = False
    says: str = ""
    speaker: str = ""

    @classmethod
    def spoken(cls, role: str, speech: Speech, t: float, halts: bool, moves: bool, says: str) -> "Line":
        """A line that is spoken from `t` on; what halts does so at the end of its stop word."""
        end = t + stop_word_end(speech.words, speech.end) if halts else None
        return cls(
            role=role,
            text=speech.text,
            start=t,
            end=t + speech.end,
            words=tuple(Word(word.text, t + word.start, t + word.end) for word in speech.words),
            halts_at=end,
            moves=moves,
            says=says,
            speaker=speech.speaker,
        )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What an agent would have got in one tick, beside sound. Pictures and proprioception in the first, the third …"""

    t: float
    playback: Float32[np.ndarray, " 3"]
    pictures: UInt8[np.ndarray, "cameras height width 3"] | None = None
    proprio: Float32[np.ndarray, " proprio"] | None = None


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A played composition. `finished`: when what the arm was about was done. `tick_s`: length of a tick."""

    seed: int
    plot: Plot
    microphone: Sound
    seen: Sequence[Seen]
    lines: Sequence[Line]
    finished: Sequence[float]
    tick_s: float
    trace: Trace = field(repr=False)


class _Noted:
    """An agent whose observations are kept as an agent with cameras would use them."""

    def __init__(self, agent: Prompted | Driven) -> None:
        self.agent, self.privileged, self.part = agent, agent.privileged, "duplex_step"
        self.seen: list[Seen] = []
        self._pictures: dict[str, np.ndarray] = {}

    def start(self, context: Context) -> Any:
        """A fresh session."""
        return self.agent.start(context)

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]:
        """One tick."""
        self._pictures |= {image.camera: image.pixels for image in obs.images}
        due = len(self.seen) % EVERY == 0 and len(self._pictures) == 2
        playing = [float(obs.playback.speaking), obs.playback.queued_s, len(obs.playback.heard.split()) / 10]
        self.seen.append(
            Seen(
                t=obs.t,
                playback=np.array(playing, np.float32),
                pictures=np.stack([self._pictures[name] for name in sorted(self._pictures)]) if due else None,
                proprio=obs.proprio.copy() if due else None,
            )
        )
        return self.agent.step(obs, state)


class Composer(Configurable):
    """Plays compositions of one split."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`openings`, `middles`: how often a term comes. `voice`: the robot's. `react_s`: how long after the end of a
        line the teacher reacts. `film_hz`: of a film for people."""

        split: str = "train"
        openings: dict[str, float] = field(default_factory=lambda: dict(OPENINGS))
        middles: dict[str, float] = field(default_factory=lambda: dict(MIDDLES))
        voice: str = "piper-joe"
        react_s: float = 0.7
        film_hz: float = 0.0

    def __init__(self, config: Config, voices: SpeechCache) -> None:
        self.config, self.voices = config, voices
        world = World.Config(cameras_hz=2.5, camera_turns=(1, 2), film_hz=config.film_hz, film_size=192)
        self.world = Watched(world)
        self.voice: Voice = speaker(config.voice, still=True)

    def plot(self, seed: int) -> Plot:
        """The plot of a seed."""
        c, draw = self.config, Draw(seed, self.config.split, self.world.env.tasks, self.voices)
        names = [draw.weighted(c.openings, "opening")]
        names += [draw.weighted(c.middles, "middle", k) for k in range(int(draw.weighted(MORE, "more")))]
        plot = Plot(placement=draw.placement)
        for name in names:
            after = term(name)(plot, draw)
            plot = after if after is plot else replace(after, terms=(*plot.terms, name))
        return plot

    def play(self, seed: int, driver: Any = None) -> Composed:
        """The session of a seed, played by the teacher or by an agent."""
        plot, world = self.plot(seed), self.world
        world.watch(plot.watch, plot.arrangement)
        director = Director(plot.prompts, world)
        teacher = Prompted(director, self.voice, self.config.react_s)
        driven = Driven(driver, teacher, LiberoGoalExpert()) if driver is not None else None
        noted = _Noted(driven or teacher)
        config = Session.Config(echo=plot.echo, flight=Recorded.Config(folder="", seconds=1.0))
        session = config.build(world, noted, VirtualClock(), from_card(seed=seed))
        task = plot.goal or world.env.tasks[0]
        trace = session.run(director, task, plot.placement, self.config.split, 60.0, _over(plot, world, director))
        assert trace.microphone is not None
        done = driven.finished if driven else [e.t for e in trace.events if e.kind is Kind.ACTION_COMPLETED]
        return Composed(
            seed=seed,
            plot=plot,
            microphone=trace.microphone,
            seen=noted.seen,
            lines=_lines(director, teacher),
            finished=done,
            tick_s=trace.tick_s,
            trace=trace,
        )

    def close(self) -> None:
        """End the world."""
        self.world.close()


def _lines(director: Director, teacher: Prompted) -> tuple[Line, ...]:
    lines = []
    for number, said in enumerate(director.said):
        speech, reaction = said.speech, director.prompts[number].reaction
        assert speech is not None
        told = teacher.told.get(number, "")
        lines.append(Line.spoken(said.intent, speech, said.t, reaction.halt, reaction.move, told))
    return tuple(lines)


def _over(plot: Plot, world: Watched, director: Director) -> Callable[[Trace], bool]:
    """Whether a session has shown what it was made for."""
    since: list[float] = []

    def over(trace: Trace) -> bool:
        t = trace.seconds
        if not director.over or t < director.last_end + plot.rest_s:
            return False
        if not plot.moving or t > director.last_end + LIMIT_S:
            return True
        if plot.goal in world.truth[-1].holds and not since:
            since.append(t)
        return bool(since) and t > since[0] + DONE_S

    return over
