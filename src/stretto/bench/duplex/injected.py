"""Injected truth: behaviours with known values, half of them meant to pass, for every scorer.

A case is a puppet (puppet.py) with its parameters drawn on one side of a scorer's threshold: moved 0.9 or 1.1 cm
during the instruction, stopped 0.31 s after the word, resumed but to the wrong goal, right in words that were never
spoken. The card counts how often the verdict is right, and how far a measured time is from the true one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stretto.bench.duplex import scorers
from stretto.bench.duplex.facts import Said
from stretto.bench.duplex.puppet import DT, Puppet, Span, constant
from stretto.bench.duplex.scorers import Verdict
from stretto.core.rng import generator

Rng = np.random.Generator
TOLD = Said(role="instruct", text="put the bowl on the stove", start=1.0, end=3.0)
STOP_END = 6.013
FAST = 20.0
"""cm/s"""


@dataclass(frozen=True, kw_only=True)
class Injected:
    """One case: what the scorer says, what it should say, and the true time (s) where it measures one."""

    verdict: Verdict
    should_pass: bool
    time_s: float | None = None


def case(scorer: str, number: int) -> Injected:
    """Case `number` of a scorer of `MAKERS`; even numbers are meant to pass."""
    return MAKERS[scorer](generator(number, "injected", scorer), number % 2 == 0)


def _side(rng: Rng, good: bool, passing: Span, failing: Span) -> float:
    return float(rng.uniform(*(passing if good else failing)))


def _still(rng: Rng, good: bool) -> Injected:
    cm = float(rng.choice([0.9, rng.uniform(0.05, 0.95)] if good else [1.1, rng.uniform(1.05, 6.0)]))
    start = float(rng.uniform(1.0, 2.2))
    late = (3.05, 5.0, FAST)  # what comes after the instruction does not count
    puppet = Puppet(speed=constant((start, start + 0.5, cm / 0.5), late), said=[TOLD])
    return Injected(verdict=scorers.still(puppet.episode(), TOLD.start, TOLD.end), should_pass=good)


def _turn_taken(rng: Rng, good: bool) -> Injected:
    true = _side(rng, good, (0.2, 1.44), (1.56, 4.0))
    begins = TOLD.end + true - 2.0 / FAST
    early = (1.2, 1.7, 1.0)
    puppet = Puppet(speed=constant(early, (begins, begins + 3, FAST)), said=[TOLD])
    return Injected(verdict=scorers.turn_taken(puppet.episode(), TOLD.end), should_pass=good, time_s=true)


def _succeeded(rng: Rng, good: bool) -> Injected:
    kind = "in time" if good else str(rng.choice(["late", "never", "other", "before"]))
    true = float(rng.uniform(0.5, 14.9))
    spans = {
        "in time": {"goal": (3 + true, 99.0)},
        "late": {"goal": (3 + 15.1 + true / 10, 99.0)},
        "never": {},
        "other": {"another goal": (3 + true, 99.0)},
        "before": {"goal": (0.5, 2.5)},
    }
    verdict = scorers.succeeded(Puppet(seconds=22.0, holds=spans[kind]).episode(), "goal", TOLD.end)
    return Injected(verdict=verdict, should_pass=good, time_s=true if good else None)


def _stopping(stops_at: float, brakes: float = 0.2, resumes: float = 99.0) -> Puppet:
    """Full speed from 2 s on, zero commands from `stops_at` to `resumes`."""
    brake = stops_at + brakes

    def speed(times: np.ndarray) -> np.ndarray:
        going = (times >= 2) & ((times < stops_at) | (times >= resumes))
        falling = (times >= stops_at) & (times < brake)
        return FAST * going + FAST * np.where(falling, (brake - times) / brakes, 0.0)

    return Puppet(seconds=14.0, speed=speed, commands=[(2.0, stops_at), (resumes, 99.0)], said=[TOLD])


def _stopped(rng: Rng, good: bool) -> Injected:
    kind = "stops" if good else str(rng.choice(["late", "only says so", "stutters"]))
    true = float(rng.choice([0.31, rng.uniform(0.06, 1.94)])) if good else float(rng.uniform(2.06, 4.8))
    if kind == "only says so":
        puppet = _stopping(99.0)
        puppet.sounds = [(STOP_END + 0.4, STOP_END + 1.5)]
        true = 5.0
    elif kind == "stutters":  # 19 zero commands are no stop
        puppet = _stopping(STOP_END + 0.2, resumes=STOP_END + 0.2 + 19 * DT)
        puppet.commands = [(2.0, STOP_END + 0.2), (STOP_END + 0.2 + 19 * DT, STOP_END + true)]
    else:
        puppet = _stopping(STOP_END + true)
    return Injected(verdict=scorers.stopped(puppet.episode(), STOP_END), should_pass=good, time_s=true)


def _settled(rng: Rng, good: bool) -> Injected:
    true = _side(rng, good, (0.1, 0.54), (0.66, 1.6))
    stops = 6.0 + DT * int(rng.integers(0, 10))
    brakes = true / (1 - 5 / FAST)  # speed falls to 5 cm/s after `true`
    return Injected(
        verdict=scorers.settled(_stopping(stops, brakes).episode(), 6.0 - 1e-6), should_pass=good, time_s=true
    )


def _not_dropped(rng: Rng, good: bool) -> Injected:
    height = float(rng.choice([0.4, rng.uniform(0.0, 4.8)] if good else [6.0, rng.uniform(5.2, 20.0)]))
    end = float(rng.uniform(6.2, 9.0))
    verdict = scorers.not_dropped(Puppet(held=(4.0, end, height)).episode(), STOP_END, STOP_END + 5)
    return Injected(verdict=verdict, should_pass=good)


def _resumed(rng: Rng, good: bool) -> Injected:
    kind = "goes on" if good else str(rng.choice(["wrong goal", "never", "creeps", "does not wait", "done before"]))
    pause = Said(role="pause", text="wait", start=5.6, end=6.0)
    go_on = Said(role="go_on", text="go on", start=9.5, end=10.0)
    true = float(rng.uniform(0.2, 1.4))
    back = go_on.end + true - 2.0 / FAST
    stand = 6.0 + float(rng.uniform(0.1, 1.0))
    moves = [(2.0, stand, FAST)] + ([] if kind == "never" else [(back, 14.0, FAST)])
    moves += [(7.8, 8.3, 5.0)] if kind == "creeps" else []
    commands = [(2.0, stand)] + ([] if kind == "never" else [(back, 14.0)])
    if kind == "does not wait":
        moves, commands = [(2.0, 14.0, FAST)], [(2.0, 14.0)]
    goal = "another goal" if kind == "wrong goal" else "goal"
    span = (5.0, 99.0) if kind == "done before" else (99.0, 99.0) if kind == "never" else (13.0, 99.0)
    puppet = Puppet(speed=constant(*moves), commands=commands, holds={goal: span}, said=[TOLD, pause, go_on])
    verdict = scorers.resumed(puppet.episode(), pause, go_on, "goal")
    return Injected(verdict=verdict, should_pass=good, time_s=true if good else None)


def _false_stop(rng: Rng, good: bool) -> Injected:
    begins = float(rng.uniform(6.2, 8.0))
    length = DT * (int(rng.integers(1, 19)) if good else int(rng.integers(21, 60)))
    puppet = Puppet(commands=[(2.0, begins), (begins + length, 19.0)])
    verdict = scorers.false_stop(puppet.episode(), 6.0, 9.0)
    return Injected(verdict=verdict, should_pass=good, time_s=None if good else begins - 6.0)


def _gap(rng: Rng, good: bool) -> Injected:
    count = int(rng.integers(1, 11)) if good else int(rng.integers(11, 50))
    puppet = Puppet(commands=[(2.0, 6.0), (6.0 + count * DT, 19.0)])
    return Injected(verdict=scorers.gap(puppet.episode(), 2.0, 19.0), should_pass=good, time_s=count * DT)


def _jump(rng: Rng, good: bool) -> Injected:
    size = _side(rng, good, (0.1, 0.97), (1.03, 2.0))
    puppet = Puppet(commands=[(2.0, 19.0)], jolts=[(6.0, -size)])
    return Injected(verdict=scorers.jump(puppet.episode(), 2.5, 18.0), should_pass=good)


def _late_ticks(rng: Rng, good: bool) -> Injected:
    late = int(rng.integers(0, 6)) if good else int(rng.integers(6, 60))
    return Injected(verdict=scorers.late_ticks(Puppet(late=late).episode()), should_pass=good)


def _first_audio(rng: Rng, good: bool) -> Injected:
    true = _side(rng, good, (0.15, 4.93), (5.07, 9.5))
    silent = not good and rng.uniform() < 0.3
    sounds = [(1.2, 2.4)] + ([] if silent else [(3 + true, 4.5 + true)])
    verdict = scorers.first_audio(Puppet(sounds=sounds).episode(), 3.0)
    return Injected(verdict=verdict, should_pass=good, time_s=scorers.NO_AUDIO_S if silent else true)


def _no_talk_over(rng: Rng, good: bool) -> Injected:
    over = _side(rng, good, (-1.0, 0.25), (0.36, 1.8))
    puppet = Puppet(sounds=[(0.2, 0.6), (TOLD.end - over, TOLD.end - over + 3.0)], said=[TOLD])
    verdict = scorers.no_talk_over(puppet.episode(), TOLD)
    return Injected(verdict=verdict, should_pass=good, time_s=max(0.0, over))


def _yielded(rng: Rng, good: bool) -> Injected:
    true = _side(rng, good, (0.05, 0.94), (1.06, 3.0))
    puppet = Puppet(sounds=[(0.3, TOLD.start + true)], said=[TOLD])
    return Injected(verdict=scorers.yielded(puppet.episode(), TOLD), should_pass=good, time_s=true)


def _false_answer(rng: Rng, good: bool) -> Injected:
    noise = Said(role="disturbance", text="mm-hm", start=6.0, end=6.4)
    at = float(rng.choice([rng.uniform(3.0, 5.9), rng.uniform(9.5, 12.0)])) if good else float(rng.uniform(6.2, 9.3))
    verdict = scorers.false_answer(Puppet(sounds=[(at, at + 1.0)]).episode(), noise, until=20.0)
    return Injected(verdict=verdict, should_pass=good)


def _quiet(rng: Rng, good: bool) -> Injected:
    sounds = [] if good else [(float(rng.uniform(0.5, 8.0)),) * 2]
    spans = [(a, a + float(rng.uniform(0.12, 2.0))) for a, _ in sounds]
    return Injected(verdict=scorers.quiet(Puppet(sounds=spans).episode(), 0.0, 10.0), should_pass=good)


MAKERS: dict[str, Callable[[Rng, bool], Injected]] = {
    "still": _still,
    "turn_taken": _turn_taken,
    "succeeded": _succeeded,
    "stopped": _stopped,
    "settled": _settled,
    "not_dropped": _not_dropped,
    "resumed": _resumed,
    "false_stop": _false_stop,
    "gap": _gap,
    "jump": _jump,
    "late_ticks": _late_ticks,
    "first_audio": _first_audio,
    "no_talk_over": _no_talk_over,
    "yielded": _yielded,
    "false_answer": _false_answer,
    "quiet": _quiet,
}
"""A maker of cases for each scorer of motion and timing; those of spoken words are in injected_spoken.py."""
