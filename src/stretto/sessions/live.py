"""One session from names: which world, which agent, which clock. What `stretto run` and `stretto demo` call."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stretto.core import registry
from stretto.core.clock import make_clock
from stretto.core.errors import StrettoError, unknown
from stretto.core.protocols import Observer, User
from stretto.core.signals import Act
from stretto.runtime.delays import NoDelays, from_card
from stretto.runtime.process import WorldProcess
from stretto.runtime.reflex import Reflex, ReflexProcess
from stretto.runtime.world import World
from stretto.sessions.door import Door, Visitor
from stretto.sessions.session import Session
from stretto.sessions.trace import Trace

ENV_OF_SUITE = {"dummy": "dummy"}
"""Suites that are not LIBERO's."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a session is made of. `task` is SUITE:NUMBER; `delays` scales the latency card's draws (virtual clock).

    `flight`: a file for the session's last seconds, for `stretto run --replay`; empty is none unless there is a fault.
    `reflex`: a word such as "stop" halts the arm before the agent knows of it (runtime/reflex.py).
    """

    task: str = "libero_goal:8"
    agent: str = "cascade"
    clock: str = "virtual"
    delays: float = 1.0
    seed: int = 0
    split: str = "dev"
    seconds: float = 60.0
    cameras_hz: float = 0.0
    film_hz: float = 0.0
    film_size: int = 320
    camera_size: int = 128
    flight: str = ""
    reflex: bool = True

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.delays < 0 or self.seed < 0:
            raise StrettoError(
                f"Expected seconds above 0, delays and seed of at least 0, "
                f"got {self.seconds}, {self.delays}, {self.seed}."
            )


def split_task(task: str) -> tuple[str, str]:
    """`libero_goal:8` -> ("libero_goal", "8"). Raises StrettoError when it is not of that form."""
    suite, sign, number = task.partition(":")
    if not sign or not number.isdigit():
        raise StrettoError(f"Expected a task as SUITE:NUMBER, such as libero_goal:8, got '{task}'.")
    return suite, number


def suite_tasks(task: str) -> tuple[str, ...]:
    """The sentences of all tasks of a SUITE:NUMBER's suite. Raises StrettoError for an unknown suite."""
    suite, _ = split_task(task)
    return tuple(registry.build("env", ENV_OF_SUITE.get(suite, "libero"), suite=suite).tasks)


def world_config(live: Live, privileged: bool, camera_turns: tuple[int, ...] = ()) -> World.Config:
    """The world of a session; it has a skill only for an agent that declares it, and cameras when the agent wants."""
    suite, _ = split_task(live.task)
    env = ENV_OF_SUITE.get(suite, "libero")
    experts = registry.names("expert")
    if privileged and suite not in experts:
        close = unknown("suite with an expert", suite, experts)
        raise StrettoError(f"Agent '{live.agent}' acts by an expert, and there is none for '{suite}'. {close}")
    return World.Config(
        env=env,
        suite=suite,
        expert=suite if privileged else "",
        cameras_hz=live.cameras_hz,
        camera_size=live.camera_size,
        camera_turns=camera_turns,
        film_hz=live.film_hz,
        film_size=live.film_size,
    )


def run_live(
    live: Live,
    user: User,
    agent: Any = None,
    observers: Sequence[Observer] = (),
    until: Callable[[Trace], bool] = lambda trace: False,
) -> Trace:
    """Run one session with the world in a process of its own. Whatever ends it, the arm is halted first."""
    agent = agent or registry.build("agent", live.agent)
    clock = make_clock(live.clock)
    delays = from_card(factor=live.delays, seed=live.seed) if live.clock == "virtual" else NoDelays()
    live = replace(live, cameras_hz=max(live.cameras_hz, getattr(agent, "cameras_hz", 0.0)))
    config = world_config(live, agent.privileged, getattr(agent, "camera_turns", ()))
    with WorldProcess(config) as world, reflex_of(live, world) as reflex:
        session = Session.Config(cancel=True).build(world, agent, clock, delays, observers, None, reflex)
        _, number = split_task(live.task)
        trace = session.run(user, number, live.seed, live.split, live.seconds, until)
        if live.flight:
            session.recorder.write(Path(live.flight))
        return trace


@contextmanager
def reflex_of(live: Live, world: World | WorldProcess) -> Iterator[Reflex | ReflexProcess | None]:
    """The reflex of a session: on the wall clock a process that raises the world's flag; None where it is off."""
    if not live.reflex:
        yield None
    elif live.clock == "wall":
        assert isinstance(world, WorldProcess)
        with ReflexProcess(Reflex.Config(), world.flag) as process:
            yield process
    else:
        yield Reflex.Config().build()


VOICE_RATE = 24_000
"""Samples a second of the voice of a session with a door: what realtime clients expect."""
FOREVER_S = 1e9
"""Length of a session that ends only when its door is closed."""


def run_open(
    live: Live, world: WorldProcess, agent: Any, visitor: Visitor, door: Door, reflex: ReflexProcess | None = None
) -> Trace:
    """A session on the wall clock that a person visits through `door`, until it is closed; the arm is then halted.

    `world` and `reflex`, which raises that world's flag, may be used again. Raises SessionFault as `Session.run` does.
    """
    clock, config = make_clock("wall"), Session.Config(voice_rate=VOICE_RATE)
    session = config.build(world, agent, clock, NoDelays(), (), door, reflex)
    _, number = split_task(live.task)
    try:
        return session.run(visitor, number, live.seed, live.split, live.seconds)
    finally:
        world.post(Act.HALT, 0.0)


def writable(folder: Path) -> Path:
    """The output folder, made if need be. Raises StrettoError before the session when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"\0" * 65_536)
        probe.unlink()
    except OSError as error:
        raise StrettoError(
            f"Cannot write to '{folder}': {error.strerror}. Choose another folder with --out."
        ) from error
    return folder
