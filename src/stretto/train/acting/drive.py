"""Rounds in which the policy drives and the expert says what it should have done (DAgger, Ross et al., 2011).

The policy drives as it will live: ticks, pictures of some age, chunks that come late by delays drawn from the latency
card, and the executor that plays them. At every picture tick the world is asked what the expert would do from here
(branch.py), behind as many committed actions as were drawn; that is the label, and the next state is still the
policy's. In some sessions the expert takes over for a while now and then, so that states behind a mistake are seen too.

The teacher reads simulator state; the policy gets what any agent gets. Placements of the split train.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stretto.agents.network import Network
from stretto.agents.policy import Policy
from stretto.core.clock import VirtualClock
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Context
from stretto.core.rng import derive, generator
from stretto.core.signals import Act, ActionChunk, Observation, Output
from stretto.envs.experts.libero_goal import LiberoGoalExpert
from stretto.envs.libero import Libero
from stretto.runtime.delays import Delays, from_card
from stretto.runtime.world import Report, World
from stretto.sessions import measures
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script
from stretto.train.acting.branch import answer
from stretto.train.acting.contexts import COMMITTED, HORIZON, KINDS, NO_TASK, Shard, encode
from stretto.train.acting.phrases import GOALS, another, wordings
from stretto.train.acting.places import places

LIMIT_S = 16.0
"""Length of a session after its (last) instruction."""


def world_of(film_hz: float = 0.0) -> World.Config:
    """The world as a policy sees it."""
    return World.Config(
        expert="", cameras_hz=Policy.cameras_hz, camera_turns=Policy.camera_turns, film_hz=film_hz, film_size=192
    )


class OddWorld(World):
    """A world whose episodes begin where `prepare` leaves the arm, unseen."""

    prepare: Callable[[], None] = staticmethod(lambda: None)

    @property
    def libero(self) -> Libero:
        """The environment."""
        assert isinstance(self.env, Libero)
        return self.env

    def reset(self, task: str, seed: int, split: str = "train") -> Report:
        """Begin, then prepare."""
        super().reset(task, seed, split)
        self.prepare()
        return self.take()


@dataclass(frozen=True, kw_only=True)
class TaughtState:
    """The policy's state, what it was asked, for how many more picture ticks the expert drives, or the arm is held."""

    inner: Any
    task: int = NO_TASK
    before: int = NO_TASK
    expert: int = 0
    held: int = 0


class Taught(Configurable):
    """The policy with a teacher who takes notes, and sometimes the wheel."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Chances at a picture tick: `takes_over`, that the expert drives the next 2 to 6 of them; `holds`, that the
        arm is held for as long, as by somebody who says "wait".
        """

        takes_over: float = 0.0
        holds: float = 0.0
        seed: int = 0

    privileged = False
    part = Policy.part

    def __init__(self, config: Config, policy: Policy, world: OddWorld, shard: Shard, asks: dict[str, int]) -> None:
        self.config, self.policy, self.world, self.shard, self.asks = config, policy, world, shard, asks
        self.expert = LiberoGoalExpert()
        self.rng = generator(config.seed, "teacher")

    def start(self, context: Context) -> TaughtState:
        """A fresh session."""
        return TaughtState(inner=self.policy.start(context))

    def step(self, obs: Observation, state: TaughtState) -> tuple[Output, TaughtState]:
        """The policy's step; at picture ticks a note, and the expert's chunk in its place when it drives."""
        if obs.text:
            before = state.task if state.task != NO_TASK else state.before
            state = replace(state, task=self.asks[obs.text], before=before)
        chunk = state.inner.chunk
        output, inner = self.policy.step(obs, state.inner)
        state = replace(state, inner=inner)
        if output.chunk is None or len(inner.pictures) < 2:
            return (replace(output, act=Act.HALT) if state.held else output), state
        label, move = self._note(obs, chunk, state)
        drives = state.expert
        if not drives and self.rng.random() < self.config.takes_over:
            drives = int(self.rng.integers(2, 7))
        if drives:
            taken = ActionChunk(values=label, rate=output.chunk.rate, start=obs.t)
            output = replace(output, chunk=taken, act=Act.MOVE if move else Act.HALT)
            state = replace(state, inner=replace(inner, chunk=taken if move else None))
        held = state.held
        if not held and self.rng.random() < self.config.holds:
            held = int(self.rng.integers(2, 7))
        if held:
            output = replace(output, chunk=None, act=Act.HALT)
            state = replace(state, inner=replace(state.inner, chunk=None))
        return output, replace(state, expert=max(0, drives - 1), held=max(0, held - 1))

    def _note(self, obs: Observation, chunk: ActionChunk | None, state: TaughtState) -> tuple[np.ndarray, bool]:
        """A context of this moment; the expert's label and whether the arm should move."""
        env, goal = self.world.libero, GOALS[state.task] if state.task != NO_TASK else ""
        rest = np.zeros((COMMITTED, 7))
        if chunk is not None:
            first = max(0, round((obs.t - chunk.start) * chunk.rate))
            rest = chunk.values[first : first + COMMITTED]
        committed = rest[: int(self.rng.integers(0, min(len(rest), COMMITTED) + 1))]
        label = answer(env, self.expert, goal, committed, HORIZON)
        scene = env.scene()
        move = bool(goal) and not self.expert.done(scene, goal)
        pictures = state.inner.pictures
        self.shard.add(
            encode(pictures["front"].pixels),
            encode(pictures["wrist"].pixels),
            {
                "proprio": obs.proprio,
                "done": label[:COMMITTED],
                "label": label,
                "least": len(committed),
                "task": state.task,
                "before": state.before,
                "move": [move, move],
                "places": places(scene),
                "kind": KINDS.index("policy"),
                "episode": derive(self.config.seed, "drive"),
            },
        )
        return label, move


