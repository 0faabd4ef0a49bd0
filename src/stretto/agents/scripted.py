"""An agent that knows the script: it does at each planned time what it was told beforehand. Privileged.

The oracle of the stop cards (halt at the word's end) and the recorder of demonstrations: it hears nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Context
from stretto.core.signals import Act, Observation, Output, SkillRequest, Speech


@dataclass(frozen=True, kw_only=True)
class Plan:
    """At session time `t`: start or stop a skill, halt or move, say something."""

    t: float
    act: Act = Act.KEEP
    goal: str = ""
    speech: Speech | None = None


class Scripted(Configurable):
    """Follows its plan; each entry takes effect in the first tick at or after its time."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

    privileged = True

    def __init__(self, config: Config, plan: Sequence[Plan] = ()) -> None:
        del config
        self.plan = sorted(plan, key=lambda entry: entry.t)

    def start(self, context: Context) -> int:
        """The state is the number of plan entries done."""
        return 0

    def step(self, obs: Observation, state: int) -> tuple[Output, int]:
        """All entries that are due; of several acts the last one holds."""
        due = [entry for entry in self.plan[state:] if entry.t <= obs.t + 1e-9]
        acts = [entry.act for entry in due if entry.act is not Act.KEEP]
        return Output(
            act=acts[-1] if acts else Act.KEEP,
            skill=tuple(SkillRequest(verb="start", goal=entry.goal) for entry in due if entry.goal),
            speech=tuple(entry.speech for entry in due if entry.speech is not None),
            say=" ".join(entry.speech.text for entry in due if entry.speech is not None),
        ), state + len(due)
