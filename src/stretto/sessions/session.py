"""A live session: one tick after the other, a person, an agent and a world at once.

One tick: collect what reached the agent, step it, hand its sound to the mixer and its actions to the world, each with
the time at which it was really there. On the virtual clock the world does not wait: the step is computed at once and
delivered after the delay drawn for it; a step that takes longer than a tick makes the next one begin late. The agent
stands behind a flight recorder (runtime/flight.py): on its fault the arm is halted and the session ends.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stretto.core.clock import Clock, WallClock
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.protocols import Agent, Context, Observer, User, Utterance
from stretto.core.rng import generator
from stretto.core.signals import (
    HEARING_RATE,
    Act,
    Event,
    Image,
    Kind,
    Observation,
    Output,
    Sound,
)
from stretto.core.sound import resample
from stretto.runtime import cores
from stretto.runtime.delays import Delays
from stretto.runtime.flight import Fault, Recorded, agent_name
from stretto.runtime.jobs import DrawnJobs, ThreadJobs
from stretto.runtime.mixer import Mixer
from stretto.runtime.process import WorldProcess
from stretto.runtime.reflex import Reflex, ReflexProcess
from stretto.runtime.world import Command, Report, World
from stretto.sessions.door import PUMP_S, Door
from stretto.sessions.guard import Guard, OwnVoice
from stretto.sessions.microphone import Microphone
from stretto.sessions.trace import Tick, Trace

STAND_S = 1.0
"""How long a session watches the arm stand after a fault."""
FRAME_S = 0.032
"""How often a session on the wall clock listens for the reflex."""
ECHO_S = 0.02
"""How long the agent's voice takes from its mouth to its microphone."""


class SessionFault(StrettoError):
    """A fault ended the session; the arm stands. `trace` is everything up to there."""

    def __init__(self, message: str, trace: Trace | None = None) -> None:
        super().__init__(message)
        self.trace = trace


@dataclass
class _Ear:
    """The microphone: utterances added at their times, read tick by tick."""

    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def add(self, t: float, sound: Sound) -> None:
        piece = resample(sound.samples, sound.rate, HEARING_RATE)
        start = round(t * HEARING_RATE)
        self._reach(start + len(piece))
        self.samples[start : start + len(piece)] += piece

    def read(self, start: float, end: float) -> np.ndarray:
        first, last = round(start * HEARING_RATE), round(end * HEARING_RATE)
        self._reach(last)
        return np.clip(self.samples[first:last], -1, 1).astype(np.float32)

    def _reach(self, length: int) -> None:
        if length > len(self.samples):
            self.samples = np.r_[self.samples, np.zeros(length - len(self.samples), np.float32)]


