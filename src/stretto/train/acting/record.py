"""Episodes of the expert in LIBERO-Goal as contexts, from seeds: fresh placements, odd starts, noise with clean labels.

What an episode is made of, drawn from its seed:

    places    the suite's own · scattered wider (scatter.py)
    start     as the suite places the arm · in an odd pose with the fingers somewhere · in the middle of a task
    waiting   nothing is asked for at first (the arm should stand), or the instruction is there at once
    task      the expert acts, or its actions with noise on them while its own stay the labels; now and then a shove,
              or a slip: the fingers close too early or open too soon, and the hand goes on as if they had not
    after     done: the arm stands; then, sometimes, another task in the scene as it is

Successes alone hold no recoveries, and the lower action error of clean recordings makes worse policies (48 against 76 %
of successes in a first probe): states off the way, with the expert's way back, are what is learned from. Official init
states are never opened: every reset is of the split `train`.

Source: noise injection is DART (Laskey et al., 2017). Needs LIBERO and its expert, which is privileged.
"""

from dataclasses import dataclass, field

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.rng import derive, generator
from stretto.envs.experts.libero_goal import LiberoGoalExpert
from stretto.envs.experts.libero_goal.motion import SHOULDER
from stretto.envs.libero import Libero
from stretto.train.acting.contexts import (
    COMMITTED,
    FRONT_AGE,
    HORIZON,
    KINDS,
    NO_TASK,
    WRIST_AGE,
    Shard,
    encode,
)
from stretto.train.acting.places import places
from stretto.train.acting.scatter import scatter

EVERY = 4
"""Control steps from one context to the next: pictures at 5 Hz."""

SPREAD = np.array([1, 1, 1, 0.4, 0.4, 0.4, 0])
"""Of the noise: turning is spoiled more easily than moving, and the gripper is left alone."""


STUCK = 12
"""An arm that does not move for so many steps, though told to, will not come free: its elbow is straight."""


@dataclass
class _Track:
    """One episode while it is recorded: per step what was done, what the expert said, where the hand was, and whether
    that counts (not while the arm is pushed, or stuck); and the open contexts.
    """

    done: list[np.ndarray] = field(default_factory=list)
    label: list[np.ndarray] = field(default_factory=list)
    shoved: list[bool] = field(default_factory=list)
    places: list[np.ndarray] = field(default_factory=list)
    opened: list[dict] = field(default_factory=list)
    front: bytes = b""
    wrist: bytes = b""


@dataclass(frozen=True)
class _Push:
    """A disturbance of `steps` steps: the expert's motion with the gripper doing `grip`, then `constant` for `last`."""

    steps: int = 0
    constant: np.ndarray = field(default_factory=lambda: np.zeros(7))
    last: int = 0
    grip: float = 0.0

    def action(self, left: int, label: np.ndarray) -> np.ndarray:
        """What is done when `left` more steps of it follow."""
        return self.constant if left < self.last else np.append(label[:6], self.grip)


