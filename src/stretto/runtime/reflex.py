"""The reflex: below the agent's clock and without torch, a word that says stop halts the arm at once.

Sound comes as it is heard, in pieces with their times; each 32 ms the spotter says whether a word of its list has just
ended, and then the halt flag is raised, which the executor reads before each control period. The agent hears of it as
an event (ACTION_HALTED with the text "reflex: stop"), and confirms or releases. The robot's own voice, as far as it is
known by then, is taken out first; while it sounds a word must be surer.

`Reflex` is the path itself, for the virtual clock in the session's process. `ReflexProcess` is the same in a process of
its own, which needs nobody's attention: whatever the agent, the page or the world are doing, the flag is raised.

Needs: a spotter of the registry. Does not know what was meant.
"""

import contextlib
import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from jaxtyping import Float32

from stretto.core import registry
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.protocols import Spotted
from stretto.core.signals import HEARING_RATE
from stretto.runtime.echo import BLOCK, EchoCanceller

WORD = "reflex: "
"""What the text of an event of the reflex begins with; the word follows."""
_GAP_S = 0.3
"""A piece may come so much later than the one before it ended, or earlier, and still follow it."""
_KEPT_S = 2.0
_SOUNDS = 1e-4


class Reflex(Configurable):
    """Pieces of sound in, words that halt out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`spotter`: a name of the registry, built with its defaults and `weights`. `sure`: the least probability of a
        word while the robot's own voice sounds. `echo`: how that voice is taken out.
        """

        spotter: str = "spotter"
        weights: str = ""
        sure: float = 0.0
        echo: EchoCanceller.Config = field(default_factory=EchoCanceller.Config)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.spotter = registry.build("listening", config.spotter, weights=config.weights)
        self.start()

    def start(self) -> None:
        """A session begins: nothing was heard."""
        self._state = self.spotter.start()
        self._canceller = self.config.echo.build()
        self._zero: float | None = None
        self._count = 0
        self._rest = np.zeros(0, np.float32)
        self._voice = np.zeros(0, np.float32)
        self._voice_from = 0

    def play(self, t: float, samples: Float32[np.ndarray, " samples"]) -> None:
        """What the loudspeaker plays from session time `t` on (16 kHz); silence where nothing was told."""
        start = round(t * HEARING_RATE)
        end = start + len(samples)
        if not len(self._voice):
            self._voice_from = start
        missing = end - self._voice_from - len(self._voice)
        if missing > 0:
            self._voice = np.concatenate([self._voice, np.zeros(missing, np.float32)])
        at = max(0, start - self._voice_from)
        kept = samples[max(0, self._voice_from - start) :]
        self._voice[at : at + len(kept)] = kept

    def hear(self, t: float, samples: Float32[np.ndarray, " samples"]) -> tuple[Spotted, ...]:
        """The words that halt, with their session times, in the sound (16 kHz) that was heard from `t` on.

        Raises StrettoError for sound that is not finite.
        """
        if not np.isfinite(samples).all():
            raise StrettoError("The reflex heard sound that is not a number (NaN or infinite).")
        self._anchor(t)
        assert self._zero is not None
        heard = np.concatenate([self._rest, samples])
        whole = len(heard) // BLOCK * BLOCK
        self._rest = heard[whole:].copy()
        played = self._played(self._zero + self._count / HEARING_RATE, whole)
        self._count += whole
        cleaned = self._canceller.clean(heard[:whole], played)
        found, self._state = self.spotter.step(cleaned, self._state)
        loud = bool(len(played)) and float(np.abs(played).max()) > _SOUNDS
        least = self.config.sure if loud else 0.0
        return tuple(
            Spotted(word=each.word, t=self._zero + each.t, probability=each.probability)
            for each in found
            if each.probability >= least
        )

    def _anchor(self, t: float) -> None:
        """Pieces that follow each other are laid end to end; after a gap time begins anew."""
        heard_s = (self._count + len(self._rest)) / HEARING_RATE
        if self._zero is None or abs(t - self._zero - heard_s) > _GAP_S:
            self._zero = t - heard_s

    def _played(self, t: float, count: int) -> np.ndarray:
        """What the loudspeaker played in `count` samples from `t` on; forgets what was long before."""
        out = np.zeros(count, np.float32)
        first = round(t * HEARING_RATE) - self._voice_from
        piece = self._voice[max(0, first) : max(0, first + count)]
        at = max(0, -first)
        out[at : at + len(piece)] = piece[: max(0, count - at)]
        old = first - round(_KEPT_S * HEARING_RATE)
        if old > HEARING_RATE:
            self._voice, self._voice_from = self._voice[old:], self._voice_from + min(old, len(self._voice))
        return out


@dataclass(frozen=True)
class _Piece:
    """A message to the process: sound that was `heard`, or else played, from `t` on."""

    t: float
    samples: np.ndarray
    heard: bool


class ReflexProcess:
    """The reflex in a process of its own. `raise_flag` is a byte in shared memory (runtime/process.py)."""

    def __init__(self, config: Reflex.Config, flag: Any) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, child = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(config, child, flag), daemon=True)
        self._lock = threading.Lock()
        self._process.start()
        child.close()
        told = self._receive()
        if isinstance(told, BaseException):
            raise told
        self.words: tuple[str, ...] = told

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise StrettoError("The reflex's process ended; its own message stands above.") from error

    def start(self) -> None:
        """A session begins: nothing was heard."""
        self._send(None)

    def hear(self, t: float, samples: Float32[np.ndarray, " samples"]) -> None:
        """The next piece of sound (16 kHz), heard from session time `t` on. From any thread."""
        self._send(_Piece(t, np.asarray(samples, np.float32), True))

    def play(self, t: float, samples: Float32[np.ndarray, " samples"]) -> None:
        """What the loudspeaker plays from session time `t` on (16 kHz)."""
        self._send(_Piece(t, np.asarray(samples, np.float32), False))

    def _send(self, piece: _Piece | None) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError, OSError):
            self._pipe.send(piece)

    def alarms(self) -> list[Spotted]:
        """The words that raised the flag since the last call. Raises StrettoError when the process has ended."""
        found = []
        while self._pipe.poll():
            told = self._receive()
            if isinstance(told, BaseException):
                raise told
            found.append(told)
        if not self.alive:
            raise StrettoError("The reflex's process has ended: no word stops the arm any more.")
        return found

    @property
    def pid(self) -> int | None:
        """Process number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still listens."""
        return self._process.is_alive()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.kill()

    def __enter__(self) -> "ReflexProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(config: Reflex.Config, pipe: Connection, flag: Any) -> None:
    """The process's whole life: it ends with its pipe."""
    try:
        reflex = config.build()
        pipe.send(reflex.spotter.words)
        run(reflex, pipe.recv, lambda: _raise(flag), pipe.send)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # the edge of the process: whatever it is, the owner must hear of it
        _raise(flag)
        with contextlib.suppress(OSError):
            pipe.send(error if isinstance(error, StrettoError) else StrettoError(f"The reflex failed: {error!r}"))


def run(
    reflex: Reflex,
    receive: Callable[[], _Piece | None],
    halt: Callable[[], None],
    tell: Callable[[Spotted], None],
) -> None:
    """Hears piece after piece for ever; halts first, then tells."""
    while True:
        piece = receive()
        if piece is None:
            reflex.start()
        elif not piece.heard:
            reflex.play(piece.t, piece.samples)
        else:
            found = reflex.hear(piece.t, piece.samples)
            if found:
                halt()
            for word in found:
                tell(word)


def _raise(flag: Any) -> None:
    flag.value = 1
