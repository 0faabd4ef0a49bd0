"""Looking and acting in LIBERO-Goal under words: the acting half of the learned agent, from nothing.

    stretto train policy_goal --minutes 140 --set workers=2 --set threads=2      a piece; the same command goes on
    stretto train policy_goal --size debug --out out/try                         does it run?
    stretto run --agent policy --say "put the bowl on the plate" --set weights=out/policy_goal/policy

Behaviour cloning first: 1 200 episodes of the expert from fresh placements, odd starts, with noise. Then four rounds of
80 sessions: the policy drives under the live loop's delays, the expert says what it should have done, and training
goes on with both; tasks that fail come more often. At the end the averaged weights are written to
`out/policy_goal/policy` (23.5 MB), which the agents `policy`, `cascade_policy` and `duplex` load.
`out/policy_goal/training.html` has the curves, `samples/` the films.

Measured on two cores that did little else: recording 60 shards 45 to 88 min; wordings through the language model 14 min
of one core (23 without AMX); training 32 to 36 contexts/s, with AMX 70, so the first 3 500 steps of 32 in 27 to 55 min,
all 19 000 in 2.5 to 5 h; a session of a round 25 s of a core, 70 min in all: 5 to 7 h. A run ends at `--minutes`, at
Ctrl-C or at a kill, and loses at most three minutes of training or one shard of twenty episodes a worker.

A checkpoint can be trained further, on other episodes:

    stretto train policy_goal --out out/further --set begin=weights/policy_goal --set seed=1

(with `--set first=0` that checkpoint itself drives the first round; `--set blend=0.5` writes the mean of the weights
before and after).

Where there is no simulator, shards and the two books of phrases are enough: `out/policy_goal/data/*.npz` (10 kB a
context) and `out/policy_goal/phrases*.npz` (78 kB a phrase; make smaller ones with `--set wordings=16 --set pairs=1`)
in one folder, given as `data`. Nothing is recorded then; numpy, Pillow, torch, safetensors, tokenizers, jaxtyping and
gguf are needed, LIBERO and the language model are not. Beside a GPU threads decode the pictures:

    stretto train policy_goal --set data=FOLDER --set steps=6000 --set batch=256 --set lr=0.001

Source: DAgger (Ross et al., 2011), training-time real-time chunking (Black et al., 2025).
"""

import copy
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from stretto.agents.checkpoint import load, save_pretrained
from stretto.agents.network import Network
from stretto.agents.sizes import size
from stretto.core import registry
from stretto.core.clock import Stopwatch
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.look.encoders.conv import ConvTokens
from stretto.think.layouts.listener200 import Listener200
from stretto.think.layouts.tick200 import Tick200
from stretto.train.acting.batches import Batches
from stretto.train.acting.contexts import KINDS, Contexts
from stretto.train.acting.phrases import PhraseBook, make_book, sayings
from stretto.train.acting.shards import Order, make, successes
from stretto.train.acting.stage import SeeAct
from stretto.train.device import Device, choose
from stretto.train.loop import Loop, checked_blend

BOOKS = {"train": "phrases.npz", "dev": "phrases-held.npz"}
"""Files of the phrases that are trained under, and of those under which held-out episodes are validated."""

HELD = 12
"""Wordings a task of the latter."""

QUIET = 60.0
"""First score of saying nothing: what learned only to act is silent."""


