"""Scenes without sound: moments of a task as the cameras show them, and what is asked about them, in words alone.

What is in a picture can be learned from a picture, so such sessions cost neither a voice nor the seconds between two
moments: the expert carries out a task, and here and there the world is looked at and something is asked. The words
stand in the heard stream as a perfect ear would write them (as in dialogues.py).

Two kinds: a scene in which anything may be true and the arm is about a task, with questions, from which nothing is
learned about the arm; and one in which a thing is hidden, with tasks that cannot be met for it or nowhere, to be
refused by an arm that stands, and tasks that can, to which nothing is said and the arm should begin to move (it is
shown standing; the task is taken for done when the next one is told).

Fresh placements, the composer's wordings. Needs LIBERO; privileged.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.rng import derive
from stretto.data import questions
from stretto.envs.experts.libero_goal import LiberoGoalExpert
from stretto.envs.experts.libero_goal.answers import answer
from stretto.runtime.world import World
from stretto.sessions import scene as asked
from stretto.sessions.composer.compose import EVERY
from stretto.sessions.composer.terms.defective import NEEDS, impossible
from stretto.sessions.watched import THINGS, Arrangement, Watched
from stretto.train.acting.contexts import encode
from stretto.train.duplex.dialogues import Words, after, line_of
from stretto.train.duplex.session import Session

PLACES = {"bowl": ("plate", "stove", "cabinet"), "cream cheese": ("plate", "stove", "bowl"),
          "wine bottle": ("plate", "stove", "cabinet")}  # fmt: skip
"""Where a thing may lie beside the table."""
LEVELS = ("top", "middle", "bottom")
USUAL = ("table", "nothing", "none")
"""Answers about a scene as it is placed."""
OVER_S = 0.3
"""How long before the next line a task is taken for done."""
OF_THE_TASK = ("I am going to", "I am not doing")
"""What answers begin with that depend on what was asked for before."""


class Scenes(Configurable):
    """Makes sessions from seeds."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`hidden`: share of scenes that lack a thing, `impossible`: of what is told there the share that can be met
        nowhere. `elsewhere`: share of things that lie elsewhere in the others, and of scenes with an open drawer.
        `moments` of a scene; up to `between` control steps from one to the next.
        `typed`: share of questions of the types with a few answers, `notable`: of those, about what is not as usual."""

        split: str = "train"
        hidden: float = 0.5
        impossible: float = 0.25
        elsewhere: float = 0.5
        moments: int = 5
        between: int = 45
        typed: float = 0.75
        notable: float = 0.6
        width: int = 1
        tick_s: float = 0.2

    def __init__(self, config: Config) -> None:
        self.config, self.expert = config, LiberoGoalExpert()
        self.world = Watched(World.Config())

    def session(self, seed: int) -> Session:
        """The session of a seed."""
        draw = Words(derive(seed, "scene", self.config.split), self.config.split)
        lacks = draw.pick(list(THINGS), "hidden") if draw.chance(self.config.hidden, "lacks") else ""
        goal = draw.pick(draw.tasks, "goal")
        self.world.watch((), Arrangement(hidden=(lacks,)) if lacks else self._arranged(draw))
        self.world.reset(goal, derive(draw.seed, "placement") % 2**31, self.config.split)
        lines, views, proprio, starts = [], [], [], []
        finished: list[float] = []
        t = draw.between(0.2, 0.8, "begin")
        for number in range(self.config.moments):
            if not lacks and number:
                self._act(goal, draw.rng("steps", number))
            text, says, role = self._told(draw, number, lacks) if lacks else self._question(draw, number)
            seen = self.world.env.observe(images=True)
            views.append([encode(image.pixels) for image in sorted(seen.images, key=lambda image: image.camera)])
            proprio.append(seen.proprio)
            starts.append(t)
            lines.append(line_of(role, text, t, says, moves=role == "instruct"))
            t = after(lines[-1], draw.between(1.5, 2.5, "rest", number))
            finished += [t - OVER_S] * lines[-1].moves
        ticks = int(t / self.config.tick_s) + 2
        pictured = range(0, ticks, EVERY)
        at = [max(0, int(np.searchsorted(starts, tick * self.config.tick_s, "right")) - 1) for tick in pictured]
        return Session(
            features=np.zeros((ticks, 0, self.config.width), np.float16),
            playback=np.zeros((ticks, 3), np.float32),
            pictured=tuple(pictured),
            jpegs=tuple(view for k in at for view in views[k]),
            proprio=np.stack([proprio[k] for k in at]).astype(np.float32),
            lines=tuple(lines),
            finished=tuple(finished),
            tick_s=self.config.tick_s,
            terms=("lacking" if lacks else "scene",),
            seed=seed,
        )

    def _arranged(self, draw: Words) -> Arrangement:
        """Things lie elsewhere, each in another place; a drawer may be open."""
        at: dict[str, str] = {}
        for thing, places in PLACES.items():
            free = [place for place in places if place not in at.values() and place not in at]
            if free and draw.chance(self.config.elsewhere, thing):
                at[thing] = draw.pick(free, thing, "place")
        opened = draw.pick(LEVELS, "level") if draw.chance(self.config.elsewhere, "open") else ""
        return Arrangement(at=at, opened=opened)

    def _act(self, goal: str, rng: np.random.Generator) -> None:
        """Some control steps of the task, as long as it is not done."""
        env: Any = self.world.env
        for _ in range(int(rng.integers(self.config.between + 1))):
            scene = env.scene()
            if self.expert.done(scene, goal):
                return
            env.apply(np.asarray(self.expert.act(scene, goal), np.float64))

    def _question(self, draw: Words, number: int) -> tuple[str, str, str]:
        """What is asked about the scene as it is now, the answer, and the role."""
        scene: Any = self.world.env.scene()
        true = [(kind, key) for kind in asked.KINDS if (key := asked.truth(kind, scene))]
        notable = [(kind, key) for kind, key in true if key not in USUAL]
        if not draw.chance(self.config.typed, "typed", number):
            saying = draw.saying("ask_scene", number)
            says = answer(scene, saying.topic or saying.text)
            if not says.startswith(OF_THE_TASK):
                return saying.text, says, "ask_scene"
        special = bool(notable) and draw.chance(self.config.notable, "notable", number)
        kind, key = draw.pick(notable if special else true, "asked", number)
        text = draw.pick(questions.scene(kind, draw.split), "wording", number)
        return text, asked.KINDS[kind].sentences[key], "ask_scene"

    def _told(self, draw: Words, number: int, lacks: str) -> tuple[str, str, str]:
        """A task that needs what is not there, one that does not, or one that can be met nowhere."""
        if draw.chance(self.config.impossible, "impossible", number):
            said, says = impossible(draw, number)
            return (said if isinstance(said, str) else said.text), says, "defective"
        without = draw.chance(0.5, "without", number)
        goal = draw.pick([goal for goal in draw.tasks if (lacks in NEEDS.get(goal, ())) == without], "told", number)
        says = f"I cannot do that, there is no {lacks} here." if without else ""
        return draw.saying("instruct", number, goal=goal).text, says, "defective" if without else "instruct"

    def close(self) -> None:
        """End the world."""
        self.world.close()
