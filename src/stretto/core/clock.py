"""All session time goes through one clock. The only file that reads the machine's clock.

`WallClock` is life. `VirtualClock` is for tests and scored runs: the world does not wait; what a part costs is spent
from seeded draws (`spend`), so results do not depend on how busy the machine is. `Lockstep` is a virtual clock on which
thinking costs nothing: the world waits. A card that used it says so.
"""

import os
import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """Session seconds."""

    name: str

    def now(self) -> float: ...

    def wait_until(self, t: float) -> None: ...

    def spend(self, seconds: float) -> None: ...


class WallClock:
    """Real time. `epoch` (machine seconds at session time 0) may be shared between processes of one machine."""

    name = "wall"

    def __init__(self, epoch: float | None = None) -> None:
        self.epoch = time.monotonic() if epoch is None else epoch

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.monotonic() - self.epoch

    def wait_until(self, t: float) -> None:
        """Sleep until session time `t`; returns at once when it has passed."""
        left = t - self.now()
        if left > 0:
            time.sleep(left)

    def spend(self, seconds: float) -> None:
        """Nothing: real work has taken its own time."""


class VirtualClock:
    """Time that moves only when it is spent or waited for. The world does not wait for the agent."""

    name = "virtual"

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Session seconds."""
        return self._now

    def wait_until(self, t: float) -> None:
        """Jump to `t`, never back."""
        self._now = max(self._now, t)

    def spend(self, seconds: float) -> None:
        """Move on by what a part has cost."""
        self._now += seconds


class Lockstep(VirtualClock):
    """The world waits: thinking costs nothing. For data collection and debugging."""

    name = "lockstep"

    def spend(self, seconds: float) -> None:
        """Nothing: the world waits."""


class Stopwatch:
    """Seconds a piece of real work took; for latencies that are measured live."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._start


class CpuWatch:
    """Seconds of processor time this process and the programs it waited for have used; waiting costs nothing."""

    def __init__(self) -> None:
        self._start = self._used()

    def seconds(self) -> float:
        """Seconds since it was made."""
        return self._used() - self._start

    @staticmethod
    def _used() -> float:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system


def make_clock(name: str) -> "WallClock | VirtualClock":
    """A clock by name: wall, virtual or lockstep."""
    from stretto.core.errors import unknown

    clocks = {"wall": WallClock, "virtual": VirtualClock, "lockstep": Lockstep}
    if name not in clocks:
        raise unknown("clock", name, clocks)
    return clocks[name]()
