"""An agent drives a composition while a teacher, who knows the script, only notes what should be said and done.

So pictures, motion and what is being played are the agent's own, mistakes included, and what is learned from them is
right all the same (DAgger, Ross et al., 2011). Privileged is the teacher alone: it reads the script, the scene and when
a task is done; the agent gets what any agent gets.
"""

from dataclasses import dataclass
from typing import Any

from stretto.core.protocols import Context, Expert
from stretto.core.signals import Observation, Output
from stretto.sessions.prompted import Prompted


@dataclass(frozen=True, kw_only=True)
class State:
    """The agent's, the teacher's, and the goal that the arm should be about ("" of none)."""

    agent: Any
    teacher: int
    goal: str = ""
    halted: bool = False


class Driven:
    """`finished`: when a goal that was asked for was reached, as the expert sees it."""

    def __init__(self, agent: Any, teacher: Prompted, expert: Expert) -> None:
        self.agent, self.teacher, self.expert, self.privileged = agent, teacher, expert, agent.privileged
        self.finished: list[float] = []

    def start(self, context: Context) -> State:
        """Both begin."""
        return State(agent=self.agent.start(context), teacher=self.teacher.start(context))

    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """The agent's step; the teacher's is noted and not done."""
        _, teacher = self.teacher.step(obs, state.teacher)
        goal, halted = state.goal, state.halted
        for prompt in self.teacher.director.prompts[state.teacher : teacher]:
            reaction = prompt.reaction
            goal = reaction.goal or goal
            halted = reaction.halt or (halted and not reaction.move)
        if goal and not halted and self.expert.done(self.teacher.director.world.env.scene(), goal):
            self.finished.append(obs.t)
            goal = ""
        output, agent = self.agent.step(obs, state.agent)
        return output, State(agent=agent, teacher=teacher, goal=goal, halted=halted)
