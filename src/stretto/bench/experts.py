"""Card "experts": the closed-loop experts of LIBERO-Goal, undisturbed, interrupted, and sent on to another goal.

All episodes start from official init states. An interruption falls on a step drawn uniformly from the undisturbed
episode of the same start (for `interrupted_not_dropped`: from its steps with an object in the hand); the world repeats
bit for bit, so that episode is run first and then again up to the drawn step.

rows: success (the suite's own predicate within 300 steps) · steps (control steps to it) · interrupted_not_dropped (told
"put it down": the object was put down, and its lowest point was never more than 5 cm above what is under it when the
fingers let go) · interrupted_other_goal (another goal holds within 400 further steps).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stretto.bench.card import Trial
from stretto.core.rng import generator
from stretto.envs.experts.libero_goal import LiberoGoalExpert
from stretto.envs.experts.libero_goal.motion import Hand
from stretto.envs.libero import Libero

LIMIT, FURTHER, DOWN_LIMIT = 300, 400, 200
DROP = 0.05
"""Let go from higher (m) is a drop."""

HOLDING = (1, 2, 3, 4, 6, 8, 9)
"""The tasks in which something is held."""


@dataclass(frozen=True)
class Episode:
    """What an undisturbed episode was: its length, the step of success (None: never), the steps with a held object."""

    length: int
    success: int | None
    holding: tuple[int, ...]


class Experts:
    """`inits`: the official init states that are used. `seed` draws goals, states and steps of the interruptions."""

    name = "experts"
    clock = None
    parallel = True
    seconds_per_trial = 5.0

    def __init__(self, inits: tuple[int, ...] = tuple(range(10, 30)), seed: int = 0) -> None:
        self.inits, self.seed = inits, seed

    def trials(self, n: int | None) -> list[Trial]:
        """200 undisturbed, 60 interrupted with something in the hand, 120 sent on to another goal; or about `n`."""
        every = [
            Trial(f"success/{task}/{init}", {"kind": "success", "task": task, "init": init})
            for init in self.inits
            for task in range(10)
        ]
        if n is None:
            return every + self._held(60) + self._switched(120)
        part = max(1, n // 4)
        return every[: 2 * part] + self._held(part) + self._switched(part)

    def open(self) -> Libero:
        """One world for all trials."""
        return Libero.Config().build()

    def run(self, trial: Trial, state: Libero) -> list[dict[str, Any]]:
        """One trial's rows."""
        params = dict(trial.params)
        kind = params.pop("kind")
        runs: dict[str, Callable[..., list[dict[str, Any]]]] = {
            "success": _success,
            "held": _held,
            "switched": _switched,
        }
        return runs[kind](state, **params)

    def close(self, state: Libero) -> None:
        """Free the world."""
        state.close()

    def _held(self, count: int) -> list[Trial]:
        out = []
        for i in range(count):
            rng = generator(self.seed, "experts", "held", i)
            params = {"task": HOLDING[i % len(HOLDING)], "init": int(rng.choice(self.inits)), "seed": i}
            out.append(Trial(f"held/{i}", {"kind": "held", **params}))
        return out

    def _switched(self, count: int) -> list[Trial]:
        pairs = [(a, b) for a in range(10) for b in range(10) if a != b]
        order = generator(self.seed, "experts", "pairs").permutation(len(pairs))
        out = []
        for i in range(count):
            rng = generator(self.seed, "experts", "switched", i)
            first, second = pairs[order[i % len(pairs)]]
            params = {"first": first, "second": second, "init": int(rng.choice(self.inits)), "seed": i}
            out.append(Trial(f"switched/{i}", {"kind": "switched", **params}))
        return out


def undisturbed(env: Libero, task: int, init: int) -> Episode:
    """Runs the expert on one official init state until it is done, at most 300 steps."""
    expert, goal = LiberoGoalExpert(), env.tasks[task]
    env.reset(str(task), init, "test")
    scene, success, holding = env.scene(), None, []
    for step in range(LIMIT):
        if Hand(scene).held is not None:
            holding.append(step)
        env.apply(expert.act(scene, goal))
        if success is None and env.success():
            success = step + 1
        if expert.done(scene, goal):
            return Episode(step + 1, success, tuple(holding))
    return Episode(LIMIT, success, tuple(holding))


def replay(env: Libero, task: int, init: int, steps: int) -> None:
    """Brings the world to the state after `steps` steps of the undisturbed episode."""
    expert, goal = LiberoGoalExpert(), env.tasks[task]
    env.reset(str(task), init, "test")
    for _ in range(steps):
        env.apply(expert.act(env.scene(), goal))


def put_down(env: Libero) -> tuple[bool, float, bool]:
    """Tells the expert to put down what it holds.

    Whether it ends on something and out of the hand, and the greatest height (m) from which fingers let go of it, and
    whether that counts as a drop.
    """
    expert, scene = LiberoGoalExpert(), env.scene()
    held = Hand(scene).held
    assert held is not None
    highest, in_hand = 0.0, True
    for _ in range(DOWN_LIMIT):
        env.apply(expert.act(scene, "put it down"))
        touched = any(other.startswith("gripper0") for one, other in scene.contacts() if one == held)
        now = touched or Hand(scene).held == held
        if in_hand and not now:
            highest = max(highest, scene.clearance(held))
        in_hand = now
        if expert.done(scene, "put it down"):
            break
    down = Hand(scene).held is None and scene.clearance(held) < 0.01 and scene.position(held)[2] > 0.85
    return bool(down), highest, highest > DROP


def _success(env: Libero, task: int, init: int) -> list[dict[str, Any]]:
    episode = undisturbed(env, task, init)
    common = {"arm": "expert", "unit": f"goal:{task}/init{init}", "seed": 0, "task": env.tasks[task]}
    common["privileged"] = True
    rows = [{"row": "success", "value": episode.success is not None, **common}]
    if episode.success is not None:
        rows.append({"row": "steps", "value": episode.success, **common})
    return rows


def _held(env: Libero, task: int, init: int, seed: int) -> list[dict[str, Any]]:
    episode = undisturbed(env, task, init)
    row = {"row": "interrupted_not_dropped", "arm": "expert", "unit": f"goal:{task}/init{init}", "seed": seed}
    row |= {"task": env.tasks[task], "privileged": True, "holding": bool(episode.holding)}
    if not episode.holding:
        return [row | {"value": False, "step": -1, "let_go_cm": 0.0, "down": False}]
    step = int(generator(seed, "experts", "held", "step").choice(episode.holding))
    replay(env, task, init, step)
    down, highest, dropped = put_down(env)
    return [row | {"value": down and not dropped, "step": step, "let_go_cm": 100 * highest, "down": down}]


def _switched(env: Libero, first: int, second: int, init: int, seed: int) -> list[dict[str, Any]]:
    episode = undisturbed(env, first, init)
    step = int(generator(seed, "experts", "switched", "step").integers(episode.length + 1))
    replay(env, first, init, step)
    expert, scene, goal = LiberoGoalExpert(), env.scene(), env.tasks[second]
    reached = None
    for further in range(FURTHER):
        env.apply(expert.act(scene, goal))
        if scene.predicate(goal):
            reached = further + 1
            break
    row = {"row": "interrupted_other_goal", "arm": "expert", "unit": f"goal:{first}-{second}/init{init}", "seed": seed}
    row |= {"first": env.tasks[first], "second": goal, "step": step, "steps": reached or FURTHER, "privileged": True}
    return [row | {"value": reached is not None}]