class PolicyGoal(Configurable):
    """The recipe `policy_goal`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`expert`: shards of the expert; `rounds` of `driven` shards each; `episodes` of a shard. `first`, `between`,
        `last`: steps before the first round, after each round, and after those. `steps`: all of them, where `data` is
        given. `shares`: how often each task comes in the expert's episodes and in the first round. `eye`: an image
        encoder. `wordings`, `pairs`: see phrases.py; held-out episodes are validated under wordings of development.
        `minutes` 0: until it is done. `sample`: rollouts every so many steps, each with a film. `begin`: a checkpoint
        to begin with, "" is none: with another `seed` its training goes on with other episodes. `blend`: its share in
        the weights that are written at the end (a short round alone forgets: docs/log.md).
        """

        seed: int = 0
        minutes: float = 0.0
        net: str = "tiny-listener"
        eye: str = "conv"
        workers: int = 1
        threads: int = 1
        expert: int = 60
        rounds: int = 4
        driven: int = 4
        episodes: int = 20
        shares: tuple[float, ...] = (0.1,) * 10
        first: int = 3_500
        between: int = 2_500
        last: int = 5_500
        data: str = ""
        begin: str = ""
        blend: float = 0.0
        steps: int = 0
        batch: int = 32
        wordings: int = 300
        pairs: int = 6
        sample: int = 1_000
        validate: int = 500
        lr: float = 8e-4
        stage: SeeAct.Config = field(default_factory=SeeAct.Config)

        def __post_init__(self) -> None:
            if len(self.shares) != 10 or min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
                raise StrettoError(f"Expected ten shares of tasks that sum to 1, got {self.shares}.")
            checked_blend(self.blend, self.begin)

        @classmethod
        def tiny(cls) -> "PolicyGoal.Config":
            """Seconds of each phase."""
            return cls(
                net="debug-listener", expert=1, rounds=1, driven=1, episodes=1, first=6, between=4, last=4, batch=4,
                wordings=2, pairs=1, sample=0, validate=4, stage=SeeAct.Config(held=4),
            )  # fmt: skip

    def __init__(self, config: Config) -> None:
        self.config = config

    def run(self, folder: Path, say: Callable[[str], None]) -> None:
        """Go on with the recipe in `folder` until it is done or the minutes are over."""
        c, self.folder, self.say, self.watch = self.config, folder, say, Stopwatch()
        device = choose()
        say(f"computing on {device.name} ({device.why})")
        if c.data:
            self._train([*sorted(Path(c.data).glob("expert-*.npz")), *sorted(Path(c.data).glob("round*.npz"))],
                        0, c.steps, c.steps, device)  # fmt: skip
            return
        total = c.first + c.rounds * c.between + c.last
        shards: list[Path] = []
        for number in range(c.rounds + 1):
            orders = self._orders(number)
            if not make(orders, c.workers, say, self._left()):
                return
            shards += [order.path for order in orders]
            end = c.first + number * c.between if number < c.rounds else total
            if not self._train(shards, number, end, total, device):
                return
        say(f"done: {self.folder / 'policy'}")

    def _left(self) -> float | None:
        """Minutes that are left of this run."""
        return max(0.0, self.config.minutes - self.watch.seconds() / 60) if self.config.minutes else None

    def _orders(self, number: int) -> list[Order]:
        """The shards of a round; round 0 is the expert's."""
        c, data = self.config, self.folder / "data"
        if not number:
            names = [f"expert-{i:03d}.npz" for i in range(c.expert)]
            return [
                Order(path=data / n, first=i * c.episodes, count=c.episodes, seed=c.seed, shares=c.shares)
                for i, n in enumerate(names)
            ]
        shares = self._shares(number)
        return [
            Order(
                path=data / f"round{number}-{i:03d}.npz",
                first=(number * 1000 + i) * c.episodes,
                count=c.episodes,
                seed=c.seed,
                driver=str(self.folder / f"driver-{number}"),
                shares=tuple(shares / shares.sum()),
            )
            for i in range(c.driven)
        ]

    def _shares(self, number: int) -> np.ndarray:
        """How often a task comes in round `number`: more where the policy failed in the round before."""
        if number < 2:
            return np.array(self.config.shares)
        runs, reached = successes(self._orders(number - 1))
        rate = (np.array(reached) + 1) / (np.array(runs) + 2)
        return 1.3 - rate

    def _train(self, shards: list[Path], number: int, end: int, total: int, device: Device) -> bool:
        """Train behind round `number` until step `end`; then write the policy that drives next, or the last one."""
        c = self.config
        goal = self.folder / ("policy" if end == total else f"driver-{number + 1}")
        if goal.is_dir():
            return True
        network = network_of(c.net, language=not c.data, eye=c.eye)
        book, other = self._book(network, device, "train"), self._book(network, device, "dev")
        contexts = Contexts(shards)
        experts = contexts.rows["kind"] != KINDS.index("policy")
        if c.begin:
            load(network, c.begin)
        else:
            network.proprio.measure(torch.from_numpy(contexts.rows["proprio"][experts]))
        held = contexts.rows["episode"] % 20 == 0
        rows = np.flatnonzero(~held)
        need = tuple(float(share) for share in 0.5 + self._shares(number + 1)) if number else ()
        parts = device.parts(c.batch, c.threads)
        batches = Batches.Config(size=c.batch // parts, seed=c.seed, need=need).build(contexts, book, rows)
        check = np.flatnonzero(held) if held.any() else rows
        proof = Batches.Config(size=min(c.batch, 32), seed=1).build(contexts, other, check)
        self.say(f"{len(contexts)} contexts, {int(held.sum())} of them held out; {len(book)} phrases; to step {end}")
        stage = c.stage.build(network, batches, proof, device.name, None if c.data or not c.sample else _roll_out)
        loop: Loop = Loop.Config(
            steps=total,
            lr=c.lr,
            seed=c.seed,
            accumulate=parts,
            together=parts,
            validate=c.validate,
            sample=c.sample,
            log=min(20, c.validate),
        ).build(stage, self.folder, device, self.say)
        if not loop.run(self._left(), end):
            return False
        with loop.average(c.blend if end == total else 0.0):
            self._write(network, goal, {"step": loop.step, "contexts": len(contexts), "recipe": "policy_goal"})
        return True

    def _book(self, network: Network, device: Device, split: str) -> PhraseBook:
        """The book of phrases of a split, made once."""
        c, name = self.config, BOOKS[split]
        for path in (self.folder / name, Path(c.data) / name):
            if path.is_file():
                return PhraseBook.load(path)
        if c.data:
            raise StrettoError(f"'{c.data}' has shards but no '{name}': copy it there from the folder of the recipe.")
        self.say(f"sending the wordings ({split}) through the language model, once")
        reader = network if device.low is None else copy.deepcopy(network).to(device.low)
        each, pairs = (c.wordings, c.pairs) if split == "train" else (min(c.wordings, HELD), 1)
        book = make_book(reader, sayings(each, pairs, c.seed, split), self.say)
        book.save(self.folder / name)
        return book

    def _write(self, network: Network, goal: Path, facts: dict[str, object]) -> None:
        """The averaged weights as a checkpoint that hears and says nothing."""
        for name in ("heard", "say"):
            network.begin_silent(name, QUIET)
        shutil.rmtree(goal, ignore_errors=True)
        save_pretrained(network.cpu(), goal, facts=facts)
        (self.folder / "recipe.json").write_text(json.dumps({"wrote": str(goal), **facts}))


def _roll_out(network: Network, step: int, folder: Path) -> Mapping[str, float]:
    from stretto.train.acting.rollout import roll_out  # needs a simulator

    return roll_out(network, step, folder)


def network_of(name: str, language: bool = True, eye: str = "conv") -> Network:
    """A fresh network of a size that sees one moment at a time; without its language model where only shards are.

    It does not hear, so its ears are those of the plain size: what a listening expert needs changes no policy.
    """
    config, plain = size(name), size(name.removesuffix("-listener"))
    config = replace(config, ear=plain.ear, grain=plain.grain, spelled=plain.spelled)
    layout = config.layout
    assert isinstance(layout, Tick200.Config | Listener200.Config)
    config = replace(config, layout=replace(layout, pictures=1))
    config = replace(config, eye=eye_of(name))
    if eye != "conv":
        chosen = registry.load("image_encoder", eye).Config(  # type: ignore[attr-defined]
            size=128, tokens=config.eye.tokens, width=config.eye.width
        )
        config = replace(config, eye=chosen)
    if not language:
        config = replace(config, language="", ear=replace(config.ear, pretrained=False))
    return config.build()


def eye_of(name: str) -> ConvTokens.Config:
    """The eye of a size, for pictures of 128 px."""
    if name.startswith("debug"):
        return ConvTokens.Config(size=128, width=16, channels=(8, 8, 8, 8, 16))
    return ConvTokens.Config()
