"""A privileged skill: an expert that runs inside the world process as a source of one-step chunks.

The agent holds no handle to the world. It sends (verb, goal) in its outputs and gets events; simulator state never
crosses. Agents that use a skill declare `privileged`, and their card rows say so.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from stretto.core.protocols import Expert
from stretto.core.signals import ActionChunk, Event, Kind, SkillRequest


class Skill:
    """Follows one goal of an expert until it is done, stopped or replaced."""

    def __init__(self, expert: Expert, scene: Callable[[], Any], rate: float) -> None:
        self.expert, self.scene, self.rate = expert, scene, rate
        self.goal = ""
        self._events: list[Event] = []

    def request(self, request: SkillRequest, t: float) -> list[Event]:
        """Do what the agent asks at session time `t`. An unknown verb or goal comes back as a fault."""
        if request.verb == "ask":
            answer = self.expert.answer(self.scene(), request.goal, self.goal)
            return [self._event(Kind.SCENE_ANSWER, t, answer)]
        if request.verb == "stop":
            self.goal = ""
            return []
        if request.verb != "start" or request.goal not in self.expert.goals:
            return [self._event(Kind.FAULT, t, f"the skill does not know '{request.verb} {request.goal}'")]
        kind = Kind.ACTION_SWITCHED if self.goal and self.goal != request.goal else Kind.ACTION_STARTED
        self.goal = request.goal
        return [self._event(kind, t, self.goal)]

    def next(self, t: float) -> ActionChunk | None:
        """The expert's action for the control period at `t`, or None when there is nothing to do."""
        if not self.goal:
            return None
        scene = self.scene()
        if self.expert.done(scene, self.goal):
            self._events.append(self._event(Kind.ACTION_COMPLETED, t, self.goal))
            self.goal = ""
            return None
        action = np.asarray(self.expert.act(scene, self.goal), dtype=np.float64)
        return ActionChunk(values=action[None], rate=self.rate, start=t)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        out, self._events = self._events, []
        return out

    @staticmethod
    def _event(kind: Kind, t: float, text: str) -> Event:
        return Event(kind=kind, t=t, source="world", text=text)
