"""A composition before it is played: a scene, and what will be said in it and when.

A term (terms/) takes a plot and returns it with its own prompts behind those that are there. Every prompt says what
should be done about it (`Reaction`): the teacher does it, and it is what the agent's labels are made from.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stretto.sessions.composer.draw import Draw
from stretto.sessions.users.director import Prompt, When, acting
from stretto.sessions.watched import Arrangement


@dataclass(frozen=True, kw_only=True)
class Plot:
    """`goal`: what the arm is about at the end, "" of nothing; `halted`: it was told to stand; `terms`: their names in
    order. `watch`: goals whose truth is kept. `echo`: gain of the robot's voice in its own microphone. `rest_s`: how
    long the session goes on at least after the last line."""

    placement: int
    prompts: tuple[Prompt, ...] = ()
    terms: tuple[str, ...] = ()
    goal: str = ""
    halted: bool = False
    watch: tuple[str, ...] = ()
    arrangement: Arrangement = field(default_factory=Arrangement)
    echo: float = 0.0
    rest_s: float = 4.0

    @property
    def moving(self) -> bool:
        """The arm is about something."""
        return bool(self.goal) and not self.halted

    @property
    def when(self) -> When | None:
        """The moment for the next line: while the arm acts, where it does."""
        return acting if self.moving else None

    def then(self, *prompts: Prompt, goal: str | None = None, halted: bool | None = None) -> "Plot":
        """With more prompts, and what the arm is about after them."""
        about = self.goal if goal is None else goal
        return replace(
            self,
            prompts=(*self.prompts, *prompts),
            goal=about,
            halted=self.halted if halted is None else halted,
            watch=tuple(dict.fromkeys((*self.watch, *([about] if about else [])))),
        )


Term = Callable[[Plot, Draw], Plot]
"""Adds to a plot; the very plot back where it has no place there."""
