"""Who takes the exam, and the controls, which are arms like any other.

    zero                 does nothing: the floor
    scripted             knows the script and acts by the privileged skill: the upper bound
    cascade              fixed silence ends the turn; rules; privileged skill
    cascade_smart_turn   the same with Smart-Turn's end of turn
    cascade_policy       the same ears and voice, a pixel policy, no simulator state: needs trained weights
    duplex               the learned agent
    commonest            the scripted arm, but every scene question gets its type's commonest answer

A control is an arm with something taken away: `silence` (nobody is heard), `wrong_instruction` (another task's),
`shuffled_images` (pictures of another task's episode), `heard_off` and `heard_wrong` (the stream of heard text is cut,
or another task's words take its place), `silent` (the first line only, so that what speaking costs is measured on equal
init states: row `twin_success`), `read` (the last line alone, typed: what the same weights know when they need not
hear). Controls are made of a base arm: `silence:cascade`; the bare name means `duplex`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stretto.bench.duplex.scenario import Case, Sheet
from stretto.core.errors import StrettoError, unknown
from stretto.core.protocols import Context, Voice
from stretto.core.signals import Image, Observation, Output, Sound, Speech
from stretto.sessions.prompted import Prompted
from stretto.sessions.users.director import Director, Prompt


class Shown:
    """An agent that is shown the pictures of another episode in place of its own, in their order."""

    def __init__(self, agent: Any, images: tuple[Image, ...]) -> None:
        self.agent, self.images, self.privileged = agent, images, agent.privileged
        self._next = 0

    def start(self, context: Context) -> Any:
        """Begin with the first picture."""
        self._next = 0
        return self.agent.start(context)

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]:
        """The agent's step on the other episode's pictures, with this episode's times."""
        shown = []
        for image in obs.images:
            other = self.images[min(self._next, len(self.images) - 1)]
            shown.append(Image(camera=image.camera, t=image.t, pixels=other.pixels))
            self._next += 1
        return self.agent.step(replace(obs, images=tuple(shown)), state)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """An arm: `agent(director)` makes its agent for one episode; `alter` changes what it will meet.

    `cameras_hz`, `camera_turns`: pictures a second per camera that it needs, and when (runtime/world.py).
    """

    name: str
    privileged: bool
    agent: Callable[[Director], Any]
    alter: Callable[[Case, Sheet], Sheet] = lambda case, sheet: sheet
    cameras_hz: float = 0.0
    camera_turns: tuple[int, ...] = ()
    shuffled: bool = False


def _zero(name: str, voice: Voice) -> Arm:
    from stretto.agents.zero import Zero

    agent = Zero.Config().build()
    return Arm(name=name, privileged=False, agent=lambda director: agent)


def _scripted(name: str, voice: Voice) -> Arm:
    return Arm(name=name, privileged=True, agent=lambda director: Prompted(director, voice))


def _commonest(name: str, voice: Voice) -> Arm:
    def alter(case: Case, sheet: Sheet) -> Sheet:
        common = sheet.facts.get("commonest", "")
        prompts = [
            replace(p, reaction=replace(p.reaction, say=p.reaction.answers[common], answers={}))
            if p.reaction.answers
            else p
            for p in sheet.prompts
        ]
        return replace(sheet, prompts=prompts)

    return replace(_scripted(name, voice), alter=alter)


def _cascade(name: str, voice: Voice) -> Arm:
    from stretto.agents.cascade import Cascade

    agent = Cascade.Config().build()
    return Arm(name=name, privileged=True, agent=lambda director: agent)


def _smart_turn(name: str, voice: Voice) -> Arm:
    from stretto.agents.cascade import Cascade
    from stretto.listen.turns.smart_turn import SmartTurn

    agent = Cascade.Config(turns=SmartTurn.Config()).build()
    return Arm(name=name, privileged=True, agent=lambda director: agent)


def _cascade_policy(name: str, voice: Voice) -> Arm:
    from stretto.agents.cascade_policy import CascadePolicy

    return _unprivileged(name, CascadePolicy.Config().build())


