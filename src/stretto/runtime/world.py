"""The world and its executor: one control period at a time, commands in the order of their session times.

A command carries the time from which it holds. Before each `apply` the executor takes the commands that are due,
looks at the halt flag (shared memory; the reflex writes it), and asks the skill, if there is one, for its next step. So
a late answer is used from the moment it arrives, and a halt within one control period. Pictures are rendered on demand,
at most one camera a period; film frames are for the spectator and cost no session time.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64

from stretto.core import registry
from stretto.core.clock import Stopwatch
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.protocols import Env, Execution
from stretto.core.signals import Act, ActionChunk, Event, Image, Kind, Observation, SkillRequest
from stretto.runtime.skill import Skill

REFLEX = "reflex"
"""What the text of an event begins with when the reflex halted the arm."""
AFTER_ALARM_S = 0.1
"""A MOVE that comes sooner after an alarm of the reflex was decided before it, and is not obeyed."""


@dataclass(frozen=True)
class Alarm:
    """The reflex heard a word that stops: the arm halts, until the agent moves it again."""

    word: str


Command = ActionChunk | Act | SkillRequest | Alarm


@dataclass(frozen=True, kw_only=True)
class Step:
    """One control period: the action applied at `t`, and the state after it (`proprio`, `success`)."""

    t: float
    action: Float64[np.ndarray, " actions"]
    proprio: Float32[np.ndarray, " proprio"]
    success: bool
    halted: bool


@dataclass(kw_only=True)
class Report:
    """What happened in the world since the last report. `costs`: measured seconds per part (world_step, render)."""

    steps: list[Step] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    film: list[Image] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    costs: list[tuple[str, float]] = field(default_factory=list)
    view: Observation | None = None

    def extend(self, other: "Report") -> None:
        """Append what came later."""
        for name in ("steps", "images", "film", "events", "costs"):
            getattr(self, name).extend(getattr(other, name))
        self.view = other.view or self.view


class World(Configurable):
    """An environment, its executor and, for privileged agents, a skill."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`cameras_hz`: pictures a second per camera for the agent; `film_hz`: for the spectator; 0 is none.
        `camera_turns`: the control period of each camera in a cycle of pictures; () spreads them evenly.

        `expert`: name of the expert behind the skill; empty is none. `env_log` is handed to the dummy world.
        """

        env: str = "libero"
        suite: str = "libero_goal"
        expert: str = "libero_goal"
        execution: str = "latest"
        cameras_hz: float = 0.0
        camera_size: int = 128
        camera_turns: tuple[int, ...] = ()
        film_hz: float = 0.0
        film_size: int = 256
        env_log: str = ""

    def __init__(
        self, config: Config, halt_flag: Callable[[], bool] = lambda: False, alarm: Callable[[], bool] = lambda: False
    ) -> None:
        """`halt_flag` keeps the arm halted as long as it is true; `alarm` is true once for each alarm of the reflex."""
        self.config, self._halt_flag, self._alarm = config, halt_flag, alarm
        self._warm: set[int] = set()
        self.began = False
        extra = {"log": config.env_log} if config.env_log else {}
        self.env: Env = registry.build("env", config.env, suite=config.suite, **extra)
        self.dt = 1.0 / self.env.control_hz
        self.skill: Skill | None = None
        if config.expert:
            expert = registry.build("expert", config.expert)
            self.skill = Skill(expert, self.env.scene, self.env.control_hz)
        self._clear()

    def _clear(self) -> None:
        self._commands: list[tuple[float, int, Command]] = []
        self._count = self.period = 0
        self.slipped = 0.0
        self.halted, self._alarmed_at = False, -1.0
        self._report = Report()
        self.execution: Execution = registry.build("execution", self.config.execution, actions=self.env.actions)

    def reset(self, task: str, seed: int, split: str = "train") -> Report:
        """Begin an episode at session time 0. A running skill and all commands are forgotten."""
        self.env.reset(task, seed, split)
        self.began = True
        self._warm_up()
        if self.skill is not None:
            self.skill.goal = ""
        self._clear()
        return self.take()

    def _warm_up(self) -> None:
        """Make the renderers before time begins: the first picture of a size takes seconds."""
        sizes = {self.config.camera_size: self.config.cameras_hz, self.config.film_size: self.config.film_hz}
        for size in {size for size, hz in sizes.items() if hz} - self._warm:
            self.env.render(self.env.cameras[0], size, size)
            self._warm.add(size)

    @property
    def t(self) -> float:
        """Session time of the next control period."""
        return self.slipped + self.period * self.dt

    def slip(self, to: float) -> None:
        """The world could not keep up: its next period is played at `to`, not late. Time stamps stay true."""
        if to > self.t + self.dt:
            self._note(Kind.DEADLINE_MISSED, to, f"the world slipped by {1000 * (to - self.t):.0f} ms")
            self.slipped += to - self.t

    def post(self, command: Command, at: float) -> None:
        """A command that holds from session time `at` on."""
        heapq.heappush(self._commands, (at, self._count, command))
        self._count += 1

    def advance(self, to: float) -> Report:
        """Play all control periods that begin before session time `to`."""
        while self.t < to - 1e-6:
            self.step()
        return self.take()

    def take(self) -> Report:
        """What happened since the last call, with the present view of the robot on itself."""
        report, self._report = self._report, Report()
        report.view = self.env.observe(images=False)
        return report

    def step(self) -> None:
        """One control period: commands that are due, the halt flag, pictures, the skill, one action."""
        t = self.t
        while self._commands and self._commands[0][0] <= t + 1e-9:
            self._obey(heapq.heappop(self._commands)[2], t)
        if self._alarm():
            self._obey(Alarm(""), t)
        if self._halt_flag() and not self.halted:
            self._obey(Act.HALT, t)
        if self.skill is not None and not self.halted:
            chunk = self.skill.next(t)
            self._report.events += self.skill.events()
            if chunk is not None:
                self.execution.accept(chunk, t)
        self._look(t)
        watch = Stopwatch()
        action = self.execution.action(t)
        self.env.apply(action)
        view, success = self.env.observe(images=False), self.env.success()
        self._report.steps.append(Step(t=t, action=action, proprio=view.proprio, success=success, halted=self.halted))
        self._report.costs.append(("world_step", watch.seconds()))
        self.period += 1

    def _obey(self, command: Command, t: float) -> None:
        if isinstance(command, ActionChunk):
            if not self.halted:
                self._accept(command, t)
        elif isinstance(command, SkillRequest):
            if self.skill is None:
                raise StrettoError(f"This world has no skill: it was built without an expert (asked: {command}).")
            self._report.events += self.skill.request(command, t)
        elif isinstance(command, Alarm):
            self.halted, self._alarmed_at = True, t
            self.execution.halt()
            self._note(Kind.ACTION_HALTED, t, f"{REFLEX}: {command.word}" if command.word else REFLEX)
        elif command is Act.HALT and not self.halted:
            self.halted = True
            self.execution.halt()
            self._note(Kind.ACTION_HALTED, t)
        elif command is Act.MOVE and self.halted and t - self._alarmed_at >= AFTER_ALARM_S - 1e-9:
            self.halted = False
            self._note(Kind.ACTION_RESUMED, t)

    def _accept(self, chunk: ActionChunk, t: float) -> None:
        try:
            self.execution.accept(chunk, t)
        except StrettoError as error:
            self._note(Kind.FAULT, t, str(error))

    def _note(self, kind: Kind, t: float, text: str = "") -> None:
        self._report.events.append(Event(kind=kind, t=t, source="world", text=text))

    def _look(self, t: float) -> None:
        """Render what is due before this period's action: agent cameras by turns, film frames all at once."""
        cameras = self.env.cameras
        every = self._every(self.config.cameras_hz)
        for index, camera in enumerate(cameras):
            turn = self.config.camera_turns[index] if self.config.camera_turns else index * every // len(cameras)
            if every and self.period % every == turn % every:
                watch = Stopwatch()
                image = self.env.render(camera, self.config.camera_size, self.config.camera_size)
                self._report.images.append(Image(camera=camera, t=t, pixels=image.pixels))
                self._report.costs.append(("render", watch.seconds()))
        every = self._every(self.config.film_hz)
        if every and self.period % every == 0:
            for camera in cameras:
                image = self.env.render(camera, self.config.film_size, self.config.film_size)
                self._report.film.append(Image(camera=camera, t=t, pixels=image.pixels))

    def _every(self, hz: float) -> int:
        """Control periods between two pictures."""
        return max(1, round(self.env.control_hz / hz)) if hz else 0

    def judge(self, goal: str) -> bool:
        """The suite's own predicate for any goal of the scene. For scorers; no agent can call it."""
        return self.env.predicate(goal)

    def make_safe(self, periods: int = 20) -> None:
        """Stand still: halt, and zero commands for `periods` control periods (1 s). Before any episode: nothing."""
        if not self.began:
            return
        self._obey(Act.HALT, self.t)
        for _ in range(periods):
            self.env.apply(self.execution.action(self.t))
            self.period += 1

    def close(self) -> None:
        """Release the environment."""
        self.env.close()
