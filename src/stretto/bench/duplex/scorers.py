"""The judges of motion and timing: pure functions of an episode, each with its threshold and what it measured.

Every scorer gives a `Verdict`: whether the ask was met, and the value that decided (seconds or cm). A time that
never came stands at its time-out. Sound is judged by energy here (when somebody speaks); what was said is spoken.py's.

Definitions are those of docs/exam.md. Needs: nothing of the agent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.bench.duplex.facts import Episode, Said, Truth
from stretto.core.signals import Sound
from stretto.sessions import measures

STILL_CM = 1.0
"""Motion that is still standing."""
MOVED_CM = 2.0
TURN_S = 1.5
"""An arm that has not moved 2 cm this long after the instruction's end has not taken the turn."""
OBEYED_S = 2.0
SETTLED_S = 0.6
DROP_CM = 5.0
LIMIT_S = 15.0
"""LIBERO-Goal's 300 control steps."""
FIRST_AUDIO_S = 5.0
NO_AUDIO_S = 10.0
YIELD_S = 1.0
OVER_S = 0.3
"""The agent's voice may run this long into the person's sentence, or begin this shortly before its end."""
GAP_S = 0.5
JUMP = 1.0
"""Largest change of a pose delta between two control periods, in units of the controller's full step."""
LATE_SHARE = 0.05
REACTION_S = 3.0
"""A sound that begins this soon after a disturbance answers it."""


@dataclass(frozen=True)
class Verdict:
    """Whether it passed, and the value that was compared with the threshold."""

    passed: bool
    value: float


def still(episode: Episode, start: float, end: float) -> Verdict:
    """The end-effector stays within 1 cm of where it was at `start`; value in cm."""
    moved = 100 * measures.displacement(episode.steps, start, end) if len(episode.steps) > 1 else 0.0
    return Verdict(moved < STILL_CM, moved)


def turn_taken(episode: Episode, end: float) -> Verdict:
    """It has moved 2 cm within 1.5 s after `end`; value: seconds to that, at most 10."""
    steps = episode.steps
    if len(steps) < 2:
        return Verdict(False, NO_AUDIO_S)
    times, points = measures.ends(steps), measures.positions(steps)
    origin = np.array([np.interp(end, times, points[:, axis]) for axis in range(3)])
    away = 100 * np.linalg.norm(points - origin, axis=1)
    late = np.flatnonzero((times > end) & (away >= MOVED_CM))
    if not len(late):
        return Verdict(False, NO_AUDIO_S)
    k = int(late[0])
    before = away[k - 1] if k and times[k - 1] > end else 0.0
    step = measures.period(steps)
    share = (MOVED_CM - before) / max(away[k] - before, 1e-9)
    seconds = float(np.clip(times[k] - step + share * step - end, 0.0, NO_AUDIO_S))
    return Verdict(seconds <= TURN_S, seconds)


def was_moving(episode: Episode, t: float) -> bool:
    """The end-effector moved a centimetre in the second before `t`: an arm that stood has not been stopped."""
    return not still(episode, max(0.0, t - 1.0), t).passed


def held_from(truth: Sequence[Truth], goal: str, since: float) -> float | None:
    """The first time at or after `since` at which a goal's predicate held."""
    return next((state.t for state in truth if state.t >= since - 1e-9 and goal in state.holds), None)


def succeeded(episode: Episode, goal: str, since: float, limit: float = LIMIT_S) -> Verdict:
    """The suite's predicate of `goal` held within the step limit after `since`; value: seconds, at most the limit."""
    first = held_from(episode.truth, goal, since)
    seconds = limit if first is None else min(limit, first - since)
    return Verdict(first is not None and first - since <= limit + 1e-9, seconds)


def stopped(episode: Episode, word_end: float) -> Verdict:
    """The first of at least 20 zero commands comes within 2 s of the stop word's end; value: that latency."""
    latency = measures.stop_latency(episode.steps, word_end)
    return Verdict(latency <= OBEYED_S, latency)


def settled(episode: Episode, word_end: float) -> Verdict:
    """From the first zero command to below 5 cm/s within 0.6 s; value: that time, 5 when it never stood.

    The speed of a control period is that of its middle.
    """
    start, steps = measures.first_stand(episode.steps, word_end), episode.steps
    if start is None:
        return Verdict(False, measures.NEVER_STOPPED_S)
    middle = measures.period(steps) / 2
    for step, speed in zip(steps, measures.speeds(steps), strict=True):
        if step.t >= start - 1e-9 and speed < measures.SLOW:
            seconds = step.t + middle - start
            return Verdict(seconds <= SETTLED_S, seconds)
    return Verdict(False, measures.NEVER_STOPPED_S)


def not_dropped(episode: Episode, start: float, end: float) -> Verdict:
    """Nothing was let go of from above 5 cm in [start, end]; value: the greatest height (cm) of a letting go."""
    highest = 0.0
    for before, after in zip(episode.truth, episode.truth[1:], strict=False):
        if start <= after.t <= end and before.held and after.held != before.held:
            highest = max(highest, 100 * before.height)
    return Verdict(highest <= DROP_CM, highest)


