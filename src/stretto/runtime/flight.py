"""The flight recorder: the last seconds of a session in memory, written to a file when something breaks.

`Recorded(agent)` is an agent around an agent. It keeps what went in and what came out of the last `seconds`, pictures
included. An observation with NaN or infinity never reaches the agent; an action chunk or a sound that is not finite or
not of the robot's shape never leaves it; and whatever the agent raises is caught at this edge. In each case what was
kept is written, and the `Fault` that is raised says what was wrong, in which stream, at which tick, where the file is
and which command replays it. `replay` feeds such a file to a fresh agent, past the same checks, on virtual time.

A replay begins with the agent's start, not with its state at the file's first tick, and work beside the tick
(`context.jobs`) is done at once: what hung on either may come out otherwise, and each tick says whether it did.

Source: the black box of aviation. Needs: numpy. Does not know the world: what it did is in the observations.
"""

import copy
import dataclasses
import math
import re
import shlex
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stretto.core import registry
from stretto.core.clock import VirtualClock
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable, assignments
from stretto.core.errors import StrettoError
from stretto.core.protocols import Agent, Context
from stretto.core.signals import Act, ActionChunk, Observation, Output
from stretto.runtime.delays import NoDelays
from stretto.runtime.flight_file import Flight, Frame, same, write_flight
from stretto.runtime.jobs import DrawnJobs


class Fault(StrettoError):
    """The session cannot go on: a bad observation, a bad output, or an agent that raised.

    `what` is the first part of the message, the same in a replay; the rest says where the last seconds are.
    """

    def __init__(self, what: str, kept: str = "") -> None:
        super().__init__(f"{what} {kept}".rstrip())
        self.what = what


class Recorded(Configurable):
    """An agent whose last seconds are kept. `session` names the session in the file's name."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`seconds` kept; `folder` for what a fault leaves behind, empty: nothing is written."""

        seconds: float = 10.0
        folder: str = "out/flight"

    def __init__(self, config: Config, agent: Agent, session: str = "session") -> None:
        self.config, self.agent, self.session = config, agent, session
        self.privileged = agent.privileged
        self.name = agent_name(agent)
        self._frames: deque[Frame] = deque()
        self._context: Context

    def start(self, context: Context) -> Any:
        """Forget what was kept and start the agent."""
        self._context = context
        self._frames = deque(maxlen=max(1, math.ceil(self.config.seconds / context.tick_s)))
        return self.agent.start(context)

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]:
        """The agent's step between two checks. Raises Fault, after the last seconds were written."""
        frame = Frame(obs=copy.deepcopy(obs))
        self._frames.append(frame)
        try:
            _check_observation(obs)
            output, state = self.agent.step(obs, state)
            frame.output = copy.deepcopy(output)
            _check_output(output, self._context.actions)
        except Exception as error:  # the edge of the agent: whatever it is, what led to it is kept
            raise self._fault(obs, error) from error
        return output, state

    def write(self, path: Path, fault: str = "", trace: str = "") -> Path:
        """Write what is kept to `path` (.npz, and .json for people). Raises StrettoError when the disk refuses."""
        facts = {f.name: getattr(self._context, f.name) for f in dataclasses.fields(Context) if f.name != "jobs"}
        path = path.with_suffix(".npz")
        flight = Flight(session=self.session, agent=self.name, context=facts, frames=tuple(self._frames), fault=fault)
        return write_flight(flight, path, {"traceback": trace, "replay": self._command(path)})

    def _fault(self, obs: Observation, error: Exception) -> Fault:
        what = f"Tick {obs.tick} ({obs.t:.2f} s): {_what(self.name, error)}"
        if not self.config.folder:
            return Fault(what)
        path = Path(self.config.folder, f"{_plain(self.session)}-tick{obs.tick}.npz")
        trace = "" if isinstance(error, _Refused) else "".join(traceback.format_exception(error))
        try:
            self.write(path, what, trace)
        except StrettoError as refused:
            return Fault(what, f"The last seconds could not be kept: {refused}")
        first = self._frames[0].obs.tick
        return Fault(what, f"Ticks {first} to {obs.tick} are in {path}. Replay them: {self._command(path)}")

    def _command(self, path: Path) -> str:
        sets = self._settings() if self.name in registry.names("agent") else None
        if sets is not None:
            return f"stretto run --agent {self.name}{sets} --replay {shlex.quote(str(path))}"
        return f"stretto.runtime.flight.replay(read_flight({str(path)!r}), agent) with an agent '{self.name}'"

    def _settings(self) -> str | None:
        """The options that give a fresh agent this one's settings; None when no command line can carry them."""
        config = getattr(self.agent, "config", None)
        try:
            return "".join(f" --set {shlex.quote(some)}" for some in assignments(config)) if config else ""
        except StrettoError:
            return None


