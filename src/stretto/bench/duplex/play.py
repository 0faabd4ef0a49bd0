"""One trial of the exam: a case, an arm, a session in hard real time on the virtual clock, and its rows.

What breaks an agent is scored as what it is: a step that takes minutes, an exception, an action that is not a number
end the session with the arm halted, and the judge scores what was there up to then; the rows name the fault.
"""

import hashlib
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

import numpy as np

from stretto.bench.duplex.arms import Arm, open_arm, other_goal
from stretto.bench.duplex.facts import Episode, episode_of
from stretto.bench.duplex.scenario import Case, Row, Sheet
from stretto.bench.duplex.scenarios import SCENARIOS
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.protocols import Context, Recogniser, Voice
from stretto.core.signals import Image, Observation, Output
from stretto.data.voices import speaker, speakers
from stretto.runtime.delays import find_card, from_card
from stretto.runtime.flight import Recorded
from stretto.runtime.world import World
from stretto.sessions.session import Session, SessionFault
from stretto.sessions.trace import Tick, Trace
from stretto.sessions.users.director import Director
from stretto.sessions.watched import Watched

LONGEST_S = 75.0
"""No session is longer than this."""
PATIENCE_S = 60.0
"""Real seconds that one step of an agent may take before it is called stuck."""
BEATS = 20
ATTEMPTS = 5
CAMERAS_HZ = 5.0


class Stuck(Exception):
    """A step took longer than anybody waits."""


class Guarded:
    """An agent whose step is interrupted after `PATIENCE_S` real seconds (in the main thread, where signals arrive)."""

    def __init__(self, agent: Any) -> None:
        self.agent, self.privileged = agent, agent.privileged

    def start(self, context: Context) -> Any:
        """The agent's start, within its patience."""
        return self._within(lambda: self.agent.start(context))

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]:
        """The agent's step, within its patience."""
        return self._within(lambda: self.agent.step(obs, state))

    def _within(self, work: Callable[[], Any]) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return work()
        before = signal.signal(signal.SIGALRM, _Patience())
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S / BEATS, PATIENCE_S / BEATS)
        try:
            return work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class _Patience:
    """Counts beats: a machine that slept in between has missed them, so its sleep is not the agent's."""

    def __init__(self) -> None:
        self.beats = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.beats += 1
        if self.beats >= BEATS:
            raise Stuck(f"gave no answer in {PATIENCE_S:g} real seconds")


@dataclass(frozen=True, kw_only=True)
class Played:
    """An episode, its session's trace, and what became of the script."""

    sheet: Sheet
    episode: Episode
    trace: Trace
    missed: frozenset[str] = frozenset()
    redraws: int = 0


