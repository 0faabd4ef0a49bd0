"""The world in a process of its own, reached by a pipe.

On the virtual clock it moves only when told (`advance`). On the wall clock it paces itself at the control rate, sends a
report after each period, and takes commands between periods. The halt flag lies in shared memory. When the owner goes
away, however it dies, the pipe ends: the arm is halted and stands still for a second before the process exits.
"""

import contextlib
import ctypes
import multiprocessing
import signal
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from stretto.core.clock import WallClock
from stretto.core.errors import StrettoError
from stretto.runtime import cores
from stretto.runtime.world import Command, Report, World


class WorldProcess:
    """The same methods as `World`, played in a child process. Use as a context manager.

    Two bytes in shared memory halt the arm before its next control period: the flag of the reflex, an alarm each time,
    and the `latch` of the stop button, which stays until it is let go. The latch may be made outside (`latch`) and
    handed in, so that whoever holds it needs nobody's attention to halt the arm.
    """

    def __init__(self, config: World.Config, latch: Any = None) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._flag = spawn.Value("b", 0, lock=False)
        self._latch = latch if latch is not None else make_latch()
        self._pipe, child = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(config, child, self._flag, self._latch), daemon=True)
        with _interrupts_blocked():
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

    def go(self, epoch: float, aside: bool = False) -> None:
        """From now on pace itself on the wall clock whose session time 0 is machine time `epoch`; `aside`: on other
        cores than the agent's (runtime/cores.py).
        """
        self._call("go", epoch, aside)
        self._wall = True

    def post(self, command: Command, at: float) -> None:
        """A command that holds from session time `at` on."""
        self._send("post", command, at)

    def _send(self, verb: str, *args: Any) -> None:
        try:
            self._pipe.send((verb, args))
        except (BrokenPipeError, OSError) as error:
            raise StrettoError("The world process has ended; the session cannot go on.") from error

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
        """Halt before the next `apply`, without waiting for a message to be read. The world takes the flag down; the
        arm stands until it is moved.
        """
        self._flag.value = int(on)

    @property
    def flag(self) -> Any:
        """The reflex's byte in shared memory: 1 is an alarm, and the world puts it back to 0."""
        return self._flag

    def latch(self, on: bool = True) -> None:
        """The stop button: as the halt flag, and it stays through resets until it is let go."""
        self._latch.value = int(on)

    @property
    def pid(self) -> int | None:
        """Process number of the world."""
        return self._process.pid

    def _call(self, verb: str, *args: Any) -> Any:
        self._send(verb, *args)
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


def make_latch() -> Any:
    """A byte in shared memory that halts every arm whose world process was given it, as long as it is not 0."""
    return multiprocessing.get_context("spawn").Value("b", 0, lock=False)


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, even by `kill -9`. Linux only; elsewhere nothing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A child that is started inside never sees Ctrl-C: that is for the owner, whose going away halts the arm."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _serve(config: World.Config, pipe: Connection, flag: Any, latch: Any) -> None:
    """The child's whole life."""
    out = _Sender(pipe)
    try:
        world = World(config, halt_flag=lambda: bool(latch.value), alarm=lambda: _taken(flag))
    except Exception as error:  # the edge of the process: whatever it is, the owner must hear of it
        out.answer(_told(error, "the world could not be built"))
        out.close()
        return
    out.answer((world.dt, tuple(world.env.tasks), world.env.actions, tuple(world.env.cameras)))
    try:
        _Loop(world, pipe, out).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except Exception as error:  # the edge of the process
        out.answer(_told(error, "the world failed"))
    finally:
        world.make_safe()
        world.close()
        out.close()


def _taken(flag: Any) -> bool:
    """Whether the flag was up; it is down now. One that is raised in between is of the same moment."""
    up = bool(flag.value)
    if up:
        flag.value = 0
    return up


class _Sender:
    """Sends from a thread of its own, so that an owner who does not listen never holds up the control loop.

    What is not yet sent is merged: steps and events are all kept, of pictures only the newest few.
    """

    PICTURES = 4

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._waiting: list[tuple[str, Any]] = []
        self._change = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self, content: Any) -> None:
        """What the owner waits for."""
        with self._change:
            self._waiting.append(("answer", content))
            self._change.notify()

    def report(self, report: Report) -> None:
        """One period of a self-paced world."""
        with self._change:
            if self._waiting and self._waiting[-1][0] == "report":
                self._waiting[-1][1].extend(report)
                del self._waiting[-1][1].images[: -self.PICTURES]
            else:
                self._waiting.append(("report", report))
            self._change.notify()

    def close(self) -> None:
        """Send what waits, if somebody listens."""
        with self._change:
            self._open = False
            self._change.notify()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or not self._open)
                if not self._waiting:
                    return
                message = self._waiting.pop(0)
            try:
                self._pipe.send(message)
            except (BrokenPipeError, OSError):
                return


class _Loop:
    """Takes messages; on the wall clock it plays a control period whenever one is due, whatever floods the pipe."""

    AT_ONCE = 32

    def __init__(self, world: World, pipe: Connection, out: _Sender) -> None:
        self.world, self.pipe, self.out = world, pipe, out
        self.clock: WallClock | None = None
        self.open = True

    def run(self) -> None:
        while self.open:
            if self.clock is None:
                self.handle()
                continue
            left = self.world.t - self.clock.now()
            if left > 0:
                if self.pipe.poll(left):
                    self.handle()
                continue
            for _ in range(self.AT_ONCE):
                if self.pipe.poll():
                    self.handle()
            if self.clock is None or not self.open:  # a message has ended the episode
                continue
            self.world.slip(self.clock.now())
            self.world.step()
            self.out.report(self.world.take())

    def handle(self) -> None:
        verb, args = self.pipe.recv()
        if verb == "close":
            self.open = False
        elif verb == "post":
            self.world.post(*args)
        elif verb == "go":
            epoch, aside = args
            if aside:
                cores.aside()
            self.clock = WallClock(epoch)
            self.out.answer(None)
        else:
            if verb == "reset":
                self.clock = None
            self.out.answer(self._answer(verb, args))

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
