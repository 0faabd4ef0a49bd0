"""A world that a scorer watches: the truth after each control period, arranged before the episode begins.

`Watched` is a `World` whose truth never crosses to the agent: it stays in this object, which scorers, the simulated
person (who sees the robot) and privileged arms hold. An `Arrangement` hides or moves things, or opens a drawer, after
the reset, so that a sentence that is valid in one scene is not in another.

Needs: the LIBERO-Goal scene for what is held; other worlds have goals only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stretto.envs.experts.libero_goal.motion import BOTTLE, BOWL, CABINET, CHEESE, PLATE, Hand, shifted
from stretto.envs.libero_scene import Scene
from stretto.runtime.world import Report, Step, World

THINGS = {"bowl": BOWL, "cream cheese": CHEESE, "wine bottle": BOTTLE, "plate": PLATE, "stove": "flat_stove_1"}
"""What can be hidden, by its spoken name."""
_GRASPED = (BOWL, CHEESE, BOTTLE)
_OPEN_M = -0.16

Answer = Callable[[Any], str]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The world at `t`, the end of a control period.

    `holds`: the watched goals whose predicate is true. `held`: the object in the hand, or "". `height`: metres between
    the touched object's lowest point and what is under it. `contact`: both fingers touch something. `answer`: the true
    answer to the episode's question, as a key of scene.py.
    """

    t: float
    holds: frozenset[str] = frozenset()
    held: str = ""
    height: float = 0.0
    contact: bool = False
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """`hidden` things, things put `at` a place (plate, stove, cabinet, bowl), an `opened` drawer. Spoken names."""

    hidden: tuple[str, ...] = ()
    at: Mapping[str, str] = field(default_factory=dict)
    opened: str = ""

    @property
    def empty(self) -> bool:
        """Nothing is changed."""
        return not (self.hidden or self.at or self.opened)


def spot(scene: Scene, thing: str, place: str) -> tuple[float, ...]:
    """Where the origin of a thing goes so that it comes to rest at a place (m)."""
    x, y, z = {
        "plate": lambda: shifted(scene.position(PLATE), 0, 0, 0.01),
        "stove": lambda: shifted(scene.site("flat_stove_1_cook_region"), 0, 0, 0.012),
        "cabinet": lambda: shifted(scene.site(f"{CABINET}_top_side"), 0, 0.02, 0.012),
        "bowl": lambda: shifted(scene.position(BOWL), 0, 0, 0.03),
    }[place]()
    return float(x), float(y), float(z) + (0.012 if thing == "cream cheese" else 0.0)


class Watched(World):
    """A world with its truth. `goals`: those that are watched; `answer`: the true answer to the episode's question."""

    def __init__(self, config: World.Config) -> None:
        super().__init__(config)
        self.watch((), Arrangement())

    def watch(self, goals: tuple[str, ...], arrangement: Arrangement, answer: Answer | None = None) -> None:
        """What to look at in the next episode, and how to arrange its scene."""
        self.goals, self.arrangement, self.answer = goals, arrangement, answer
        self.truth: list[Truth] = []
        self.path: list[tuple[float, Any]] = []
        self.steps: list[Step] = []

    def reset(self, task: str, seed: int, split: str = "train") -> Report:
        """Begin an episode: reset, arrange, look."""
        report = super().reset(task, seed, split)
        self.truth, self.path, self.steps = [], [], []
        if not self.arrangement.empty:
            self._arrange()
            report = self.take()
        self._look_at(0.0)
        return report

    def step(self) -> None:
        """One control period and the truth after it."""
        super().step()
        self.steps.append(self._report.steps[-1])
        self._look_at(self.t)

    def _arrange(self) -> None:
        env: Any = self.env
        scene, order = env.scene(), self.arrangement
        places: dict[str, tuple[float, ...]] = {THINGS[name]: () for name in order.hidden}
        places |= {THINGS[thing]: spot(scene, thing, place) for thing, place in order.at.items()}
        joints = {f"{CABINET}_{order.opened}_level": _OPEN_M} if order.opened else {}
        env.arrange(places, joints)

    def _look_at(self, t: float) -> None:
        scene = self.env.scene()
        state = Truth(t=t, holds=frozenset(goal for goal in self.goals if self.env.predicate(goal)))
        if isinstance(scene, Scene):
            state = self._hand(scene, state)
        if self.answer is not None:
            state = replace(state, answer=self.answer(scene))
        self.truth.append(state)
        self.path.append((t, self.env.observe(images=False).proprio[:3].copy()))

    def _hand(self, scene: Scene, state: Truth) -> Truth:
        """What is in the hand: held by the grip, or held before and still touched by the gripper."""
        hand = Hand(scene)
        before = self.truth[-1].held if self.truth else ""
        held = hand.held or ""
        if not held and before and any(a == before and b.startswith("gripper0") for a, b in scene.contacts()):
            held = before
        height = scene.clearance(held) if held in _GRASPED else 0.0
        return replace(state, held=held, height=height, contact=bool(hand.between) or bool(held))


def moved(world: Watched, since: float) -> float:
    """How far (m) the end-effector is from where it was at `since`."""
    first = next((place for t, place in world.path if t >= since - 1e-9), None)
    return 0.0 if first is None else float(((world.path[-1][1] - first) ** 2).sum() ** 0.5)
