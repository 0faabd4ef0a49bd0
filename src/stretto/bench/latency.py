"""Card "latency": what each part costs live, on the wall clock, with the simulator running beside it.

Each trial is a real session of a few seconds: a spoken instruction, the cascade, LIBERO in its own process with both
cameras at 5 Hz. The parts are timed where they run. Scored runs on the virtual clock draw their delays from this card.

parts: agent_step (one tick of the agent) · end_of_turn (the user's last phoneme to the decision that the turn is over,
silence and tick included; not drawn, because a virtual run has it by itself) · recognise · intent · first_audio (text
to sound of a sentence; nothing of it is kept from earlier ones) · world_step (one control period) · render (one
picture).
"""

import time
from dataclasses import dataclass, field
from typing import Any

from stretto.agents.cascade import Cascade
from stretto.bench.card import Trial
from stretto.core.clock import WallClock
from stretto.core.rng import generator
from stretto.core.signals import Kind, Observation, Output, Speech
from stretto.data import talk
from stretto.data.voices import speaker
from stretto.listen.turns.cues import Heard
from stretto.listen.whisper import Whisper
from stretto.runtime.delays import NoDelays
from stretto.runtime.process import WorldProcess
from stretto.runtime.world import World
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script
from stretto.speak import phonemes
from stretto.think.intent import Rules

VOICES = ("festival-slt", "festival-ked", "piper-joe")
PER_SESSION = 4
"""Draws kept per session of the parts that run at every tick or control period."""


class TimedCascade(Cascade):
    """The cascade with a stopwatch at each of its parts."""

    def __init__(self, config: Any) -> None:
        self.costs: list[tuple[str, float]] = []
        self.ends: list[float] = []
        super().__init__(config)

    def start(self, context: Any) -> Any:
        """Begin to measure."""
        self.costs, self.ends = [], []
        return super().start(context)

    clock: WallClock

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]:
        """Time the tick; note when a turn was decided to be over."""
        start = time.perf_counter()
        out, new = super().step(obs, state)
        self.costs.append(("agent_step", time.perf_counter() - start))
        if any(job not in state.understanding for job in new.understanding):
            self.ends.append(self.clock.now())
        return out, new

    def _understand(self, whisper: Whisper, rules: Rules, heard: Heard) -> Any:
        costs = self.costs
        start = time.perf_counter()
        text = whisper.recognise(heard.sound)
        middle = time.perf_counter()
        intent = rules.parse(text)
        costs += [("recognise", middle - start), ("intent", time.perf_counter() - middle)]
        return text, intent

    def _speak(self, text: str) -> Speech:
        costs = self.costs
        phonemes.clauses.cache_clear()
        phonemes.word_phonemes.cache_clear()
        start = time.perf_counter()
        speech = super()._speak(text)
        costs.append(("first_audio", time.perf_counter() - start))
        return speech


@dataclass
class Live:
    """What a worker keeps: the world process, the agent, the voices."""

    world: WorldProcess
    agent: TimedCascade
    voices: dict[str, Any] = field(default_factory=dict)


class Latency:
    """56 live sessions, one spoken instruction each."""

    name = "latency"
    clock = "wall"
    parallel = False
    seconds_per_trial = 7.0

    def trials(self, n: int | None) -> list[Trial]:
        """Tasks and voices by turns."""
        return [Trial(f"session{i}", {"unit": i}) for i in range(n or 56)]

    def open(self) -> Live:
        """Start the world and warm up every network."""
        world = WorldProcess(World.Config(cameras_hz=5.0))
        return Live(world, TimedCascade(TimedCascade.Config()), {name: speaker(name) for name in VOICES})

    def run(self, trial: Trial, state: Live) -> list[dict[str, Any]]:
        """One session; every part's cost as a row."""
        unit = trial.params["unit"]
        rng = generator(0, "latency", unit)
        goal = state.world.tasks[unit % len(state.world.tasks)]
        line = talk.draw("instruct", unit, "dev", goal=goal)
        speech = state.voices[VOICES[unit % len(VOICES)]].speak(line.text)
        cue = Cue(intent="instruct", speech=speech, wait_s=float(rng.uniform(0.2, 0.6)))
        state.agent.clock = WallClock()
        session = Session.Config().build(state.world, state.agent, state.agent.clock, NoDelays())
        trace = session.run(Script.Config().build([cue]), str(unit % 10), unit, "dev", 12.0, _answered)
        state.agent.ends = [end - session.zero for end in state.agent.ends]
        return self._rows(unit, trace, state.agent, rng)

    def _rows(self, unit: int, trace: Trace, agent: TimedCascade, rng: Any) -> list[dict[str, Any]]:
        parts: dict[str, list[float]] = {}
        for part, seconds in agent.costs + trace.costs:
            parts.setdefault(part, []).append(seconds)
        said = trace.utterances[0]
        assert said.speech is not None
        spoken_until = said.t + said.speech.end
        parts["end_of_turn"] = [end - spoken_until for end in agent.ends if end > spoken_until]
        rows = []
        for part, values in parts.items():
            many = part in ("agent_step", "world_step", "render")
            kept = rng.choice(values, PER_SESSION, replace=False) if many and len(values) > PER_SESSION else values[:2]
            for index, value in enumerate(kept):
                row = {"row": "delay_s", "arm": "cascade", "part": part, "unit": f"{part}/{unit}.{index}", "seed": unit}
                rows.append({**row, "value": round(float(value), 6), "since": "first light"})
        return rows

    def close(self, state: Live) -> None:
        """End the world."""
        state.world.close()


def _answered(trace: Trace) -> bool:
    """A second after the answer began."""
    started = [event.t for event in trace.events if event.kind is Kind.SPEECH_STARTED]
    return bool(started) and trace.ticks[-1].t > started[0] + 1.0
