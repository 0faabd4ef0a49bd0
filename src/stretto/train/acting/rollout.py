"""Rollouts while training: a few sessions in the development placements, and a short film of the last one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from stretto.agents.network import Network
from stretto.agents.policy import Policy
from stretto.core.clock import VirtualClock
from stretto.runtime.delays import from_card
from stretto.sessions import measures
from stretto.sessions.film import write_film
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace
from stretto.sessions.users.script import Cue, Script
from stretto.train.acting.drive import over, world_of
from stretto.train.acting.phrases import GOALS

TASKS_AT_ONCE = 2


def session(policy: Policy, world, task: int, seed: int, text: str = "", factor: float = 1.0) -> Trace:
    """One development session: the task is typed after 0.4 s; the delays are those of the latency card."""
    cue = Cue(intent="instruct", typed=text or GOALS[task], wait_s=0.4)
    made = Session.Config().build(world, policy, VirtualClock(), from_card(factor=factor, seed=seed))
    return made.run(Script.Config().build([cue]), str(task), seed, "dev", 30.0, over(1))


def roll_out(network: Network, step: int, folder: Path) -> Mapping[str, float]:
    """Two sessions, other tasks each time; `step`-TASK.mp4 is the second."""
    policy = Policy(Policy.Config(live=False), network)
    world = world_of(film_hz=5.0).build()
    reached = []
    try:
        for number in range(TASKS_AT_ONCE):
            task = (step // 100 + 5 * number) % 10
            trace = session(policy, world, task, seed=step + number)
            reached.append(measures.first_success(trace.steps) is not None)
    finally:
        world.close()
    folder.mkdir(parents=True, exist_ok=True)
    write_film(replace(trace), folder / f"{step:06d}-{task}.mp4", 5)
    return {"rollout": sum(reached) / len(reached)}
