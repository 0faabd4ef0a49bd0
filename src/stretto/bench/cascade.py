"""Card "cascade": ten spoken tasks, three test voices, two official init states, on the virtual clock.

Scenarios: `instruct` (success, moved early; at the measured delays, half and twice of them), `stop` (beside an oracle
that commands zero at the word's end, from the same motion), `ask` (a question about the scene while the arm moves).
Wordings and voices are those of the test split. The cascade's skill knows simulator state: rows say `privileged`.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from stretto.agents.cascade import Cascade
from stretto.agents.scripted import Plan, Scripted
from stretto.bench.card import Trial
from stretto.core.clock import VirtualClock
from stretto.core.protocols import Utterance
from stretto.core.rng import derive, generator
from stretto.core.signals import Act, Kind, Speech
from stretto.data import talk
from stretto.data.voices import speaker
from stretto.runtime.delays import Delays, find_card, from_card
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.score import stop_word_end
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script

TASKS = 10
VOICES = ("festival-slt", "festival-ked", "piper-joe")
INITS = (30, 31)
LIMIT_S = 15.0
"""LIBERO-Goal's 300 control steps, from the end of the instruction."""
MOVED_M = 0.01
OBEYED_S = 2.0
MOVING = 0.05
"""A stop counts only if the end-effector moved at least this fast (m/s) at the word's end."""
REDRAWS = 8
NO_AUDIO_S = 10.0

Row = dict[str, Any]


@dataclass
class State:
    """What a worker process keeps."""

    world: World
    agent: Cascade
    voices: dict[str, Any]
    latency: str


class CascadeCard:
    """60 units; three scenarios, the first at three factors on the delays."""

    name = "cascade"
    clock = "virtual"
    parallel = True
    seconds_per_trial = 6.0

    def trials(self, n: int | None) -> list[Trial]:
        """`n` units (default all 60) of each scenario."""
        units = [(task, init, voice) for init in INITS for voice in range(len(VOICES)) for task in range(TASKS)]
        scenarios = [("instruct", 1.0), ("stop", 1.0), ("ask", 1.0), ("instruct", 0.5), ("instruct", 2.0)]
        out = []
        for scenario, delays in scenarios:
            for task, init, voice in units[:n]:
                unit = f"goal:{task}/init{init}/{VOICES[voice]}"
                params = {"unit": unit, "task": task, "init": init, "voice": voice, "delays": delays}
                out.append(Trial(f"{scenario}/x{delays}/{unit}", {**params, "scenario": scenario}))
        return out

    def open(self) -> State:
        """One world, one agent, three voices; Piper without noise, so that it repeats."""
        voices = {name: speaker(name, still=True) for name in VOICES}
        latency = hashlib.sha256(find_card().read_bytes()).hexdigest()[:12]
        return State(World.Config().build(), Cascade.Config().build(), voices, latency)

    def run(self, trial: Trial, state: State) -> list[Row]:
        """One scenario of one unit."""
        case = Case(trial.params, state)
        rows = SCENARIOS[trial.params["scenario"]](case)
        task, delays = trial.params["task"], trial.params["delays"]
        seed, unit = trial.params["voice"], trial.params["unit"]
        shared = {"unit": unit, "seed": seed, "task": task, "clock": "virtual", "delays": delays}
        shared["latency_card"] = state.latency
        return [{"arm": "cascade", "privileged": True, "reflex": False, **shared, **row} for row in rows]

    def close(self, state: State) -> None:
        """End the world."""
        state.world.close()


class Case:
    """One unit: what is said, by whom, from which init state, and the sessions that are made of it."""

    def __init__(self, params: Any, state: State) -> None:
        self.params, self.state = params, state
        self.seed = derive(0, "cascade", params["unit"]) % 2**31
        self.rng = generator(self.seed, "onsets")
        self.goal = state.world.env.tasks[params["task"]]
        self.official_resets = 0

    def say(self, intent: str, **slots: Any) -> Speech:
        """A line of the test split in the unit's voice."""
        line = talk.draw(intent, derive(self.seed, intent) % 2**31, "test", **slots)
        return self.state.voices[VOICES[self.params["voice"]]].speak(line.text)

    def instruction(self) -> Cue:
        """The spoken task."""
        wait = float(generator(self.seed, "instruct").uniform(0.5, 2.0))
        return Cue(intent="instruct", speech=self.say("instruct", goal=self.goal), wait_s=wait)

    def play(self, cues: list[Cue], extra_s: float, after_success_s: float = 60.0) -> Trace:
        """The cascade under the card's delays, until `extra_s` after the last cue's end.

        Or until `after_success_s` after the task's predicate held, when that comes first and all was said.
        """
        delays = from_card(factor=self.params["delays"], seed=self.seed)
        return self.session(self.state.agent, delays, cues, extra_s, after_success_s=after_success_s)

    def session(
        self,
        agent: Any,
        delays: Delays,
        cues: list[Cue],
        extra_s: float,
        tick_s: float = 0.2,
        after_success_s: float = 60.0,
    ) -> Trace:
        """One session from the unit's official init state."""
        self.official_resets += 1
        session = Session.Config(tick_s=tick_s).build(self.state.world, agent, VirtualClock(), delays)
        user = Script.Config().build(cues)

        def until(trace: Trace) -> bool:
            if len(trace.utterances) < len(cues):
                return False
            last = trace.utterances[-1] if trace.utterances else None
            end = last.t + last.speech.end if last and last.speech else 0.0
            first = measures.first_success(trace.steps)
            reached = first is not None and trace.ticks[-1].t > first + after_success_s
            return reached or trace.ticks[-1].t > end + extra_s

        return session.run(user, str(self.params["task"]), self.params["init"], "test", 60.0, until)


