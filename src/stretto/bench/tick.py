"""Card "tick": the whole default tick of the learned agent's network, live, beside a LIBERO that runs in real time.

One session of five minutes on the wall clock: the world with both cameras in a process of its own, the agent `duplex`
at size tiny with the weights of the policy on one model thread, sound in, chunks out, speech synthesised beside the
tick. It has learned to act and nothing else, so its words are forced: in a third of the ticks it says as many tokens of
a sentence as it may (spoken as they come), in another third it hears one token. Everything else is the agent as it
runs.

rows: tick_share (the agent's step over the tick) · part_s (ears, eyes, first_pass, second_pass, flow; `action`: the
action expert's share of the first pass) · chunk_s (eyes, action and flow: what is there for the arm alone) · delay_s
(duplex_step: what runs on the virtual clock draw from, until the card `tick-trained` is there).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stretto.agents.checkpoint import digest, find_weights
from stretto.agents.duplex import Duplex, State
from stretto.agents.policy import RECIPE, WEIGHTS
from stretto.bench.card import Trial
from stretto.bench.stopwatch import PARTS, Timed
from stretto.core.clock import WallClock
from stretto.core.rng import generator
from stretto.core.signals import Observation, Output
from stretto.data import talk
from stretto.runtime.delays import NoDelays
from stretto.runtime.process import WorldProcess
from stretto.runtime.world import World
from stretto.sessions.session import Session
from stretto.sessions.users.script import Cue, Script

BURST = 5
"""Ticks of speaking, then of hearing, then of neither."""

DRAWS = 200
"""Ticks whose cost is kept for the virtual clock."""


class Forced(Timed):
    """The agent with its words forced."""

    def __init__(self, config: Duplex.Config) -> None:
        super().__init__(config)
        self.tick = self.sentences = 0
        self.words: dict[str, list[int]] = {"say": [], "heard": []}

    def step(self, obs: Observation, state: State) -> tuple[Output, State]:
        """One tick, timed."""
        self.tick = state.cursor.now + 1
        return super().step(obs, state)

    def speaking(self, out: Output) -> bool:
        """Whether words to say are forced in this tick."""
        return self._phase == 0

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


@dataclass
class Beside:
    """An agent on the wall clock beside its world in another process."""

    world: WorldProcess
    agent: Timed

    @classmethod
    def open(cls, agent: Timed) -> "Beside":
        """Start the world, warm both up."""
        world = World.Config(expert="", cameras_hz=Duplex.cameras_hz, camera_turns=Duplex.camera_turns)
        beside = cls(WorldProcess(world), agent)
        beside.session(6.0)
        return beside

    def session(self, seconds: float, cues: Sequence[Cue] = ()) -> None:
        """One session; the agent's costs are its own alone."""
        self.agent.costs.clear()
        session = Session.Config().build(self.world, self.agent, WallClock(), NoDelays())
        session.run(Script.Config().build(cues), "8", 0, "dev", seconds)


class Tick:
    """One session of five minutes."""

    name = "tick"
    clock = "wall"
    parallel = False
    seconds_per_trial = 330.0

    def __init__(self, weights: str = WEIGHTS) -> None:
        self.directory = weights

    @property
    def weights(self) -> str:
        """The hash of the checkpoint. Raises StrettoError when there is none."""
        return digest(find_weights(self.directory, RECIPE))

    def trials(self, n: int | None) -> list[Trial]:
        """One; `n` gives its length in ticks."""
        return [Trial("session", {"ticks": n or 1500})]

    def open(self) -> Beside:
        """The agent beside its world, warmed up."""
        return Beside.open(Forced(Duplex.Config(weights=self.directory)))

    def run(self, trial: Trial, state: Beside) -> list[dict[str, Any]]:
        """The session; its rows, and draws of its ticks for the virtual clock."""
        state.session(trial.params["ticks"] * 0.2)
        return rows_of(state.agent.costs, "tiny") + draws(state.agent.costs, "tiny")

    def close(self, state: Beside) -> None:
        """End the world."""
        state.world.close()


def rows_of(costs: Sequence[Mapping[str, float]], arm: str) -> list[dict[str, Any]]:
    """tick_share of every tick; chunk_s and part_s of those with a chunk."""
    rows: list[dict[str, Any]] = []
    base = {"arm": arm, "seed": 0}
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
    return rows


def draws(costs: Sequence[Mapping[str, float]], arm: str) -> list[dict[str, Any]]:
    """delay_s: ticks drawn from all, for sessions on the virtual clock."""
    rows = []
    kept = generator(0, "tick").choice(len(costs), min(DRAWS, len(costs)), replace=False)
    for unit in sorted(int(index) for index in kept):
        value = round(costs[unit]["tick"], 6)
        row = {"row": "delay_s", "arm": arm, "part": "duplex_step", "unit": f"duplex_step/{unit}", "seed": 0}
        rows.append({**row, "value": value, "since": "backbone"})
    return rows