@dataclass(kw_only=True)
class Exam:
    """What a worker process keeps: the world, voices, opened arms, the recogniser that judges."""

    world: Watched
    split: str = "dev"
    voices: Mapping[str, Voice] = field(default_factory=dict)
    arms: dict[str, Arm] = field(default_factory=dict)
    resets: int = 0
    _ear: Recogniser | None = None
    _voice: Voice | None = None

    @classmethod
    def open(cls, split: str = "dev") -> "Exam":
        """One world and the voices of a split; arms and the recogniser are opened when they are needed."""
        voices = {name: speaker(name, still=True) for name in speakers(split)}
        return cls(world=Watched(World.Config()), split=split, voices=voices)

    def ear(self) -> Recogniser:
        """The recogniser that transcribes the agents; it is told nothing of the scene."""
        if self._ear is None:
            from stretto.listen.whisper import Whisper

            self._ear = Whisper.Config().build()
        return self._ear

    @property
    def robot_voice(self) -> Voice:
        """The voice of the arms that are given what to say."""
        if self._voice is None:
            self._voice = speaker("piper-joe", still=True)
        return self._voice

    def arm(self, name: str) -> Arm:
        """An arm, opened once."""
        if name not in self.arms:
            self.arms[name] = open_arm(name, self.robot_voice)
        return self.arms[name]

    def case(self, scenario: str, number: int, attempt: int = 0) -> Case:
        """The draws of one trial."""
        return Case(scenario, number, self.split, self.world.env.tasks, self.voices, attempt)

    def rows(self, scenario: str, number: int, arm: str, delays: float = 1.0, judged: str = "") -> list[Row]:
        """All rows of one trial, with the fields that every row of the exam has; `judged` as another scenario is."""
        self.resets = 0
        played = self.play(scenario, number, arm, delays)
        rows = SCENARIOS[judged or scenario].judge(played.sheet, played.episode, self)
        rows += common_rows(played)
        shared = {
            "arm": arm,
            "unit": f"{scenario}/{self.split}{number}",
            "seed": number,
            "scenario": scenario,
            "clock": "virtual",
            "delays": delays,
            "privileged": self.arm(arm).privileged,
            "reflex": False,
            "latency_card": latency_card(),
            **played.sheet.facts,
        }
        if played.episode.fault:
            shared["fault"] = played.episode.fault
        if self.split == "test":
            rows.append({"row": "official_resets", "value": self.resets})
        return [{**shared, **row} for row in rows]

    def play(self, scenario: str, number: int, arm: str, delays: float = 1.0, film_hz: float = 0.0) -> Played:
        """The trial's episode; an onset that does not count is drawn again, at most `ATTEMPTS` times."""
        chosen = self.arm(arm)
        for attempt in range(ATTEMPTS):
            case = self.case(scenario, number, attempt)
            sheet = chosen.alter(case, SCENARIOS[scenario].sheet(case))
            played = replace(self.session(chosen, case, sheet, delays, film_hz), redraws=attempt)
            if sheet.valid is None or played.missed or sheet.valid(played.episode) or played.episode.fault:
                break
        return played

    def session(self, arm: Arm, case: Case, sheet: Sheet, delays: float, film_hz: float = 0.0) -> Played:
        """One session of an arm on a sheet."""
        world = self.world
        cameras = CAMERAS_HZ if arm.shuffled else arm.cameras_hz
        turns = arm.camera_turns
        world.config = replace(world.config, cameras_hz=cameras, camera_turns=turns, film_hz=film_hz, film_size=192)
        images = self._other_images(case, arm) if arm.shuffled else ()
        self._prepare(sheet)
        director = Director(sheet.prompts, world)
        agent = arm.agent(director)
        if arm.shuffled:
            from stretto.bench.duplex.arms import Shown

            agent = Shown(agent, images)
        config = Session.Config(echo=sheet.echo, flight=Recorded.Config(folder="", seconds=1.0))
        session = config.build(world, Guarded(agent), VirtualClock(), from_card(factor=delays, seed=case.seed % 2**31))
        fault = ""
        try:
            trace = session.run(director, sheet.task, sheet.placement, self.split, LONGEST_S, ender(sheet, director))
        except SessionFault as error:
            if error.trace is None:
                raise
            trace, fault = error.trace, str(error)
        except StrettoError as error:
            fault = str(error)
            trace = self._broken(session, fault)
        episode = episode_of(trace, list(world.truth), fault)
        return Played(sheet=sheet, episode=episode, trace=trace, missed=frozenset(director.missed))

    def floor(self, sheet: Sheet, episode: Episode, word_end: float) -> Episode:
        """The same commands up to `word_end`, then zero commands for a while, in the same world: the oracle's stop."""
        self._prepare(sheet)
        self.world.reset(sheet.task, sheet.placement, self.split)
        steps = []
        for step in episode.steps:
            if step.t >= word_end + 2.0:
                break
            action = step.action.copy()
            if step.t >= word_end - 1e-9:
                action[:6] = 0.0
            self.world.env.apply(action)
            view = self.world.env.observe(images=False)
            steps.append(replace(step, action=action, proprio=view.proprio))
        return Episode(steps=steps)

    def close(self) -> None:
        """End the world."""
        self.world.close()

    def _prepare(self, sheet: Sheet) -> None:
        self.resets += 1
        self.world.watch(sheet.watch, sheet.arrangement, sheet.answer)

    def _other_images(self, case: Case, arm: Arm) -> tuple[Image, ...]:
        """Pictures of an episode of another task, played by the scripted arm."""
        goal = other_goal(case, case.tasks[case.number % len(case.tasks)])
        other = Case("instruct", case.number, case.split, (goal,), self.voices)
        prompt = other.instruct(goal)
        sheet = Sheet(task=goal, placement=case.placement, prompts=[prompt], watch=(goal,), end_goal=goal)
        scripted = replace(self.arm("scripted"), cameras_hz=CAMERAS_HZ, camera_turns=arm.camera_turns)
        return tuple(self.session(scripted, other, sheet, 1.0).trace.images)

    @staticmethod
    def _broken(session: Session, fault: str) -> Trace:
        """What is left of a session that ended without a trace of its own, such as by a command nobody may give."""
        if not session.trace.steps:
            raise StrettoError(f"The session did not begin: {fault}")
        if not session.trace.ticks:
            session.trace.ticks.append(Tick(0.0, 0.0, 0.0))
        return session._end()


def ender(sheet: Sheet, director: Director) -> Callable[[Trace], bool]:
    """When a session is over: the goal held a while, the limit after the last line, or as the sheet says."""

    def over(trace: Trace) -> bool:
        t, world = trace.ticks[-1].t, director.world
        if sheet.over is not None and sheet.over(world, director):
            return True
        if not director.over or t < director.last_end + sheet.least_s:
            return False
        if t > director.last_end + sheet.limit_s:
            return True
        if not sheet.end_goal or not world.truth or sheet.end_goal not in world.truth[-1].holds:
            return False
        recent = [state for state in world.truth if state.t >= max(t - sheet.linger_s, 0.0) - 1e-9]
        return all(sheet.end_goal in state.holds for state in recent)

    return over


def common_rows(played: Played) -> list[Row]:
    """Rows of every scenario: late ticks, the largest gap and jump of the command, redraws, faults."""
    from stretto.bench.duplex import scorers

    episode = played.episode
    moving = [step.t for step in episode.steps if np.any(step.action[:6])]
    rows: list[Row] = [
        {"row": "late_ticks", "value": scorers.late_ticks(episode).value},
        {"row": "redraws", "value": played.redraws},
        {"row": "faulted", "value": bool(episode.fault)},
        {"row": "prompt_missed", "value": bool(played.missed)},
    ]
    if moving:
        rows.append({"row": "largest_gap_s", "value": scorers.gap(episode, moving[0], moving[-1]).value})
        rows.append({"row": "largest_jump", "value": scorers.jump(episode, moving[0], moving[-1]).value})
    return rows


_HASH: list[str] = []


def latency_card() -> str:
    """The hash of the latency card that the delays are drawn from."""
    if not _HASH:
        _HASH.append(hashlib.sha256(find_card().read_bytes()).hexdigest()[:12])
    return _HASH[0]
