"""Card "tick": the whole default tick of the learned agent's network, live, beside a LIBERO that runs in real time.

One session of five minutes on the wall clock: the world with both cameras in a process of its own, the agent `duplex`
at size tiny on one model thread, sound in, chunks out, speech synthesised beside the tick. The weights are untrained,
so what it says is forced: in a third of the ticks two tokens of a sentence each (spoken as they come), in another third
one heard token. Everything else is the agent as it runs.

rows: tick_share (the agent's step over the tick) · part_s (ears, eyes, first_pass, second_pass, flow; `action`: the
action expert's share of the first pass) · chunk_s (eyes, action and flow: what is there for the arm alone) · delay_s
(duplex_step: what scored runs on the virtual clock draw from).
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from stretto.agents.duplex import Duplex, State
from stretto.bench.card import Trial
from stretto.core.clock import WallClock
from stretto.core.rng import generator
from stretto.core.signals import Observation, Output
from stretto.data import talk
from stretto.runtime.delays import NoDelays
from stretto.runtime.process import WorldProcess
from stretto.runtime.world import World
from stretto.sessions.session import Session
from stretto.sessions.users.script import Script
from stretto.think import backbone

BURST = 5
"""Ticks of speaking, then of hearing, then of neither."""

DRAWS = 200
"""Ticks whose cost is kept for the virtual clock."""

PARTS = ("ears", "eyes", "first_pass", "action", "second_pass", "flow")


class Forced(Duplex):
    """The duplex agent with its words forced and a stopwatch at each part."""

    def __init__(self, config: Duplex.Config) -> None:
        super().__init__(config)
        self.costs: list[dict[str, float]] = []
        self.now: dict[str, float] = defaultdict(float)
        self.tick = self.passes = 0
        self.words: dict[str, list[int]] = {"say": [], "heard": []}
        self.sentences = 0
        self._watch()

    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """One tick, timed."""
        self.tick, self.passes, self.now = state.cursor.now + 1, 0, defaultdict(float)
        start = time.perf_counter()
        out, state = super().step(obs, state)
        self.costs.append({**self.now, "tick": time.perf_counter() - start, "speaking": self._phase == 0})
        return out, state

    @property
    def _phase(self) -> int:
        return self.tick // BURST % 3

    def _pick(self, scores: torch.Tensor, *seed: int | str) -> int:
        name = str(seed[-1])
        scores.argmax()
        if name == "act":
            return self.layout.vocabularies["act"].id("<move>")
        if self._phase != (0 if name == "say" else 1) or (name == "heard" and self.passes > 1):
            return self.layout.token(name, "nothing")
        if not self.words[name]:
            assert self.network.text is not None
            line = talk.draw("instruct", self.sentences, "train").text
            self.sentences += 1
            self.words[name] = self.network.text.encode(f"Okay, I will {line}.")[::-1]
            self.words[name].insert(0, self.layout.token(name, "close"))
        return self.words[name].pop()

    def _watch(self) -> None:
        """Stopwatches around the parts, and around what the action expert does in the first pass."""
        net = self.network
        net.ear.step = self._timed(net.ear.step, lambda: ["ears"])  # type: ignore[method-assign]
        net.eye.forward = self._timed(net.eye.forward, lambda: ["eyes"])  # type: ignore[method-assign]
        net.head.sample = self._timed(net.head.sample, lambda: ["flow"])  # type: ignore[method-assign]
        net.backbone.forward = self._timed(net.backbone.forward, self._pass)  # type: ignore[method-assign]
        net.answers = self._timed(net.answers, lambda: ["first_pass" if self.passes == 1 else "second_pass"])  # type: ignore[method-assign]
        for layer in net.backbone.experts["action"].layers:  # type: ignore[union-attr]
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


@dataclass
class Live:
    """What the worker keeps."""

    world: WorldProcess
    agent: Forced


class Tick:
    """One session of five minutes."""

    name = "tick"
    clock = "wall"
    parallel = False
    seconds_per_trial = 330.0

    def trials(self, n: int | None) -> list[Trial]:
        """One; `n` gives its length in ticks."""
        return [Trial("session", {"ticks": n or 1500})]

    def open(self) -> Live:
        """Start the world, load the network, warm both up."""
        world = World.Config(expert="", cameras_hz=Duplex.cameras_hz, camera_turns=Duplex.camera_turns)
        live = Live(WorldProcess(world), Forced(Duplex.Config()))
        self._session(live, 6.0)
        return live

    def run(self, trial: Trial, state: Live) -> list[dict[str, Any]]:
        """The session; its rows."""
        state.agent.costs = []
        self._session(state, trial.params["ticks"] * 0.2)
        return _rows(state.agent.costs)

    def _session(self, live: Live, seconds: float) -> None:
        session = Session.Config().build(live.world, live.agent, WallClock(), NoDelays())
        session.run(Script.Config().build([]), "8", 0, "dev", seconds)

    def close(self, state: Live) -> None:
        """End the world."""
        state.world.close()


def _rows(costs: list[dict[str, float]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    base = {"arm": "tiny", "seed": 0}
    for unit, cost in enumerate(costs):
        share = round(cost["tick"] / 0.2, 5)
        rows.append({"row": "tick_share", **base, "unit": unit, "value": share, "speaking": bool(cost["speaking"])})
        if "flow" not in cost:
            continue
        chunk = sum(cost.get(part, 0.0) for part in ("eyes", "action", "flow"))
        rows.append({"row": "chunk_s", **base, "unit": unit, "value": round(chunk, 6)})
        for part in PARTS:
            seconds = round(cost.get(part, 0.0), 6)
            rows.append({"row": "part_s", **base, "part": part, "unit": f"{part}/{unit}", "value": seconds})
    kept = generator(0, "tick").choice(len(costs), min(DRAWS, len(costs)), replace=False)
    for unit in sorted(int(index) for index in kept):
        value = round(costs[unit]["tick"], 6)
        row = {"row": "delay_s", "arm": "tiny", "part": "duplex_step", "unit": f"duplex_step/{unit}", "seed": 0}
        rows.append({**row, "value": value, "since": "backbone"})
    return rows
