"""The trials of the card "reflex" in LIBERO: how far the arm travels after a stop, what a false halt costs.

`stop`: the arm follows an expert to a goal; a test sentence is placed so that its listed word ends while the arm moves
at 5 cm/s or more; the reflex hears it and halts the arm. Beside it the oracle, which commands zero at the word's end
from the same motion. `hard`: the cascade, told a task in writing, hears a sentence that only sounds like a command; the
reflex may halt, and the cascade has to release. The same episode without the sentence says what time it has cost.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.agents.cascade import Cascade
from stretto.bench.reflex_sound import READABLE, Sounds, first_command
from stretto.core.clock import VirtualClock
from stretto.core.protocols import Utterance
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, Act, Kind, SkillRequest, Speech
from stretto.runtime.delays import Delays, from_card
from stretto.runtime.reflex import Reflex
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.guard import Guard
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script

Row = dict[str, Any]
MOVING = 0.05
AFTER_S = 1.6
LIMIT_S = 25.0
SEEDS = 3
"""Placements of a task."""


@dataclass
class Case:
    """What LIBERO's trials share."""

    world: World
    reflex: Reflex
    agent: Cascade
    sounds: Sounds
    floor: dict[tuple[int, int], float]

    def delays(self, seed: int) -> Delays:
        """Draws of the cards beside this one."""
        return from_card(seed=seed)


@dataclass(frozen=True)
class Tape:
    """A microphone that hears `samples` (16 kHz) from session time `t` on, and silence else."""

    t: float
    samples: np.ndarray

    def read(self, start: float, end: float) -> np.ndarray:
        """The sound between two session times."""
        first, last = round(start * HEARING_RATE), round(end * HEARING_RATE)
        out, begin = np.zeros(last - first, np.float32), round(self.t * HEARING_RATE)
        piece = self.samples[max(0, first - begin) : max(0, last - begin)]
        at = max(0, begin - first)
        out[at : at + len(piece)] = piece
        return out


def stop(case: Case, number: int) -> list[Row]:
    """One stop of each arm, from the same motion."""
    task, seed = number % 10, number // 10 % SEEDS
    voice = READABLE[number % len(READABLE)]
    _, speech = case.sounds.command(voice, 1_000 + number // 4)
    found = first_command(speech.words)
    assert found is not None
    source = generator(0, "reflex card", "onset", number)
    for redraws in range(10):  # noqa: B007
        end = float(source.uniform(found[2] + 0.3, found[2] + 3.0))
        oracle = _oracle(case.world, task, seed, end)
        if measures.speed_at(oracle, end) >= MOVING:
            break
    steps = _reflex(case, task, seed, speech, end - found[2], number)
    travels = {
        arm: 100 * measures.travel(each, end, end + AFTER_S - 0.1)
        for arm, each in (("reflex", steps), ("oracle", oracle))
    }
    rows: list[Row] = [
        {"row": "settling_s", "arm": arm, "value": measures.settling(each, end)}
        for arm, each in (("reflex", steps), ("oracle", oracle))
    ]
    rows += [{"row": "travel_cm", "arm": arm, "value": value} for arm, value in travels.items()]
    rows += [
        {"row": "travel_over_floor_cm", "arm": "reflex", "value": travels["reflex"] - travels["oracle"]},
        {"row": "stop_latency_libero_s", "arm": "reflex", "value": measures.stop_latency(steps, end)},
        {"row": "redraws", "arm": "reflex", "value": redraws},
    ]
    return [{**row, "voice": voice, "task": task, "command": found[0]} for row in rows]


def _oracle(world: World, task: int, seed: int, end: float) -> list[Any]:
    """The motion that is commanded to stand at the word's end."""
    world.reset(str(task), seed, "dev")
    world.post(SkillRequest(verb="start", goal=world.env.tasks[task]), 0.0)
    world.post(Act.HALT, end)
    return world.advance(end + AFTER_S).steps


def _reflex(case: Case, task: int, seed: int, speech: Speech, start: float, number: int) -> list[Any]:
    """The same motion, halted by what the reflex hears."""
    case.world.reset(str(task), seed, "dev")
    case.world.post(SkillRequest(verb="start", goal=case.world.env.tasks[task]), 0.0)
    guard = Guard(case.reflex, case.world.post, VirtualClock(), case.delays(number))
    guard.begin(number, -65.0)
    ear = Tape(max(0.0, start), speech.sound.samples)
    until = start + speech.sound.seconds + AFTER_S
    steps: list[Any] = []
    t = 0.0
    while t < until:
        t += case.world.dt
        guard.hear(ear, t)
        steps += case.world.advance(t).steps
    return steps


@functools.lru_cache(maxsize=8)
def _tasks(goals: tuple[str, ...]) -> dict[str, int]:
    return {goal: index for index, goal in enumerate(goals)}


def hard(case: Case, number: int) -> list[Row]:
    """One sentence that only sounds like a command, while the cascade works."""
    voice = READABLE[number % len(READABLE)]
    saying, speech = case.sounds.hard(voice, number)
    tasks = _tasks(tuple(case.world.env.tasks))
    task = tasks[saying.goal] if saying.goal in tasks else (1, 3, 5, 6, 7, 8)[number % 6]
    seed = number // 10 % SEEDS
    source = generator(0, "reflex card", "hard onset", number)
    goal = case.world.env.tasks[task]
    told = Cue(intent="instruct", typed=goal, wait_s=0.1)
    said = Cue(intent="hard", speech=speech, after=Kind.ACTION_STARTED, wait_s=float(source.uniform(0.3, 2.0)))
    trace = _session(case, task, seed, [told, said], number)
    if (task, seed) not in case.floor:
        case.floor[task, seed] = _done(_session(case, task, seed, [told], 0))
    halts = [e.t for e in trace.of(Kind.ACTION_HALTED) if e.text.startswith("reflex")]
    stands = [_released(trace, t) - t for t in halts]
    rows: list[Row] = [
        {"row": "released_in_time", "value": all(each <= 1.0 for each in stands)},
        {"row": "task_time_lost_s", "value": max(0.0, _done(trace) - case.floor[task, seed])},
        {"row": "hard_halted", "value": bool(halts)},
        {"row": "stood_s", "value": sum(stands)},
        *({"row": "released_of_halted", "value": all(each <= 1.0 for each in stands)} for _ in halts[:1]),
    ]
    heard = " ".join(event.text for event in trace.of(Kind.HEARD))
    shared = {"arm": "reflex", "voice": voice, "task": task, "said": saying.text, "heard": heard}
    return [{**shared, **row} for row in rows]


def _session(case: Case, task: int, seed: int, cues: list[Cue], number: int) -> Trace:
    session = Session.Config().build(case.world, case.agent, VirtualClock(), case.delays(number), (), None, case.reflex)
    return session.run(Script.Config().build(cues), str(task), seed, "dev", LIMIT_S, lambda trace: _over(trace, cues))


def _over(trace: Trace, cues: list[Cue]) -> bool:
    """The task is done, and all was said."""
    said: list[Utterance] = trace.utterances
    first = measures.first_success(trace.steps[-40:])
    return len(said) == len(cues) and first is not None and trace.ticks[-1].t > first + 0.4


def _done(trace: Trace) -> float:
    """When the task was done; the limit when it was not."""
    first = measures.first_success(trace.steps)
    return LIMIT_S if first is None else first


def _released(trace: Trace, t: float) -> float:
    """When the arm was released after a halt at `t`; the end of the session when it was not."""
    later = [event.t for event in trace.of(Kind.ACTION_RESUMED) if event.t > t]
    return later[0] if later else t + 10.0