class Driving(Configurable):
    """Sessions of a policy with its teacher, by number, in one world that is kept."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`helped`: share of sessions in which the expert takes over; `paused`: in which the arm is held; `wide`,
        `odd`, `midway`: of placements and starts (record.py); `switched`: of a switch or a correction while the
        first task is being done. `slowest`, `fastest`: factors on the delays.
        """

        helped: float = 0.5
        takes_over: float = 0.12
        paused: float = 0.25
        holds: float = 0.05
        wide: float = 0.3
        odd: float = 0.1
        midway: float = 0.2
        switched: float = 0.35
        fastest: float = 0.7
        slowest: float = 1.3
        seed: int = 0

    def __init__(self, config: Config, network: Network, table: dict[str, list[float]] | None = None) -> None:
        self.config = config
        self.policy = Policy(Policy.Config(live=False), network)
        self.world: OddWorld = OddWorld(world_of())
        self.table = from_card().table if table is None else table
        self.texts = [wordings(task, 24, config.seed) for task in range(len(GOALS))]

    def drive(self, shard: Shard, number: int, task: int) -> tuple[bool, bool]:
        """Session `number`, told `task`: into `shard`; (whether it was reached, whether the expert helped)."""
        c, rng = self.config, generator(self.config.seed, "driving", number)
        helped = bool(rng.random() < c.helped)
        first = int(rng.choice([t for t in range(10) if t != task])) if rng.random() < c.switched else task
        said = [str(rng.choice(self.texts[first]))]
        said += [another(task, first, int(rng.integers(100)), c.seed)] if first != task else []
        cues = [Cue(intent="instruct", typed=said[0], wait_s=float(rng.uniform(0.1, 1.0)))]
        cues += [Cue(intent="switch", typed=text, wait_s=float(rng.uniform(1.0, 4.0))) for text in said[1:]]
        self.world.prepare = self._start(float(rng.random()), task, rng)
        seed = derive(c.seed, "driven", number) % 2**31
        holds = c.holds if rng.random() < c.paused else 0.0
        taught = Taught.Config(takes_over=c.takes_over if helped else 0.0, holds=holds, seed=seed).build(
            self.policy, self.world, shard, dict(zip(said, [first, task][-len(said) :], strict=True))
        )
        delays = Delays(self.table, float(rng.uniform(c.fastest, c.slowest)), seed)
        session = Session.Config().build(self.world, taught, VirtualClock(), delays)
        trace = session.run(Script.Config().build(cues), str(task), seed, "train", 30.0, over(len(cues)))
        return measures.first_success(trace.steps) is not None, helped

    def _start(self, kind: float, task: int, rng: np.random.Generator) -> Callable[[], None]:
        """What happens to the arm before the session begins."""
        from stretto.train.acting.record import Recorder

        def prepare() -> None:
            c = self.config
            recorder = Recorder(Recorder.Config(wide=c.wide, odd=c.odd, midway=c.midway), self.world.libero)
            recorder.begin(task, kind, rng)

        return prepare

    def close(self) -> None:
        """End the world."""
        self.world.close()


def over(cues: int, linger_s: float = 1.0) -> Callable[[Trace], bool]:
    """A session is over some time after its task was reached, or LIMIT_S after its last cue."""

    def is_over(trace: Trace) -> bool:
        if len(trace.utterances) < cues:
            return False
        first = measures.first_success(trace.steps)
        reached = first is not None and trace.seconds > max(first, trace.utterances[-1].t) + linger_s
        return reached or trace.seconds > trace.utterances[-1].t + LIMIT_S

    return is_over
