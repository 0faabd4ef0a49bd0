"""Card "render": one picture by the fast path against the suite's own camera observable, same size, same states.

Each arm has a process of its own, as it would have in use, so that neither pays for the other's place in the caches nor
gets its settings: the suite's arm runs with the renderer's defaults. Both are put into the same simulator state, take
one picture to be warm and one to be timed, in an order drawn per trial. The suite's arm calls the camera sensor that
the suite itself calls at every control step. Pictures differ by a few grey levels (envs/pictures.py); the card is about
time only.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from stretto.bench.card import Trial
from stretto.core.rng import generator
from stretto.envs.libero import Libero
from stretto.envs.pictures import GL_SETTINGS

SIZE = 128
CAMERAS = {"front": "agentview", "wrist": "robot0_eye_in_hand"}


@dataclass
class Painters:
    """The world that moves, and the two processes that take pictures of its states."""

    world: Libero
    pipes: dict[str, Connection]
    processes: list[Any]


class Render:
    """60 moments of random motion, both cameras by turns."""

    name = "render"
    clock = "wall"
    parallel = False
    seconds_per_trial = 0.5

    def trials(self, n: int | None) -> list[Trial]:
        """One trial per moment."""
        return [Trial(f"moment{i}", {"unit": i}) for i in range(n or 60)]

    def open(self) -> Painters:
        """Start both painters and wait until each has taken its first pictures."""
        world = Libero.Config(image_size=SIZE).build()
        world.reset("8", 0, "dev")
        spawn, pipes, processes = multiprocessing.get_context("spawn"), {}, []
        for arm, painter in (("fast", _fast), ("suite", _suite)):
            pipes[arm], child = spawn.Pipe()
            processes.append(spawn.Process(target=_paint, args=(painter, child), daemon=True))
            processes[-1].start()
            for camera in CAMERAS:
                pipes[arm].send((camera, world.state()))
                pipes[arm].recv()
        return Painters(world, pipes, processes)

    def run(self, trial: Trial, state: Painters) -> list[dict[str, Any]]:
        """Move on a little, then time one picture each of the same state."""
        unit = trial.params["unit"]
        rng = generator(0, "render", unit)
        for _ in range(3):
            state.world.apply(rng.uniform(-0.5, 0.5, 7))
        camera, rows = list(CAMERAS)[unit % 2], []
        for arm in rng.permutation(list(state.pipes)):
            state.pipes[str(arm)].send((camera, state.world.state()))
            seconds = state.pipes[str(arm)].recv()
            rows.append(
                {"row": "image_s", "arm": str(arm), "unit": unit, "seed": 0, "value": seconds, "camera": camera}
            )
        return rows

    def close(self, state: Painters) -> None:
        """End both processes."""
        for pipe, process in zip(state.pipes.values(), state.processes, strict=True):
            pipe.send(None)
            process.join(timeout=10)
        state.world.close()


Paint = Callable[[str], Any]
Put = Callable[[np.ndarray], None]


def _paint(painter: Callable[[], tuple[Put, Paint]], pipe: Connection) -> None:
    """A process's life: put the world into a state, one picture to be warm, one to be timed."""
    put, paint = painter()
    while (job := pipe.recv()) is not None:
        camera, state = job
        put(state)
        paint(camera)
        start = time.perf_counter()
        picture = np.asarray(paint(camera))
        seconds = time.perf_counter() - start
        assert picture.shape[:2] == (SIZE, SIZE)
        pipe.send(seconds)


def _fast() -> tuple[Put, Paint]:
    world = Libero.Config(image_size=SIZE).build()
    world.reset("8", 0, "dev")
    return world.put, lambda camera: world.render(camera, SIZE, SIZE).pixels


def _suite() -> tuple[Put, Paint]:
    from libero.libero.envs.env_wrapper import OffScreenRenderEnv

    world = Libero.Config().build()
    world.reset("8", 0, "dev")
    for name in GL_SETTINGS:
        os.environ.pop(name, None)  # the renderer's own defaults, read when the suite makes its context
    env = OffScreenRenderEnv(
        bddl_file_name=str(world.task_file), camera_heights=SIZE, camera_widths=SIZE, ignore_done=True
    )
    env.seed(0)
    env.reset()
    sensors = {ours: env.env._observables[f"{theirs}_image"]._sensor for ours, theirs in CAMERAS.items()}

    def put(state: np.ndarray) -> None:
        env.env.sim.set_state_from_flattened(state)
        env.env.sim.forward()

    return put, lambda camera: sensors[camera]({})
