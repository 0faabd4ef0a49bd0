"""Card "policy-goal": the acting half of the learned agent, told by typed words, in LIBERO-Goal.

Official init states 0 to 19 of each task, wordings of the test split typed at 0.4 s, the virtual clock with the delays
of the cards `latency` and `tick`; a session ends 300 control steps after its instruction. Nothing in the agent knows
simulator state.

arms: policy · wrong_instruction (the scene of one task, told another, always to the step limit) · shuffled_images (the
policy shown the pictures that it saw in another task's episode at the same tick).

rows: success (the suite's predicate of the scene's task) · told_success (of the told task) · success_seeing (the same
as success, in the sessions whose counterpart was shown another episode) · transplant_difference (the largest difference
between the chunks of the policy and of the duplex agent with the same weights, over the ticks of a session, typed, no
sound) · halted_share (of the ticks between instruction and success, those in which the policy wanted to stand).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stretto.agents.checkpoint import digest, find_weights
from stretto.agents.duplex import Duplex
from stretto.agents.policy import RECIPE, WEIGHTS, Policy
from stretto.bench.card import Trial
from stretto.core.clock import VirtualClock
from stretto.core.protocols import Context
from stretto.core.rng import derive, generator
from stretto.core.signals import Act, Image, Observation, Output
from stretto.data import talk_wide
from stretto.runtime.delays import from_card
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script

TASKS, INITS = 10, 20
UNITS = [(task, init) for init in range(INITS) for task in range(TASKS)]
SHOWN = 50
"""Sessions, the first of `UNITS`, in which the policy is shown another episode."""
LIMIT_S = 15.0
"""300 control steps, from the instruction on."""
TYPED_S = 0.4
COMPARED = 20
"""Sessions whose chunks are compared with the duplex agent's."""

Row = dict[str, Any]


@dataclass
class State:
    """What a worker keeps; `donors`: the pictures of an episode, by task and init state."""

    world: World
    policy: Policy
    donors: dict[tuple[int, int], list[tuple[Image, ...]]]


class Watched:
    """An agent whose observations and outputs are kept; `shown`: pictures that take the place of those it would see."""

    privileged = False
    part = Policy.part

    def __init__(self, agent: Any, shown: list[tuple[Image, ...]] | None = None) -> None:
        self.agent, self.shown = agent, shown
        self.seen: list[Observation] = []
        self.outputs: list[Output] = []

    def start(self, context: Context) -> Any:
        """A fresh session."""
        self.context = context
        return self.agent.start(context)

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]:
        """One tick."""
        if self.shown is not None:
            obs = replace(obs, images=self.shown[min(len(self.seen), len(self.shown) - 1)])
        self.seen.append(obs)
        output, state = self.agent.step(obs, state)
        self.outputs.append(output)
        return output, state


class PolicyGoal:
    """350 sessions, 20 comparisons."""

    name = "policy-goal"
    clock = "virtual"
    parallel = True
    seconds_per_trial = 10.0

    def __init__(self, weights: str = WEIGHTS) -> None:
        self.directory = weights

    @property
    def weights(self) -> str:
        """The hash of the checkpoint. Raises StrettoError when there is none."""
        return digest(find_weights(self.directory, RECIPE))

    def trials(self, n: int | None) -> list[Trial]:
        """200 told what the scene is for, 100 told another task, 50 shown another episode, 20 compared; or about `n`
        of each kind, evenly over the tasks."""
        out = []
        for kind, count in (
            ("policy", 200),
            ("wrong_instruction", 100),
            ("shuffled_images", SHOWN),
            ("transplant", 20),
        ):
            for task, init in UNITS[: min(count, n or count)]:
                unit = f"goal:{task}/init{init}"
                out.append(Trial(f"{kind}/{unit}", {"kind": kind, "unit": unit, "task": task, "init": init}))
        return out

    def open(self) -> State:
        """One world, one policy."""
        config = World.Config(expert="", cameras_hz=Policy.cameras_hz, camera_turns=Policy.camera_turns)
        return State(config.build(), Policy.Config(weights=self.directory).build(), {})

    def run(self, trial: Trial, state: State) -> list[Row]:
        """One trial's rows."""
        p = dict(trial.params)
        rows = RUNS[p["kind"]](state, p["task"], p["init"])
        arm = "policy" if p["kind"] == "transplant" else p["kind"]
        shared = {"arm": arm, "unit": p["unit"], "seed": 0, "task": p["task"], "delays": 1.0}
        shared |= {"clock": "virtual", "privileged": False, "reflex": False}
        return [{**shared, **row} for row in rows]

    def close(self, state: State) -> None:
        """End the world."""
        state.world.close()


