"""The cascade's ears and voice around the learned policy: nothing in it knows simulator state.

Listening, understanding and speaking are those of the cascade (agents/cascade.py); what moves the arm is the policy
(agents/policy.py), which is typed the sentence of the task that the rules understood. Stop, pause and go on are the
rules'; whether there is anything to do is the policy's own `<halt>` and `<move>`. What a rule halted, the policy cannot
start. It sees pictures and does not describe them: questions about the scene are declined.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from stretto.agents.cascade import Cascade, Draft
from stretto.agents.cascade import State as Ears
from stretto.agents.policy import Policy
from stretto.core.protocols import Context
from stretto.core.signals import Act, Event, Kind, Observation, Output
from stretto.think.intent import Intent

RESTED = 5
"""Ticks for which the policy must want to stand before it counts as done; twice as many after it was told something."""


@dataclass(frozen=True, kw_only=True)
class State(Ears):
    """The cascade's, and the policy's; `told`: what it is typed next; `rested`: ticks for which it has stood."""

    inner: Any = None
    told: str = ""
    rested: int = 0


class CascadePolicy(Cascade):
    """Listens, understands by rules, acts by a learned policy, answers aloud."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Cascade.Config):
        """`policy`: with its weights."""

        policy: Policy.Config = field(default_factory=Policy.Config)

    privileged = False
    cameras_hz, camera_turns = Policy.cameras_hz, Policy.camera_turns
    part, own_core = Policy.part, Policy.own_core

    def __init__(self, config: Config, policy: Policy | None = None) -> None:
        self.policy = policy or config.policy.build()
        super().__init__(config)

    def start(self, context: Context) -> State:
        """Ears open; the policy has read its system prompt."""
        ears = super().start(context)
        return State(**vars(ears), inner=self.policy.start(context))

    def step(self, obs: Observation, state: Ears) -> tuple[Output, Ears]:
        """The cascade's step, then the policy's."""
        output, state = super().step(obs, state)
        assert isinstance(state, State)
        seen = replace(obs, text=state.told or None, sound=None)
        acted, inner = self.policy.step(seen, state.inner)
        state = replace(state, inner=inner, told="")
        if state.halted or not state.goal:
            return output, replace(state, inner=replace(inner, chunk=None), rested=-RESTED)
        act = acted.act if output.act is Act.KEEP or acted.act is Act.HALT else output.act
        rested = state.rested + 1 if acted.act is Act.HALT else 0
        return replace(output, act=act, chunk=acted.chunk), replace(state, rested=rested)

    def _on_instruct(self, intent: Intent, obs: Observation, state: Ears, draft: Draft) -> Ears:
        assert isinstance(state, State)
        draft.say.append(f"Okay, I will {intent.goal}.")
        kind = Kind.ACTION_SWITCHED if state.goal else Kind.ACTION_STARTED
        draft.events.append(Event(kind=kind, t=obs.t, source="agent", text=intent.goal))
        return replace(state, goal=intent.goal, told=intent.goal, halted=False, rested=-RESTED)

    def _on_ask_scene(self, intent: Intent, obs: Observation, state: Ears, draft: Draft) -> Ears:
        doing = "doing" in intent.topic and state.goal
        draft.say.append(f"I am going to {state.goal}." if doing else "I can act on what I see, but not describe it.")
        return state

    def _notice(self, obs: Observation, state: Ears, draft: Draft) -> Ears:
        """The policy has stood for a while: it takes its task to be done."""
        assert isinstance(state, State)
        if not state.goal or state.halted or state.rested < RESTED:
            return state
        draft.act = Act.HALT
        draft.say.append("Done.")
        draft.events.append(Event(kind=Kind.ACTION_COMPLETED, t=obs.t, source="agent", text=state.goal))
        return replace(state, goal="", rested=0)
