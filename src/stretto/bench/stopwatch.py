"""The duplex agent with a stopwatch at each part of its tick: ears, eyes, passes, what the action expert does, flow.

    agent = Timed(Duplex.Config(weights=…))         then a session; `agent.costs` has a dictionary of seconds a tick

Needs: the agent on one thread. Does not know what it says.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from stretto.agents.duplex import Duplex, State
from stretto.core.signals import Observation, Output
from stretto.think import backbone

PARTS = ("ears", "eyes", "first_pass", "action", "second_pass", "flow")


class Timed(Duplex):
    """The agent as it runs. `costs`: of each tick its parts, `tick` the whole, and whether it was `speaking`."""

    def __init__(self, config: Duplex.Config) -> None:
        super().__init__(config)
        self.costs: list[dict[str, float]] = []
        self.now: dict[str, float] = defaultdict(float)
        self.passes = 0
        self._watch()

    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """One tick, timed."""
        self.passes, self.now = 0, defaultdict(float)
        start = time.perf_counter()
        out, state = super().step(obs, state)
        self.costs.append({**self.now, "tick": time.perf_counter() - start, "speaking": self.speaking(out)})
        return out, state

    def speaking(self, out: Output) -> bool:
        """Whether it said something in the tick."""
        return bool(out.say)

    def _watch(self) -> None:
        """Stopwatches around the parts, and around what the action expert does in the first pass."""
        net = self.network
        net.ear.step = self._timed(net.ear.step, lambda: ["ears"])  # type: ignore[method-assign]
        net.eye.forward = self._timed(net.eye.forward, lambda: ["eyes"])  # type: ignore[method-assign]
        net.head.sample = self._timed(net.head.sample, lambda: ["flow"])  # type: ignore[method-assign]
        net.backbone.forward = self._timed(net.backbone.forward, self._pass)  # type: ignore[method-assign]
        net.answers = self._timed(net.answers, lambda: ["first_pass" if self.passes == 1 else "second_pass"])  # type: ignore[method-assign]
        for name, expert in net.backbone.config.experts.items():
            for layer in net.backbone.experts[name].layers if "action" in (name, expert.of) else ():  # type: ignore
                layer.read = self._timed(layer.read, lambda: ["action"])
                layer.write = self._timed(layer.write, lambda: ["action"])
        heads, attend = net.backbone.config.experts["action"].heads, backbone.attend
        timed = self._timed(attend, lambda: ["action"])
        backbone.attend = lambda asked, *rest: (timed if asked[0][0].shape[2] == heads else attend)(asked, *rest)

    def _pass(self) -> list[str]:
        self.passes += 1
        return ["first_pass" if self.passes == 1 else "second_pass"]

    def _timed(self, function: Callable[..., Any], names: Callable[[], list[str]]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            parts = names()
            start = time.perf_counter()
            result = function(*args, **kwargs)
            for part in parts:
                self.now[part] += time.perf_counter() - start
            return result

        return timed