def _duplex(name: str, voice: Voice) -> Arm:
    from stretto.agents.duplex import Duplex

    return _unprivileged(name, Duplex.Config().build())


def _unprivileged(name: str, agent: Any) -> Arm:
    """An agent that sees through cameras."""
    return Arm(
        name=name,
        privileged=agent.privileged,
        agent=lambda director: agent,
        cameras_hz=agent.cameras_hz,
        camera_turns=agent.camera_turns,
    )


ARMS: dict[str, Callable[[str, Voice], Arm]] = {
    "zero": _zero,
    "scripted": _scripted,
    "commonest": _commonest,
    "cascade": _cascade,
    "cascade_smart_turn": _smart_turn,
    "cascade_policy": _cascade_policy,
    "duplex": _duplex,
}


def open_arm(name: str, voice: Voice) -> Arm:
    """The arm or control of a name. Raises StrettoError for an unknown one, and for one that cannot run yet."""
    control, _, base = name.partition(":")
    if control in CONTROLS:
        return CONTROLS[control](replace(open_arm(base or "duplex", voice), name=name))
    if name not in ARMS:
        raise unknown("arm", name, [*ARMS, *CONTROLS])
    return ARMS[name](name, voice)


# controls


def _muted(speech: Speech) -> Speech:
    sound = Sound(samples=np.zeros_like(speech.sound.samples), rate=speech.sound.rate)
    return replace(speech, sound=sound)


def _silence(arm: Arm) -> Arm:
    def alter(case: Case, sheet: Sheet) -> Sheet:
        return replace(sheet, prompts=[replace(p, speech=_muted(p.speech)) for p in sheet.prompts])

    return replace(arm, alter=alter)


def _wrong_instruction(arm: Arm) -> Arm:
    def alter(case: Case, sheet: Sheet) -> Sheet:
        def wrong(prompt: Prompt) -> Prompt:
            if not prompt.reaction.goal:
                return prompt
            goal = other_goal(case, prompt.reaction.goal)
            return replace(prompt, speech=case.line("instruct", "wrong", goal=goal))

        return replace(sheet, prompts=[wrong(prompt) for prompt in sheet.prompts])

    return replace(arm, alter=alter)


def other_goal(case: Case, goal: str) -> str:
    """Another of the ten tasks, by the seed."""
    return str(case.pick([task for task in case.tasks if task != goal], "other", goal))


def _silent(arm: Arm) -> Arm:
    return replace(arm, alter=lambda case, sheet: replace(arm.alter(case, sheet), prompts=list(sheet.prompts[:1])))


def _read(arm: Arm) -> Arm:
    def alter(case: Case, sheet: Sheet) -> Sheet:
        sheet = arm.alter(case, sheet)
        typed = replace(sheet.prompts[-1], typed=True, when=None)
        return replace(sheet, prompts=[typed], end_goal="", limit_s=sheet.least_s)

    return replace(arm, alter=alter)


def _shuffled_images(arm: Arm) -> Arm:
    return replace(arm, shuffled=True)


def _heard(wrong: bool) -> Callable[[Arm], Arm]:
    def control(arm: Arm) -> Arm:
        def agent(director: Director) -> Any:
            made = arm.agent(director)
            if not hasattr(made, "with_heard"):
                raise StrettoError(
                    f"The control '{arm.name}' needs an agent with a stream of heard text (a method `with_heard`); "
                    f"{type(made).__name__} has none."
                )
            asked = {prompt.reaction.goal for prompt in director.prompts}
            other = next(task for task in director.world.env.tasks if task not in asked)
            return made.with_heard(f"{other}." if wrong else "")

        return replace(arm, agent=agent)

    return control


CONTROLS: Mapping[str, Callable[[Arm], Arm]] = {
    "silence": _silence,
    "wrong_instruction": _wrong_instruction,
    "silent": _silent,
    "read": _read,
    "shuffled_images": _shuffled_images,
    "heard_off": _heard(wrong=False),
    "heard_wrong": _heard(wrong=True),
}
