"""The world in a process of its own, reached by a pipe.

On the virtual clock it moves only when told (`advance`). On the wall clock it paces itself at the control rate, sends a
report after each period, and takes commands between periods. The halt flag lies in shared memory. When the owner goes
away, however it dies, the pipe ends: the arm is halted and stands still for a second before the process exits.
"""

import contextlib
import multiprocessing
import signal
import traceback
from multiprocessing.connection import Connection
from typing import Any

from stretto.core.clock import WallClock
from stretto.core.errors import StrettoError
from stretto.runtime.world import Command, Report, World


class WorldProcess:
    """The same methods as `World`, played in a child process. Use as a context manager."""

    def __init__(self, config: World.Config) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._flag = spawn.Value("b", 0, lock=False)
        self._pipe, child = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(config, child, self._flag), daemon=True)
        self._process.start()
        child.close()
        self._wall = False
        self._reported = Report()
        self._answer: Any
        self._take_one()
        facts: tuple[float, tuple[str, ...], int, tuple[str, ...]] = self._answer
        self.dt, self.tasks, self.actions, self.cameras = facts

    def reset(self, task: str, seed: int, split: str = "train") -> Report:
        """Begin an episode; the world stands until `go` or `advance`."""
        self.halt_flag(False)
        self._wall = False
        report = self._call("reset", task, seed, split)
        self._reported = Report()
        return report

    def go(self, epoch: float) -> None:
        """From now on pace itself on the wall clock whose session time 0 is machine time `epoch`."""
        self._call("go", epoch)
        self._wall = True

    def post(self, command: Command, at: float) -> None:
        """A command that holds from session time `at` on."""
        self._pipe.send(("post", (command, at)))

    def advance(self, to: float) -> Report:
        """Virtual clock: play up to `to`. Wall clock: what the world has reported by now."""
        if not self._wall:
            return self._call("advance", to)
        while self._pipe.poll():
            self._take_one()
        report, self._reported = self._reported, Report()
        return report

    def judge(self, goal: str) -> bool:
        """The suite's own predicate for any goal of the scene, for scorers."""
        return self._call("judge", goal)

    def halt_flag(self, on: bool = True) -> None:
        """Halt before the next `apply`, without waiting for a message to be read."""
        self._flag.value = int(on)

    @property
    def pid(self) -> int | None:
        """Process number of the world."""
        return self._process.pid

    def _call(self, verb: str, *args: Any) -> Any:
        try:
            self._pipe.send((verb, args))
        except (BrokenPipeError, OSError) as error:
            raise StrettoError("The world process has ended; the session cannot go on.") from error
        while not self._take_one():
            pass
        return self._answer

    def _take_one(self) -> bool:
        """Read one message: a report of the self-paced world is kept, an answer (True) stands in `_answer`."""
        try:
            kind, content = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise StrettoError("The world process ended without an answer; its own message stands above.") from error
        if isinstance(content, BaseException):
            raise content
        if kind == "report":
            self._reported.extend(content)
            return False
        self._answer = content
        return True

    def close(self) -> None:
        """Halt the arm and end the process."""
        with contextlib.suppress(BrokenPipeError, OSError):
            self._pipe.send(("close", ()))
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def __enter__(self) -> "WorldProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(config: World.Config, pipe: Connection, flag: Any) -> None:
    """The child's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner; its going away halts the arm
    try:
        world = World(config, halt_flag=lambda: bool(flag.value))
    except Exception as error:  # the edge of the process: whatever it is, the owner must hear of it
        pipe.send(("answer", _told(error, "the world could not be built")))
        return
    pipe.send(("answer", (world.dt, world.env.tasks, world.env.actions, world.env.cameras)))
    try:
        _Loop(world, pipe).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        world.make_safe()
        world.close()


class _Loop:
    """Takes messages; on the wall clock it plays a control period whenever one is due."""

    def __init__(self, world: World, pipe: Connection) -> None:
        self.world, self.pipe = world, pipe
        self.clock: WallClock | None = None
        self.open = True

    def run(self) -> None:
        while self.open:
            if self.clock is None:
                self.handle()
                continue
            left = self.world.t - self.clock.now()
            if self.pipe.poll(max(0.0, left)):
                self.handle()
                continue
            self.world.slip(self.clock.now())
            self.world.step()
            self.pipe.send(("report", self.world.take()))

    def handle(self) -> None:
        verb, args = self.pipe.recv()
        if verb == "close":
            self.open = False
        elif verb == "post":
            self.world.post(*args)
        elif verb == "go":
            self.clock = WallClock(*args)
            self.pipe.send(("answer", None))
        else:
            if verb == "reset":
                self.clock = None
            self.pipe.send(("answer", self._answer(verb, args)))

    def _answer(self, verb: str, args: tuple[Any, ...]) -> Any:
        try:
            return getattr(self.world, verb)(*args)
        except Exception as error:  # the edge of the process: whatever it is, the owner must hear of it
            return _told(error, f"the world failed in {verb}{args}")


def _told(error: Exception, what: str) -> StrettoError:
    """The error as one that a user reads; what was not meant for users comes with its traceback."""
    if isinstance(error, StrettoError):
        return error
    return StrettoError(f"{what}: {error!r}\n{''.join(traceback.format_exception(error))}")