def resumed(episode: Episode, pause: Said, go_on: Said, goal: str) -> Verdict:
    """It stood from the pause until it was told to go on, then moved, then the goal held.

    The value is the time (s) from the end of "go on" to 2 cm of motion.
    """
    stand = measures.first_stand(episode.steps, pause.end)
    stood = stand is not None and stand - pause.end <= OBEYED_S
    quiet = stood and still(episode, (stand or 0.0) + SETTLED_S, go_on.start).passed
    moved = turn_taken(episode, go_on.end).value
    early = held_from(episode.truth, goal, 0.0)
    done = succeeded(episode, goal, go_on.end).passed and (early is None or early > go_on.start)
    return Verdict(quiet and done, moved)


def false_stop(episode: Episode, start: float, end: float) -> Verdict:
    """No stand (20 zero commands) begins in [start, end]; value: when it did, from `start`, or the whole span."""
    stand = measures.first_stand(episode.steps, start)
    none = stand is None or stand > end
    return Verdict(none, end - start if stand is None else min(end, stand) - start)


def gap(episode: Episode, start: float, end: float) -> Verdict:
    """The longest run of zero commands within [start, end] is at most 0.5 s; value: its length (s)."""
    longest = run = 0
    for step in episode.steps:
        inside = start - 1e-9 <= step.t < end
        run = run + 1 if inside and measures.is_zero(step) else 0
        longest = max(longest, run)
    seconds = longest * measures.period(episode.steps)
    return Verdict(seconds <= GAP_S + 1e-9, seconds)


def jump(episode: Episode, start: float, end: float) -> Verdict:
    """No pose delta changes by more than a full step between two control periods; value: the largest change."""
    actions = [step.action[:6] for step in episode.steps if start - 1e-9 <= step.t < end]
    largest = float(np.abs(np.diff(actions, axis=0)).max()) if len(actions) > 1 else 0.0
    return Verdict(largest <= JUMP + 1e-9, largest)


def late_ticks(episode: Episode) -> Verdict:
    """At most 5 % of the ticks came after the next one was due; value: their share."""
    late = [tick.late(episode.tick_s) for tick in episode.ticks]
    share = sum(late) / len(late) if late else 0.0
    return Verdict(share <= LATE_SHARE, share)


# sound


def segments(sound: Sound, join_s: float = 0.3, least_s: float = 0.08) -> list[tuple[float, float]]:
    """When somebody speaks: stretches above -45 dBFS in frames of 10 ms, joined over pauses of up to `join_s`."""
    hop = sound.rate // 100
    count = len(sound.samples) // hop
    loud = _loud(sound.samples[: count * hop].reshape(count, hop))
    found: list[list[float]] = []
    for frame in np.flatnonzero(loud):
        start, end = int(frame) / 100, (int(frame) + 1) / 100
        if found and start - found[-1][1] <= join_s:
            found[-1][1] = end
        else:
            found.append([start, end])
    return [(start, end) for start, end in found if end - start >= least_s]


def _loud(frames: Float32[np.ndarray, "frames hop"]) -> np.ndarray:
    return np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)) > 10 ** (-45 / 20) if len(frames) else frames


def first_audio(episode: Episode, since: float) -> Verdict:
    """The agent's voice begins within 5 s after `since`; value: seconds to it, 10 when it never did."""
    starts = [start for start, _ in segments(episode.voice) if start >= since - 0.05]
    seconds = min(NO_AUDIO_S, max(0.0, starts[0] - since)) if starts else NO_AUDIO_S
    return Verdict(seconds <= FIRST_AUDIO_S, seconds)


def no_talk_over(episode: Episode, said: Said) -> Verdict:
    """The agent does not begin to speak into a sentence of the person; value: seconds of such overlap."""
    begun = [(a, b) for a, b in segments(episode.voice) if said.start <= a < said.end]
    over = sum(min(b, said.end) - a for a, b in begun)
    return Verdict(over <= OVER_S, over)


def yielded(episode: Episode, said: Said) -> Verdict:
    """A voice that was sounding when the person began is silent within 1 s; value: how long it went on (s)."""
    running = [b for a, b in segments(episode.voice) if a < said.start < b]
    seconds = running[0] - said.start if running else 0.0
    return Verdict(seconds <= YIELD_S, seconds)


def false_answer(episode: Episode, said: Said, until: float) -> Verdict:
    """No sound begins during a disturbance or in the 3 s after it, up to `until`; value: how many did."""
    end = min(until, said.end + REACTION_S)
    count = sum(said.start + 0.1 <= start < end for start, _ in segments(episode.voice))
    return Verdict(count == 0, float(count))


def quiet(episode: Episode, start: float, end: float) -> Verdict:
    """The agent says nothing in [start, end]; value: seconds of sound."""
    spoken = sum(max(0.0, min(b, end) - max(a, start)) for a, b in segments(episode.voice))
    return Verdict(spoken <= 0.0, spoken)


MOTION: dict[str, Callable[..., Verdict]] = {
    "still": still,
    "turn_taken": turn_taken,
    "succeeded": succeeded,
    "stopped": stopped,
    "settled": settled,
    "not_dropped": not_dropped,
    "resumed": resumed,
    "false_stop": false_stop,
    "gap": gap,
    "jump": jump,
    "late_ticks": late_ticks,
    "first_audio": first_audio,
    "no_talk_over": no_talk_over,
    "yielded": yielded,
    "false_answer": false_answer,
    "quiet": quiet,
}
"""All scorers of this file by name."""