class Recorder(Configurable):
    """Records episodes by number into shards."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`wide`: share of scattered placements; `odd`, `midway`: shares of starts (of the latter, `own`: in the middle
        of the task itself); `noisy`: share with noise up to `noise` (of full speed); `shoves`: share
        with pushes of the arm, `slips` of them with the gripper doing the opposite of what it should; `chained`: share
        with a second task; `waiting`: share that begins without instruction.
        """

        wide: float = 0.4
        odd: float = 0.15
        midway: float = 0.25
        own: float = 0.4
        noisy: float = 0.7
        noise: float = 0.22
        shoves: float = 0.5
        slips: float = 0.6
        chained: float = 0.2
        waiting: float = 0.15
        limit: int = 400
        after: int = 12

    def __init__(self, config: Config, env: Libero | None = None) -> None:
        self.config = config
        self.env = env or Libero.Config().build()
        self.expert = LiberoGoalExpert()

    def record(self, shard: Shard, seed: int, number: int, task: int | None = None) -> bool:
        """Episode `number` of a recording with `seed`, into `shard`; whether its (last) goal was reached."""
        c, rng = self.config, generator(seed, "acting", "episode", number)
        self.task = int(rng.integers(10)) if task is None else task
        self.before, self.kind = NO_TASK, "expert"
        self.sigma = float(rng.uniform(0.05, c.noise)) if rng.random() < c.noisy else 0.0
        self.shove_rate = 0.015 if rng.random() < c.shoves else 0.0
        self.episode = derive(seed, "acting", number)
        self.rng = rng
        self.env.reset(str(self.task), derive(seed, "acting", "place", number) % 2**31, "train")
        self.begin(self.task, rng.random(), rng)
        track = _Track()
        if rng.random() < c.waiting:
            self._play(track, "", int(rng.integers(2, 8)) * EVERY)
        else:
            self._play(track, None, EVERY)
        good = self._task(track)
        if rng.random() < c.chained:
            self.before, self.kind = self.task, "chained"
            self.task = int(rng.choice([other for other in range(10) if other != self.task]))
            good = self._task(track)
        self._close(track, shard)
        return good

    def _task(self, track: _Track) -> bool:
        """The present task until it is done, and a while after it."""
        goal = self.env.tasks[self.task]
        self._play(track, goal, self.config.limit, stand=int(self.rng.integers(0, COMMITTED)))
        reached = self.env.predicate(goal)
        self._play(track, goal, self.config.after, even_done=True)
        return reached

    def begin(self, task: int, kind: float, rng: np.random.Generator) -> None:
        """Where things and the arm are when an episode of `task` begins, the arm by `kind` in [0, 1); nothing of it is
        recorded.
        """
        c, self.rng = self.config, rng
        if rng.random() < c.wide:
            scatter(self.env, rng)
        if kind < c.odd:
            self._odd_pose()
        elif kind < c.odd + c.midway:
            other = task if rng.random() < c.own else int(rng.choice([t for t in range(10) if t != task]))
            for _ in range(int(rng.integers(15, 150))):
                self.env.apply(self.expert.act(self.env.scene(), self.env.tasks[other]))
            self.before = NO_TASK if other == task else other

    def _odd_pose(self) -> None:
        """Towards a random place above the table, turned a little, the fingers anywhere."""
        scene, rng = self.env.scene(), self.rng
        goal = rng.uniform([-0.25, -0.3, 1.0], [0.15, 0.3, 1.35])
        goal[:2] = SHOULDER + (goal[:2] - SHOULDER) * min(1.0, 0.66 / float(np.linalg.norm(goal[:2] - SHOULDER)))
        turn, grip = rng.uniform(-0.3, 0.3, 3), float(rng.choice([-1.0, 0.0, 1.0]))
        for step in range(int(rng.integers(10, 40))):
            move = np.clip((goal - scene.grip_position) / 0.05 * 2, -1, 1)
            self.env.apply(np.concatenate([move, turn if step < 8 else np.zeros(3), [grip]]))

    def _play(self, track: _Track, goal: str | None, limit: int, even_done: bool = False, stand: int = 0) -> None:
        """At most `limit` steps towards a goal ("": none is asked for; None: the same, and no context is opened).

        The arm stands for the first `stand` of them: what moves it always comes a little late.
        """
        scene, noise, push, left = self.env.scene(), np.zeros(7), _Push(), 0
        for step in range(limit):
            done = not goal or self.expert.done(scene, goal)
            if done and goal and not even_done:
                break
            self._look(track, goal, done)
            label = np.zeros(7) if done or not goal else self.expert.act(scene, goal)
            noise = 0.7 * noise + 0.71 * self.sigma * SPREAD * self.rng.normal(size=7)
            left -= 1
            if left < 0 and not done and self.rng.random() < self.shove_rate:
                push = self._push(label)
                left = push.steps - 1
            pushed = left >= 0 or (step < stand and not done)
            if step < stand:
                action = np.zeros(7)
            elif left >= 0:
                action = push.action(left, label)
            else:
                action = label if done else np.clip(label + noise, -1, 1)
            track.done.append(action)
            track.label.append(label)
            track.shoved.append(pushed)
            track.places.append(scene.grip_position.copy())
            self.env.apply(action)
            if _stuck(track):
                track.shoved[-STUCK:] = [True] * STUCK
                break

    def _push(self, label: np.ndarray) -> "_Push":
        """What now disturbs the arm: a shove, or the gripper's mistake."""
        rng = self.rng
        if rng.random() < self.config.slips and (label[6] <= 0 or rng.random() < 0.3):
            grip = 1.0 if label[6] <= 0 else -1.0
            steps, away = int(rng.integers(4, 10)), int(rng.integers(0, 16)) if grip > 0 else 0
            up = np.array([*rng.uniform(-0.2, 0.2, 2), rng.uniform(0.2, 1.0), 0, 0, 0, grip])
            return _Push(steps=steps + away, constant=up, last=away, grip=grip)
        shove = rng.uniform(-1, 1, 6)
        shove[3:] *= 0.3
        steps = int(rng.integers(4, 9))
        return _Push(steps=steps, constant=np.append(shove, label[6]), last=steps)

    def _look(self, track: _Track, goal: str | None, done: bool) -> None:
        """Pictures when it is their turn, and a context every so many steps."""
        step = len(track.done)
        ahead = -step % EVERY
        if ahead == FRONT_AGE % EVERY:
            track.front = encode(self.env.render("front", 128, 128).pixels)
        if ahead == WRIST_AGE:
            track.wrist = encode(self.env.render("wrist", 128, 128).pixels)
        if ahead or goal is None or not track.front or not track.wrist:
            return
        kind = "waiting" if not goal else "noisy" if self.sigma and self.kind == "expert" else self.kind
        track.opened.append(
            {
                "step": step,
                "front": track.front,
                "wrist": track.wrist,
                "proprio": self.env.observe().proprio,
                "task": self.task if goal else NO_TASK,
                "before": self.before,
                "places": places(self.env.scene()),
                "kind": KINDS.index(kind),
                "move": bool(goal) and not done,
                "asked": goal or "",
            }
        )

    def _close(self, track: _Track, shard: Shard) -> None:
        """Contexts with a whole label go into the shard. A shove that begins after a context spoils its label."""
        rest = [np.zeros(7)] * HORIZON
        done, label = np.array(track.done + rest), np.array(track.label + rest)
        shoved = np.array(track.shoved + [False] * HORIZON)
        moves = {some["step"]: some["move"] for some in track.opened}
        asked = {some["step"]: some["asked"] for some in track.opened}
        for some in track.opened:
            step = some["step"]
            window = shoved[step : step + HORIZON]
            least = int(np.argmin(window)) if window[0] else 0
            switched = any(asked.get(later, some["asked"]) != some["asked"] for later in range(step, step + HORIZON))
            if window[least:].any() or least > COMMITTED or switched:
                continue
            values = {name: some[name] for name in ("proprio", "task", "before", "places", "kind")}
            values |= {
                "done": done[step : step + COMMITTED],
                "label": label[step : step + HORIZON],
                "least": least,
                "move": [some["move"], moves.get(step + EVERY, some["move"])],
                "episode": self.episode,
            }
            shard.add(some["front"], some["wrist"], values)


def _stuck(track: _Track) -> bool:
    """Whether the hand has stayed within 12 mm though the expert wanted it elsewhere."""
    if len(track.places) < STUCK:
        return False
    moved = np.abs(np.array(track.places[-STUCK:]) - track.places[-1]).max()
    wanted = np.linalg.norm(np.array(track.label[-STUCK:])[:, :3], axis=1).min()
    return bool(moved < 0.012 and wanted > 0.5)