def play(state: State, agent: Any, task: int, told: int, init: int, to_the_end: bool = False) -> tuple[Trace, bool]:
    """One session in the scene of `task`, told `told`; (trace, whether the told goal was reached within the limit)."""
    seed = derive(0, "policy-goal", task, told, init) % 2**31
    goal = state.world.env.tasks[told]
    text = talk_wide.draw("instruct", derive(seed, "wording") % 2**31, "test", 0.0, goal).text
    reached = False

    def until(trace: Trace) -> bool:
        nonlocal reached
        reached = reached or state.world.judge(goal)
        over = trace.seconds > TYPED_S + LIMIT_S
        return over or (reached and not to_the_end)

    session = Session.Config().build(state.world, agent, VirtualClock(), from_card(seed=seed))
    user = Script.Config().build([Cue(intent="instruct", typed=text, wait_s=TYPED_S)])
    trace = session.run(user, str(task), init, "test", TYPED_S + LIMIT_S, until)
    return trace, reached


def _succeeded(trace: Trace) -> bool:
    first = measures.first_success(trace.steps)
    return first is not None and first <= TYPED_S + LIMIT_S


def _policy(state: State, task: int, init: int) -> list[Row]:
    agent = Watched(state.policy)
    trace, _ = play(state, agent, task, task, init)
    state.donors[task, init] = [obs.images for obs in agent.seen]
    good = _succeeded(trace)
    halted = [output.act is Act.HALT for output in agent.outputs[3:]]
    return [
        {"row": "success", "value": good, "seconds": round(trace.seconds, 2)},
        *([{"row": "success_seeing", "value": good}] if (task, init) in UNITS[:SHOWN] else []),
        {"row": "halted_share", "value": float(np.mean(halted)) if halted else 0.0},
        {"row": "official_resets", "value": 1},
    ]


def _wrong(state: State, task: int, init: int) -> list[Row]:
    told = int(
        generator(0, "policy-goal", "told", task, init).choice([other for other in range(TASKS) if other != task])
    )
    trace, reached = play(state, Watched(state.policy), task, told, init, to_the_end=True)
    return [
        {"row": "success", "value": _succeeded(trace), "told": told},
        {"row": "told_success", "value": reached, "told": told},
        {"row": "official_resets", "value": 1, "told": told},
    ]


def _shuffled(state: State, task: int, init: int) -> list[Row]:
    other = int(generator(0, "policy-goal", "shown", task, init).choice([o for o in range(TASKS) if o != task]))
    opened = 1
    if (other, init) not in state.donors:
        opened += 1
        _policy(state, other, init)
    trace, _ = play(state, Watched(state.policy, state.donors[other, init]), task, task, init)
    return [
        {"row": "success_seeing", "value": _succeeded(trace), "shown": other},
        {"row": "official_resets", "value": opened, "shown": other},
    ]


def _transplant(state: State, task: int, init: int) -> list[Row]:
    """What the policy saw in a session goes to the duplex agent, which has the same weights and all its streams."""
    agent = Watched(state.policy)
    play(state, agent, task, task, init)
    duplex = Duplex(Duplex.Config(), state.policy.network)
    inner, largest, count = duplex.start(agent.context), 0.0, 0
    policy = state.policy.start(agent.context)
    for obs in agent.seen:
        silent = replace(obs, sound=None)
        theirs, inner = duplex.step(silent, inner)
        ours, policy = state.policy.step(silent, policy)
        if theirs.chunk is not None and ours.chunk is not None:
            largest = max(largest, float(np.abs(theirs.chunk.values - ours.chunk.values).max()))
            count += 1
    return [
        {"row": "transplant_difference", "value": largest, "chunks": count},
        {"row": "official_resets", "value": 1, "compared": True},
    ]


RUNS = {"policy": _policy, "wrong_instruction": _wrong, "shuffled_images": _shuffled, "transplant": _transplant}
