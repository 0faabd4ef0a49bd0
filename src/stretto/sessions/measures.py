"""What physics and sound say about a session: pure functions of a trace's control steps. Seconds, metres, m/s.

Definitions are those of docs/architecture.md: a zero command has six zero pose deltas; stop latency runs from the end
of the stop word's last phoneme to the first of at least 20 consecutive zero commands; settling from there until the
end-effector moves slower than 5 cm/s.
"""

from collections.abc import Sequence

import numpy as np

from stretto.runtime.world import Step

STANDING = 20
"""Consecutive zero commands that make a stop."""
SLOW = 0.05
"""An end-effector below this many m/s has settled."""
NEVER_STOPPED_S = 5.0
"""What a stop that never came counts."""


def positions(steps: Sequence[Step]) -> np.ndarray:
    """End-effector positions after each step, (n, 3); `ends` has their times."""
    return np.array([step.proprio[:3] for step in steps], dtype=np.float64).reshape(-1, 3)


def period(steps: Sequence[Step]) -> float:
    """Seconds of a control period."""
    return steps[1].t - steps[0].t if len(steps) > 1 else 0.05


def ends(steps: Sequence[Step]) -> np.ndarray:
    """The times at which the steps' states held: the end of each control period, (n,)."""
    return np.array([step.t for step in steps]) + period(steps)


def path(steps: Sequence[Step], start: float, end: float) -> np.ndarray:
    """Positions along [start, end], (m, 3): interpolated at both borders, as they were in between."""
    times, points = ends(steps), positions(steps)
    inside = (times > start) & (times < end)
    borders = [[np.interp(t, times, points[:, axis]) for axis in range(3)] for t in (start, end)]
    return np.vstack([borders[0], points[inside], borders[1]])


def speeds(steps: Sequence[Step]) -> np.ndarray:
    """End-effector speed during each step, (n,); the first is 0."""
    if len(steps) < 2:
        return np.zeros(len(steps))
    return np.r_[0.0, np.linalg.norm(np.diff(positions(steps), axis=0), axis=1) / np.diff(ends(steps))]


def is_zero(step: Step) -> bool:
    """The six pose deltas are 0."""
    return not np.any(step.action[:6])


def first_stand(steps: Sequence[Step], after: float) -> float | None:
    """Start of the first run of at least 20 zero commands at or after `after`; None when there is none.

    A run that began before `after` counts from `after` on. A session that ends inside a run must be at least that long.
    """
    run = 0
    for index, step in enumerate(steps):
        if step.t < after - 1e-9:
            continue
        run = run + 1 if is_zero(step) else 0
        if run == STANDING:
            return steps[index - STANDING + 1].t
    return None


def stop_latency(steps: Sequence[Step], word_end: float) -> float:
    """Seconds from the stop word's end to the stand, at most 5 (also when it never came)."""
    start = first_stand(steps, word_end)
    return NEVER_STOPPED_S if start is None else min(NEVER_STOPPED_S, start - word_end)


def speed_at(steps: Sequence[Step], t: float) -> float:
    """End-effector speed in the control period that holds `t`."""
    times = np.array([step.t for step in steps])
    index = int(np.searchsorted(times, t + 1e-9, side="right")) - 1
    return float(speeds(steps)[max(0, index)])


def settling(steps: Sequence[Step], word_end: float) -> float:
    """Seconds from the first zero command to an end-effector below 5 cm/s; 5 when it never stood."""
    start = first_stand(steps, word_end)
    if start is None:
        return NEVER_STOPPED_S
    for step, end, speed in zip(steps, ends(steps), speeds(steps), strict=True):
        if step.t >= start - 1e-9 and speed < SLOW:
            return float(end - start)
    return NEVER_STOPPED_S


def travel(steps: Sequence[Step], start: float, end: float) -> float:
    """Path length of the end-effector between two session times, metres."""
    return float(np.linalg.norm(np.diff(path(steps, start, end), axis=0), axis=1).sum())


def displacement(steps: Sequence[Step], start: float, end: float) -> float:
    """Largest distance of the end-effector from where it was at `start`, up to `end`, metres."""
    points = path(steps, start, end)
    return float(np.linalg.norm(points - points[0], axis=1).max())


def first_success(steps: Sequence[Step]) -> float | None:
    """The time from which the suite's predicate first held."""
    return next((float(end) for step, end in zip(steps, ends(steps), strict=True) if step.success), None)