def replay(flight: Flight, agent: Agent) -> Iterator[tuple[Frame, Output]]:
    """Each recorded tick with what a fresh agent puts out at it. Raises Fault where the session's agent did."""
    clock = VirtualClock()
    recorded = Recorded.Config(folder="").build(agent)
    state = recorded.start(Context(**flight.context, jobs=DrawnJobs(clock, NoDelays())))
    for frame in flight.frames:
        clock.wait_until(frame.obs.t)
        output, state = recorded.step(frame.obs, state)
        yield frame, output


def line(frame: Frame, output: Output) -> str:
    """What came out at a recorded tick, in one line, and whether it is what came out in the session."""
    parts = [f"tick {frame.obs.tick} ({frame.obs.t:.2f} s):"]
    parts += [f"{name} “{text}”" for name, text in (("heard", output.heard), ("say", output.say)) if text]
    parts += [f"sound {speech.sound.seconds:.1f} s “{speech.text}”" for speech in output.speech]
    parts += ["hush"] if output.hush else []
    parts += [str(output.act)] if output.act is not Act.KEEP else []
    if output.chunk is not None:
        steps, actions = output.chunk.values.shape
        parts.append(
            f"chunk {steps} × {actions} from {output.chunk.start:.2f} s, first {_short(output.chunk.values[:1])}"
        )
    parts += [f"skill {request.verb} {request.goal}" for request in output.skill]
    parts += [f"event {event.kind} {event.text}" for event in output.events]
    parts += ["nothing"] if len(parts) == 1 else []
    return "  ".join([*parts, "(as recorded)" if same(output, frame.output) else "(not as recorded)"])


def _short(values: np.ndarray) -> str:
    return " ".join(f"{value:+.2f}" for value in values.reshape(-1))


def agent_name(agent: Agent) -> str:
    """The agent's name in the table of all names; of one that is not there its class, in small letters."""
    place = f"{type(agent).__module__}:{type(agent).__qualname__}"
    named = [name for name, found in registry.TABLE["agent"].items() if found == place]
    return named[0] if named else type(agent).__name__.lower()


class _Refused(StrettoError):
    """What a check found."""


def _what(name: str, error: Exception) -> str:
    """The error in one sentence; for what an agent raised, with the line that raised it."""
    if isinstance(error, _Refused):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = f": {error}".rstrip(". :")
    return f"the agent '{name}' raised {type(error).__name__}{said} ({Path(last.filename).name}, line {last.lineno})."


def _check_observation(obs: Observation) -> None:
    streams = {"proprio": obs.proprio, "action": obs.action}
    if obs.sound is not None:
        streams["sound"] = obs.sound.samples
    bad = [_unfinite(name, values) for name, values in streams.items() if not np.isfinite(values).all()]
    if bad:
        raise _Refused(f"expected finite numbers in the observation, got {', '.join(bad)}. The agent did not get it.")


def _check_output(output: Output, actions: int) -> None:
    bad = [] if output.chunk is None else _bad_chunk(output.chunk, actions)
    for speech in output.speech:
        samples = speech.sound.samples
        bad += [] if np.isfinite(samples).all() else [_unfinite("speech", samples)]
    if bad:
        raise _Refused(f"expected an output that can be played, got {', '.join(bad)}. Nothing of it was played.")


def _bad_chunk(chunk: ActionChunk, actions: int) -> list[str]:
    """What is wrong with a chunk for a robot of `actions` numbers a step."""
    values = np.asarray(chunk.values)
    if values.ndim != 2 or values.shape[1] != actions:
        return [f"an action chunk of shape {values.shape} where (steps, {actions}) is needed"]
    bad = [] if np.isfinite(values).all() else [_unfinite("action chunk", values)]
    if not (math.isfinite(chunk.start) and math.isfinite(chunk.rate) and chunk.rate > 0):
        bad.append(f"an action chunk of {chunk.rate} Hz from {chunk.start} s on")
    return bad


def _unfinite(name: str, values: np.ndarray) -> str:
    """`proprio[2] = nan (1 of 7 numbers)`."""
    places = np.argwhere(~np.isfinite(values))
    index = ", ".join(str(i) for i in places[0])
    return f"{name}[{index}] = {values[tuple(places[0])]} ({len(places)} of {values.size} numbers)"


def _plain(name: str) -> str:
    """A file name of letters, digits and dashes, at most 80 long."""
    return re.sub(r"[^\w]+", "-", name).strip("-")[:80]