def end_of(said: Utterance) -> float:
    """Session time of an utterance's last phoneme."""
    assert said.speech is not None
    return said.t + said.speech.end


def _opened(case: Case) -> Row:
    """How often this trial opened an official init state; named by its scenario, since all of them do."""
    unit = f"{case.params['scenario']}/x{case.params['delays']}/{case.params['unit']}"
    return {"row": "official_resets", "value": case.official_resets, "unit": unit}


def succeeded(trace: Trace, said: Utterance) -> bool:
    """The suite's predicate held within the step limit from the end of the instruction."""
    first = measures.first_success(trace.steps)
    return first is not None and first <= end_of(said) + LIMIT_S


def instruct(case: Case) -> list[Row]:
    """A spoken task and nothing else."""
    trace = case.play([case.instruction()], LIMIT_S + 0.4, after_success_s=1.0)
    said = trace.utterances[0]
    late = sum(tick.late(trace.tick_s) for tick in trace.ticks) / len(trace.ticks)
    moved = measures.displacement(trace.steps, said.t, end_of(said)) >= MOVED_M
    heard = " ".join(event.text for event in trace.of(Kind.HEARD))
    said_text = said.speech.text if said.speech else ""
    return [
        {"row": "success", "value": succeeded(trace, said), "said": said_text, "heard": heard},
        {"row": "moved_early", "value": moved},
        {"row": "late_ticks", "value": late},
        _opened(case),
    ]


def stop(case: Case) -> list[Row]:
    """Stop while the arm moves; the onset is drawn again until it did move at the word's end, and was not done by then.

    An instruction that is not understood gives nothing to stop: the trial then counts as not obeyed, at its time-outs.
    """
    speech = case.say("stop")
    word_end = stop_word_end(speech.words, speech.end)
    redraws = -1
    while redraws < REDRAWS:
        redraws += 1
        wait = float(case.rng.uniform(0.2, 3.0))
        cue = Cue(intent="stop", speech=speech, after=Kind.ACTION_STARTED, wait_s=wait)
        trace = case.play([case.instruction(), cue], 6.0)
        end = trace.utterances[1].t + word_end
        counts = measures.speed_at(trace.steps, end) >= MOVING and not _ended_by_itself(trace)
        if counts or not trace.of(Kind.ACTION_STARTED):
            break
    rows = _stop_rows(trace, end, counts)
    rows.append({"row": "redraws", "value": redraws})
    rows += [{**row, "arm": "oracle"} for row in _stop_rows(_oracle(case, trace, end), end, counts)]
    return [*rows, _opened(case)]


def _ended_by_itself(trace: Trace) -> bool:
    """The task was completed before any halt: the arm then stands without having obeyed."""
    done, halted = trace.of(Kind.ACTION_COMPLETED), trace.of(Kind.ACTION_HALTED)
    return bool(done) and (not halted or done[0].t < halted[0].t)


def _oracle(case: Case, trace: Trace, word_end: float) -> Trace:
    """The same motion, halted at the word's end by an agent that was told the time. Its tick is a control period."""
    began = trace.of(Kind.ACTION_STARTED)
    plan = [Plan(t=event.t, goal=event.text) for event in began[:1]] + [Plan(t=word_end, act=Act.HALT)]
    free = Delays({"agent_step": [0.0], "render": [0.0]})
    return case.session(Scripted.Config().build(plan), free, [], word_end + 6.0, tick_s=0.05)


def _stop_rows(trace: Trace, end: float, counts: bool) -> list[Row]:
    """Times and travel of a stop; one that could not be obeyed stands at its time-outs."""
    latency = measures.stop_latency(trace.steps, end) if counts else measures.NEVER_STOPPED_S
    settling = measures.settling(trace.steps, end) if counts else measures.NEVER_STOPPED_S
    travel = measures.travel(trace.steps, end, end + measures.NEVER_STOPPED_S)
    return [
        {"row": "stopped", "value": latency <= OBEYED_S},
        {"row": "stop_latency_s", "value": latency},
        {"row": "settling_s", "value": settling},
        {"row": "stop_travel_cm", "value": 100 * travel, "counts": counts},
    ]


def ask(case: Case) -> list[Row]:
    """A question about the scene while the arm moves."""
    wait = float(case.rng.uniform(0.2, 1.0))
    cue = Cue(intent="ask_scene", speech=case.say("ask_scene"), after=Kind.ACTION_STARTED, wait_s=wait)
    trace = case.play([case.instruction(), cue], LIMIT_S, after_success_s=NO_AUDIO_S)
    asked = end_of(trace.utterances[1])
    answers = {event.text for event in trace.of(Kind.SCENE_ANSWER)}
    starts = [event.t for event in trace.of(Kind.SPEECH_STARTED) if event.t > asked and event.text in answers]
    return [
        {"row": "first_audio_s", "value": min(NO_AUDIO_S, starts[0] - asked) if starts else NO_AUDIO_S},
        {"row": "answered", "value": bool(starts)},
        {"row": "success_while_asked", "value": succeeded(trace, trace.utterances[0])},
        _opened(case),
    ]


SCENARIOS = {"instruct": instruct, "stop": stop, "ask": ask}