class Session(Configurable):
    """Runs an agent in a world with a person. `world` may be in this process or one of its own."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`tick_s`: the session clock's unit. `noise_dbfs`: a quiet floor in the microphone, never quite dead.

        `echo`: gain with which the agent's own voice comes back into the microphone. `flight`: how much the flight
        recorder keeps, and where a fault's last seconds are written. `voice_rate`: samples a second of its voice.
        `cancel`: its voice is taken out of what the agent hears.
        """

        tick_s: float = 0.2
        voice_rate: int = 22_050
        noise_dbfs: float = -65.0
        echo: float = 0.0
        cancel: bool = False
        flight: Recorded.Config = field(default_factory=Recorded.Config)

    def __init__(
        self,
        config: Config,
        world: World | WorldProcess,
        agent: Agent,
        clock: Clock,
        delays: Delays,
        observers: Sequence[Observer] = (),
        door: Door | None = None,
        reflex: Reflex | ReflexProcess | None = None,
    ) -> None:
        self.config, self.world, self.agent = config, world, agent
        self.clock, self.delays, self.door = clock, delays, door
        self.guard = Guard(reflex, world.post, clock, delays) if reflex is not None else None
        self.observers = (*observers, *([door] if door else []))

    def run(
        self,
        user: User,
        task: str,
        seed: int,
        split: str = "dev",
        seconds: float = 60.0,
        until: Callable[[Trace], bool] = lambda trace: False,
    ) -> Trace:
        """One episode of at most `seconds`, ended early when `until` says so. Returns its trace.

        Raises SessionFault, with the arm halted, when the agent raises or something that is not finite would reach or
        leave it.
        """
        report = self.world.reset(task, seed, split)
        tasks, actions = self._world_facts()
        self._begin(tasks[int(task)] if task.isdigit() else task, seed, split, user)
        self._absorb(report, [])
        self.trace.first = report.view
        own_core = self.clock.name == "wall" and getattr(self.agent, "own_core", False)
        jobs = ThreadJobs(aside=own_core) if self.clock.name == "wall" else DrawnJobs(self.clock, self.delays)
        context = Context(
            tasks=tasks,
            tick_s=self.config.tick_s,
            control_hz=self.trace.control_hz,
            actions=actions,
            seed=seed,
            jobs=jobs,
            reflex=self.guard is not None,
        )
        try:
            with (
                cores.alone() if own_core else nullcontext(),
                self.guard.tapping(self.door) if self.guard else nullcontext(),
            ):
                state = self.recorder.start(context)
                self.zero = self.clock.now()
                if isinstance(self.clock, WallClock):
                    self._go(self.clock, own_core)
                if self.door is not None:
                    self.door.open(self._now, context)
                for number in range(1, max(1, round(seconds / self.config.tick_s)) + 1):
                    state = self._tick(number, state)
                    if until(self.trace) or (self.door is not None and self.door.closed):
                        break
        except Fault as fault:
            self._stand(fault)
            raise SessionFault(str(fault), self._end()) from fault
        finally:
            jobs.close()
        return self._end()

    def _go(self, clock: WallClock, aside: bool) -> None:
        if not isinstance(self.world, WorldProcess):
            raise StrettoError("On the wall clock the world needs a process of its own: use WorldProcess.")
        self.world.go(clock.epoch + self.zero, aside)

    def _world_facts(self) -> tuple[tuple[str, ...], int]:
        env = self.world.env if isinstance(self.world, World) else self.world
        return tuple(env.tasks), env.actions

    def _stand(self, fault: Fault) -> None:
        """Tell of the fault, halt the arm and watch it stand."""
        now = self._now()
        self._publish(Event(kind=Kind.FAULT, t=now, source="session", text=fault.what))
        self.trace.ticks.append(Tick(self._heard_until, now, now))
        self.world.post(Act.HALT, now)
        self.clock.wait_until(self.zero + now + STAND_S)
        events: list[Event] = []
        try:
            self._absorb(self.world.advance(now + STAND_S), events)
        except StrettoError as error:  # a world that is broken too; its own process has halted the arm
            events.append(Event(kind=Kind.FAULT, t=now, source="world", text=str(error)))
        for event in events:
            self._publish(event)

    trace: Trace
    recorder: Recorded

    def _begin(self, task: str, seed: int, split: str, user: User) -> None:
        self.user, self.mixer = user, Mixer.Config(rate=self.config.voice_rate).build()
        self.ear: _Ear | Microphone = self.door.ear if self.door is not None else _Ear()
        self._early: list[Event] = []
        self._own_voice = OwnVoice(self.config.tick_s) if self.config.cancel else None
        if self.guard is not None:
            self.guard.begin(seed, self.config.noise_dbfs)
        self._rng = generator(seed, "microphone")
        self.zero, self._heard_until, self._voiced_until = self.clock.now(), 0.0, 0.0
        self._voice: list[np.ndarray] = []
        self._mic: list[np.ndarray] = []
        self._pictures: list[tuple[float, Image]] = []
        self._from_agent: list[Event] = []
        self._typed: str | None = None
        self._view: Observation | None = None
        self.trace = Trace(
            task=task,
            seed=seed,
            split=split,
            clock=self.clock.name,
            tick_s=self.config.tick_s,
            control_hz=round(1 / self.world.dt, 6),
            agent=agent_name(self.agent),
            privileged=self.agent.privileged,
        )
        self.recorder = self.config.flight.build(self.agent, f"{self.trace.agent} {task} {split} seed {seed}")

    def _now(self) -> float:
        return self.clock.now() - self.zero

    def _tick(self, number: int, state: Any) -> Any:
        t = number * self.config.tick_s
        while self.door is not None and (now := self._now()) < t - PUMP_S:
            self.clock.wait_until(self.zero + now + PUMP_S)
            self._pump(self.door, min(self._now(), t))
        while self.guard and self.door is None and self.clock.name == "wall" and (now := self._now()) < t - FRAME_S:
            self.clock.wait_until(self.zero + now + FRAME_S)
            self.guard.hear(self.ear, min(self._now(), t))
        self.clock.wait_until(self.zero + t)
        obs = self._collect(number, t)
        begun = self._now()
        output, state = self.recorder.step(obs, state)
        if self.clock.name == "virtual":
            self.clock.spend(self.delays.draw(getattr(self.agent, "part", "agent_step")))
        delivered = self._now()
        self._deliver(output, delivered)
        self.trace.ticks.append(Tick(t, begun, delivered))
        if self.trace.ticks[-1].late(self.config.tick_s):
            self._publish(Event(kind=Kind.DEADLINE_MISSED, t=delivered, source="session", text=f"tick {number}"))
        if self.door is not None:
            self.door.ticked(self.trace.ticks[-1], self._mic[-1])
            self._pump(self.door, delivered)
            self._forget(number, t - self.door.keep_s)
        return state

    def _pump(self, door: Door, now: float) -> None:
        """Between two ticks: carry out what was ordered and hand out what has come; the next tick observes it."""
        for order in door.orders():
            if order == "hush":
                self.mixer.hush(now)
            else:
                self.world.post(Act.HALT, now)
            if order == "release" and isinstance(self.world, WorldProcess):
                self.world.latch(False)  # the halt posted before it keeps the arm where it is
        self.mixer.lag_s = door.lag_s
        self._early += self._catch_up(now)
        door.hand_out(now, self.mixer.playback)

    def _forget(self, number: int, before: float) -> None:
        """Keep only the last minutes of a session without an end; now and then, for it costs a little."""
        if number % 50 == 0:
            self.trace.forget(before)
            kept = max(1, len(self.trace.ticks))
            del self._mic[:-kept], self._voice[: -6 * kept]

    def _collect(self, number: int, t: float) -> Observation:
        """What reached the agent in the tick that ends at `t`."""
        heard, self._early = [*self._early, *self._catch_up(t)], []
        typed = self._listen_to_user(t, tuple(heard + self._from_agent))
        self._from_agent = []
        samples = self.ear.read(self._heard_until, t)
        floor = self._rng.normal(0, 10 ** (self.config.noise_dbfs / 20), len(samples))
        self._heard_until = t
        assert self._view is not None
        visible = tuple(image for ready, image in self._pictures if ready <= t)
        self._pictures = [(ready, image) for ready, image in self._pictures if ready > t]
        sound = Sound(samples=(samples + floor).astype(np.float32), rate=HEARING_RATE)
        self._mic.append(sound.samples)
        if self._own_voice is not None:
            sound = Sound(samples=self._own_voice.out_of(sound.samples), rate=HEARING_RATE)
        return Observation(
            t=t,
            tick=number,
            proprio=self._view.proprio,
            action=self._view.action,
            images=visible,
            sound=sound,
            text=typed,
            playback=self.mixer.playback,
            events=tuple(heard),
        )

    def _catch_up(self, t: float) -> list[Event]:
        """Voice, reflex and world up to `t`, and what happened there."""
        events: list[Event] = []
        voice, spoken = self.mixer.advance(t)
        self._voice.append(voice)
        if self.config.echo:
            echo = Sound(samples=(self.config.echo * voice).astype(np.float32), rate=self.mixer.config.rate)
            self.ear.add(self._voiced_until + ECHO_S, echo)
        if self._own_voice is not None:
            self._own_voice.played(voice, self.mixer.config.rate)
        if self.guard is not None:
            self.guard.played(self._voiced_until, voice, self.mixer.config.rate)
            if self.door is None:
                self.guard.hear(self.ear, t)
            events += self.guard.check(t)
        self._voiced_until = t
        report = self.world.advance(t)
        self._absorb(report, events)
        if self.door is not None:
            self.door.hold(report, voice)
        events += spoken
        for event in events:
            self._publish(event)
        return events

    def _absorb(self, report: Report, heard: list[Event]) -> None:
        self.trace.steps += report.steps
        self.trace.images += report.images
        self.trace.film += report.film
        self.trace.costs += report.costs
        self._view = report.view or self._view
        for image in report.images:
            wait = 0.0 if self.clock.name != "virtual" else self.delays.draw("render")
            self._pictures.append((image.t + wait, image))
        heard += report.events

    def _listen_to_user(self, t: float, events: tuple[Event, ...]) -> str | None:
        """Let the person speak or type. What is said reaches the microphone, never the agent's events."""
        typed, self._typed = self._typed, None
        said: Utterance | None = self.user.observe(t, t + self.config.tick_s, events)
        if said is None:
            return typed
        self.trace.utterances.append(said)
        if said.typed is not None:
            self._publish(Event(kind=Kind.USER_TYPED, t=said.t, source="user", text=said.typed))
            self._typed = said.typed
            return typed
        assert said.speech is not None
        if said.t < t - 1e-9:
            raise StrettoError(f"A user spoke at {said.t:.2f} s, before the tick at {t:.2f} s: the past is closed.")
        self.ear.add(said.t, said.speech.sound)
        data = {"intent": said.intent, "speaker": said.speech.speaker}
        self._publish(Event(kind=Kind.USER_STARTED, t=said.t, source="user", text=said.speech.text, data=data))
        end = said.t + said.speech.end
        self._publish(Event(kind=Kind.USER_STOPPED, t=end, source="user", text=said.speech.text, data=data))
        return typed

    def _deliver(self, output: Output, at: float) -> None:
        """Hand the parts of an output on, each from the time it was there."""
        if output.skill and not self.agent.privileged:
            raise StrettoError(
                f"Agent '{self.trace.agent}' used a skill but does not declare `privileged`: it may not."
            )
        if output.hush:
            self.mixer.hush(at)
        for speech in output.speech:
            self.mixer.post(speech, at)
        commands: list[Command] = [*output.skill, *([output.chunk] if output.chunk else [])]
        if output.act is not Act.KEEP:
            commands.insert(0, output.act)
        for command in commands:
            self.world.post(command, at)
        if output.heard:
            self._publish(Event(kind=Kind.HEARD, t=at, source="agent", text=output.heard))
        for event in output.events:
            self._from_agent.append(replace(event, t=at, source="agent"))
            self._publish(self._from_agent[-1])

    def _publish(self, event: Event) -> None:
        self.trace.events.append(event)
        for observer in self.observers:
            observer.see(event)

    def _end(self) -> Trace:
        trace = self.trace
        trace.events.sort(key=lambda event: event.t)
        heard = np.nan_to_num(np.concatenate(self._mic))  # what was broken is silence here, and itself in the flight
        trace.microphone = Sound(samples=heard, rate=HEARING_RATE)
        trace.voice = Sound(samples=np.concatenate(self._voice), rate=self.mixer.config.rate)
        return trace
