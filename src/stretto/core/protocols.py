"""The contracts of Stretto, one to three methods each. Everything else plugs into these."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from stretto.core.signals import ActionChunk, Event, Image, Observation, Output, Sound, Speech


@runtime_checkable
class Job(Protocol):
    """Work that was handed out: `result()` is None until it is done."""

    def result(self) -> Any: ...


@runtime_checkable
class Jobs(Protocol):
    """Work beside the tick. On the wall clock a thread does it; on the virtual clock it is done at once and its result
    is withheld for a delay drawn from the latency card for its `parts`."""

    def submit(self, parts: str | Sequence[str], work: Callable[..., Any], *args: Any) -> Job: ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an agent is told when a session starts. Nothing in it leads to simulator state. `reflex`: whether a word
    that stops halts the arm before the agent knows of it.
    """

    tasks: tuple[str, ...]
    tick_s: float
    control_hz: float
    actions: int
    seed: int
    jobs: Jobs
    reflex: bool = False


@runtime_checkable
class Agent(Protocol):
    """A whole agent. State is explicit, so a session can be saved, forked and replayed.

    A class attribute `privileged` says whether the session accepts `Output.skill` of it. Three more may be there:
    `cameras_hz`, the pictures a second that it wants of each camera (default 0), `part`, what a step of it is called
    on the latency card (default "agent_step"), and `own_core`, whether a live session keeps a core free for it.
    """

    privileged: bool

    def start(self, context: Context) -> Any: ...

    def step(self, obs: Observation, state: Any) -> tuple[Output, Any]: ...


@runtime_checkable
class Env(Protocol):
    """A world. The executor alone calls `apply`, once a control period."""

    control_hz: float
    actions: int
    tasks: tuple[str, ...]
    cameras: tuple[str, ...]

    def reset(self, task: str, seed: int, split: str = "train") -> None: ...

    def apply(self, action: Float[np.ndarray, " actions"]) -> None: ...

    def observe(self, images: bool = False) -> Observation: ...

    def render(self, camera: str, height: int, width: int) -> Image: ...

    def success(self) -> bool: ...

    def predicate(self, goal: str) -> bool:
        """The suite's own predicate for any goal of the scene. For scorers."""
        ...

    def scene(self) -> Any:
        """The door to simulator state: for experts, labels and scorers, inside the world process only."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Expert(Protocol):
    """A closed-loop expert: the action follows from the state alone, so it may start, stop and switch anywhere."""

    goals: tuple[str, ...]

    def act(self, scene: Any, goal: str) -> Float[np.ndarray, " actions"]: ...

    def done(self, scene: Any, goal: str) -> bool: ...

    def answer(self, scene: Any, topic: str, goal: str = "") -> str:
        """A spoken sentence about the scene; `goal` is what the arm is about, for "what are you doing"."""
        ...


@runtime_checkable
class ChunkSource(Protocol):
    """Where the executor gets actions from inside the world process, one control period at a time."""

    def next(self, t: float) -> ActionChunk | None: ...


@runtime_checkable
class Execution(Protocol):
    """How time-stamped chunks become one action a control period."""

    def accept(self, chunk: ActionChunk, t: float) -> None: ...

    def action(self, t: float) -> Float[np.ndarray, " actions"]: ...

    def halt(self) -> None: ...


@runtime_checkable
class Voice(Protocol):
    """A synthesizer: text in, sound and word times out. Raises StrettoError when its engine is not installed."""

    def speak(self, text: str, seed: int = 0) -> Speech: ...


@runtime_checkable
class Recogniser(Protocol):
    """Speech to text for a finished utterance."""

    def recognise(self, sound: Sound) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Spotted:
    """A word of the reflex's list; `t`: when it was known, in seconds from the first sample of all."""

    word: str
    t: float
    probability: float


@runtime_checkable
class Spotter(Protocol):
    """Hears a few words at once, frame by frame, with explicit state. What the reflex halts the arm by."""

    words: tuple[str, ...]

    def start(self) -> Any: ...

    def step(self, samples: Float[np.ndarray, " samples"], state: Any) -> tuple[tuple[Spotted, ...], Any]: ...


@runtime_checkable
class User(Protocol):
    """A simulated person: told what happened up to `t`, may begin to say or type something in [t, until)."""

    def observe(self, t: float, until: float, events: tuple[Event, ...]) -> "Utterance | None": ...


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """What a user says (`speech`) or types (`typed`), from session time `t` on."""

    t: float
    intent: str
    speech: Speech | None = None
    typed: str | None = None


@runtime_checkable
class Observer(Protocol):
    """Watches a session and never alters it."""

    def see(self, event: Event) -> None: ...


@runtime_checkable
class EpisodeWriter(Protocol):
    """Takes finished episodes one by one; what was written stays readable whatever happens next."""

    def write(self, episode: Any) -> None: ...

    def episodes(self) -> Iterator[Any]: ...
